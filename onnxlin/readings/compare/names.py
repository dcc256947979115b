"""What two models call the same: inputs, outputs, tensors and nodes, matched by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnxlin.graph import Node
from onnxlin.section import Section

# What the quantisation tools of onnxruntime append to the name of a tensor in float
# (onnxruntime/python/tools/quantization/quant_utils.py); a number follows where there are several.
SUFFIXES = re.compile(r"(_QuantizeLinear_Input|_DequantizeLinear_Output|_quantized)(_\d+)?$")
NODE_SUFFIXES = re.compile(r"(_quant|_token_\d+)$")


def bare(name: str) -> str:
    """Name without what quantisation tools append."""
    return SUFFIXES.sub("", name)


@dataclass(frozen=True)
class Match:
    """Names of two models A and B that stand for the same.

    Parameters
    ----------
    tensors : {name in A: names in B}
        In the order in which B makes them: a tensor that B quantises has several.
    nodes : {name in A: name in B}
    only_a, only_b : tuple of str
        Nodes without a partner, in order.
    total : int
        Tensors of A, its inputs included.
    """

    tensors: Mapping[str, tuple[str, ...]]
    nodes: Mapping[str, str]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    total: int

    @property
    def share(self) -> float:
        """Fraction of the tensors of A that B has as well."""
        return len(self.tensors) / self.total if self.total else 1.0

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "tensors": {name: list(others) for name, others in self.tensors.items()},
            "nodes": dict(self.nodes),
            "only_a": list(self.only_a),
            "only_b": list(self.only_b),
            "share": self.share,
        }


def match(a: Section, b: Section, ends: Mapping[str, str]) -> Match:
    """Match what lies on the way from the inputs to the outputs.

    Parameters
    ----------
    a, b : Section
    ends : {input or output of A: that of B}
    """
    ours = _tensors(a)
    back = {theirs: own for own, theirs in ends.items()}
    theirs = _tensors(b)
    known = {name: name for name in ours if name not in ends}
    # Where A alone is quantised, its last form of a tensor stands for it: the decoded numbers.
    known |= {bare(name): name for name in known if name not in theirs}
    found: dict[str, list[str]] = {}
    for name in theirs:
        own = _partner(name, known, back)
        if own is not None:
            found.setdefault(own, []).append(name)
    tensors = {name: tuple(found[name]) for name in ours if name in found}
    nodes = _nodes(a.nodes, b.nodes, tensors)
    taken = set(nodes.values())
    return Match(
        tensors,
        nodes,
        tuple(n.name for n in a.nodes if n.name not in nodes),
        tuple(n.name for n in b.nodes if n.name not in taken),
        len(ours),
    )


def _partner(name: str, known: Mapping[str, str], back: Mapping[str, str]) -> str | None:
    """Tensor of A that a tensor of B stands for."""
    return next((t[n] for n in (name, bare(name)) for t in (back, known) if n in t), None)


def _tensors(section: Section) -> list[str]:
    """Inputs, all that is made on the way, and outputs that do not depend on the inputs."""
    made = [name for node in section.nodes for name in node.writes]
    return list(dict.fromkeys((*section.inputs, *made, *section.outputs)))


def _nodes(
    ours: Sequence[Node], theirs: Sequence[Node], tensors: Mapping[str, tuple[str, ...]]
) -> dict[str, str]:
    """Match nodes by their names, then those that are left by what they make."""
    names = {NODE_SUFFIXES.sub("", node.name): node.name for node in theirs}
    names |= {node.name: node.name for node in theirs}
    spelt = ((node.name, n) for node in ours for n in (NODE_SUFFIXES.sub("", node.name), node.name))
    found = {name: names[n] for name, n in spelt if n in names}
    maker = {output: node.name for node in theirs for output in node.writes}
    taken = set(found.values())
    for node in ours:
        if node.name not in found:
            made = (maker.get(t) for o in node.writes for t in tensors.get(o, ())[:1])
            free = next((name for name in made if name and name not in taken), None)
            if free is not None:
                found[node.name] = free
                taken.add(free)
    return found
