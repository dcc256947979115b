"""One of two models at x: the tensors of its run, and what rounding may do to each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from onnxlin.errors import MissingRuleError
from onnxlin.graph import Array, Node, is_float
from onnxlin.linearizer import Linearizer
from onnxlin.operators.families import KEEPS_SCALE
from onnxlin.program import LinearProgram, finite
from onnxlin.program.builder import Builder
from onnxlin.program.check import require_rules
from onnxlin.program.roundoff import HUGE, as_run, local_error
from onnxlin.program.sizes import sizes
from onnxlin.program.sweep import reach
from onnxlin.readings.compare.names import SUFFIXES
from onnxlin.runtime.providers import asked_providers
from onnxlin.section import STRAIGHT, Section, make_section
from onnxlin.section.trace import Tracer

WIDE = np.dtype(np.float64)


@dataclass(frozen=True, eq=False)
class Side:
    """A model at x, with roundings read straight through so that no node is left out.

    Parameters
    ----------
    builder : Builder
    feeds : {input: array}
    """

    builder: Builder
    feeds: Mapping[str, Array]

    @classmethod
    def of(cls, lin: Linearizer, feeds: Mapping[str, Array]) -> Side:
        """Take the model of a linearizer, between its inputs and outputs."""
        own = lin.section
        section = make_section(lin.graph, own.inputs, own.outputs, STRAIGHT, gates=own.gates)
        try:
            require_rules(section)
        except MissingRuleError:  # only a staircase can say what such a node does
            section = own
        tracer = partial(Tracer, providers=asked_providers(lin.providers))
        return cls(Builder(section, tracer, lin.mode), feeds)

    @property
    def section(self) -> Section:
        """The nodes between the inputs and the outputs."""
        return self.builder.section

    @cached_property
    def values(self) -> dict[str, Any]:
        """Every tensor that the nodes touch, as onnxruntime has it."""
        return self.builder.tracer(dict(self.feeds))

    @cached_property
    def program(self) -> LinearProgram:
        """The pieces at x in float64."""
        return self.builder(self.values, WIDE)

    def tensor(self, name: str, *, decoded: bool = False) -> Array | None:
        """A tensor in float64, if asked codes of a quantised one as the numbers they stand for."""
        value = self.values.get(name)
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiubV":
            return None
        if is_float(value.dtype) or not decoded:
            return value.astype(WIDE)
        base = SUFFIXES.sub("", self._coded(name))
        scale, zero = (self.constant(f"{base}_{end}") for end in ("scale", "zero_point"))
        if scale is None or scale.size != 1:
            return None
        shift = 0.0 if zero is None else float(zero.ravel()[0])
        return (value.astype(WIDE) - shift) * float(scale.ravel()[0])

    def _coded(self, name: str) -> str:
        """Where codes were made: nodes that only move them keep scale and name no other."""
        while (node := self.section.graph.producer.get(name)) and node.op_type in KEEPS_SCALE:
            name = node.inputs[0]
        return name

    def constant(self, name: str) -> Array | None:
        """Value of a tensor that the run has, or that is stored."""
        found = self.values.get(name, self.section.graph.initialisers.get(name))
        return found if isinstance(found, np.ndarray) else None

    def roundings(self, restart: Collection[str]) -> dict[str, Array]:
        """Bound what the run's roundings bring to each tensor, counted from those of ``restart``.

        To first order; errors go through a node by ``|A|``.
        """
        found: dict[str, Array] = {}
        for step in map(as_run, self.program.steps):
            terms = (*step.terms, *step.held)
            known = [(n, op) for n, op in terms if n in found and n not in restart]
            carried = reach(known, found, step.shape, read=_bounded)
            size = sizes(step, self.values)
            # A body stands for a kernel of the runtime's, which errs no more than the body does.
            twice = 2 if step.joins else 1
            found[step.output] = twice * carried + local_error(step, self.values, size)
        return found

    def between(self, tensor: str, stops: Collection[str]) -> tuple[tuple[Node, ...], set[str]]:
        """Nodes that make a tensor from the nearest of ``stops``, in order, and those stops."""
        made, nodes, ends = self.section.graph.producer, dict[str, Node](), set[str]()
        waiting = [tensor]
        while waiting:
            node = made.get(waiting.pop())
            if node is None or node.name in nodes:
                continue
            nodes[node.name] = node
            ends.update(name for name in node.reads if name in stops)
            waiting += [name for name in node.reads if name not in stops]
        return tuple(nodes[name] for name in sorted(nodes, key=self._places.__getitem__)), ends

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where each node stands in the graph."""
        return {node.name: i for i, node in enumerate(self.section.graph.nodes)}


def _bounded(error: Array) -> Array:
    return np.minimum(finite(error), HUGE)


def differing_constants(a: Side, b: Side, nodes: Collection[Node]) -> Iterator[str]:
    """Constants that nodes of A read and that are other numbers in B, where B has them."""
    for name in dict.fromkeys(name for node in nodes for name in node.reads):
        ours = a.section.graph.initialisers.get(name)
        if ours is None or ours.dtype.kind not in "fiubV":
            continue
        theirs = b.constant(name)
        if theirs is None:
            theirs = b.values.get(f"{name}_DequantizeLinear_Output")
        if isinstance(theirs, np.ndarray) and not np.array_equal(ours, theirs):
            yield name
