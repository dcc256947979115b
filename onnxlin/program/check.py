"""What onnxlin will make of each node, known before any run; every obstacle at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, fields
from typing import Any

from onnxlin.errors import MissingRuleError
from onnxlin.graph import Node
from onnxlin.rules import RULES, rule_of
from onnxlin.section import Section
from onnxlin.section.stops import goes_straight_through, starts_behind, stops
from onnxlin.texts import shown

MANY = 20_000
"""Nodes beyond which nobody looks for what some of them spell out."""

# Operators that no run of a model by onnxruntime's kernels for the CPU can have, and a way out.
NO_RUN = {
    "com.microsoft.DecoderMaskedSelfAttention": "onnxruntime has it for GPUs alone. Export the "
    "decoder with DecoderMaskedMultiHeadAttention, or without attention that is fused",
    "com.microsoft.SparseAttention": "its kernel for the CPU only writes into the cache that it "
    "is given, which a run by itself has not. Export the model with GroupQueryAttention",
}


@dataclass(frozen=True)
class NodeReport:
    """What happens to one node.

    ``status`` is the rule's ("exact", "tangent", "frozen", "constant"), or "folded" (the outputs
    need it, and do not depend on the inputs through it), "outside" (not between the inputs and the
    outputs: the map has nothing to do with it), or "missing" or "unsupported" with the reason in
    ``obstacle``.
    """

    name: str
    op_type: str
    domain: str
    opset: int
    status: str
    obstacle: str | None = None


@dataclass(frozen=True)
class Report:
    """The answer of `check_model`.

    ``empty`` says so where no node lies between the inputs and the outputs: the map is the
    identity, or W is 0 at every x. ``refused`` says why it runs at no x: onnxruntime does not load
    it, or what it asks for passes one of `onnxlin.limits`. ``compiles`` tells whether
    `compile_model` takes it, and None where that is not known; then, and where it does not,
    ``not_compiled_because`` says why. ``not_run`` says what of the model was not tried out, as what
    that costs is not known before, or as time was over.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[NodeReport, ...]
    notes: tuple[str, ...] = ()
    compiles: bool | None = None
    not_compiled_because: str | None = None
    empty: str | None = None
    refused: str | None = None
    not_run: tuple[str, ...] = ()

    @property
    def obstacles(self) -> tuple[NodeReport, ...]:
        """The nodes that stand in the way."""
        return tuple(node for node in self.nodes if node.obstacle)

    @property
    def ok(self) -> bool:
        """Whether the model can be linearised, as far as can be told without a run."""
        return not self.obstacles and self.refused is None

    @property
    def histogram(self) -> dict[str, int]:
        """Operator -> number of nodes, most frequent first."""
        return dict(Counter(node.op_type for node in self.nodes).most_common())

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return {**asdict(self), "ok": self.ok, "histogram": self.histogram}

    @staticmethod
    def from_dict(found: dict[str, Any]) -> Report:
        """Make a report of such data again, as it comes from another process."""
        own: dict[str, Any] = {field.name: found[field.name] for field in fields(Report)}
        nodes = tuple(NodeReport(**node) for node in own.pop("nodes"))
        own |= {name: tuple(value) for name, value in own.items() if isinstance(value, list)}
        return Report(**own, nodes=nodes)


def report(section: Section) -> Report:
    """Report the status of every node of a section's graph."""
    inside = {node.name for node in section.nodes}
    needed = _needed(section)
    nodes = tuple(
        _node_report(section, node, node.name in inside, not needed.isdisjoint(node.writes))
        for node in section.graph.nodes
    )
    short = len(section.nodes) <= MANY
    notes = section.notes_in("frozen") if short else section.notes
    return Report(section.inputs, section.outputs, nodes, notes, empty=_empty(section))


def _needed(section: Section) -> set[str]:
    """Tensors that the outputs are made from, back to the inputs of the section."""
    needed = set(section.outputs) - set(section.inputs)
    for node in reversed(section.graph.nodes):
        if not needed.isdisjoint(node.writes):
            needed.update(name for name in node.reads if name not in section.inputs)
    return needed


def _empty(section: Section) -> str | None:
    """Say why there is no node in the map, where there is none."""
    if section.nodes:
        return None
    own = [name for name in section.outputs if name in section.inputs]
    if own:
        listed = ", ".join(map(shown, own))
        return f"{listed} is both an input and an output, so the map is the identity"
    ends = stops(section)
    where = "no path of floats leads from the inputs to the outputs"
    if ends:
        listed = ", ".join(f"{shown(node.op_type)} {node.name!r}" for node in ends[:3])
        where = f"dependence ends at {listed}"
    way = ', rounding="straight-through" goes on' if goes_straight_through(section) else ""
    behind = starts_behind(section, ends)
    way += f", inputs={list(behind)} start behind" if behind else ""
    return f"W is 0 at every x: {where}{way}"


def _node_report(section: Section, node: Node, inside: bool, needed: bool) -> NodeReport:
    opset = section.graph.opsets.get(node.domain, 0)
    rule = rule_of(section.graph, node, section.rounding)
    if not inside:
        status, obstacle = ("folded" if needed else "outside"), None
    elif rule is None:
        name = _qualified(node)
        status, obstacle = "missing", f"no rule for {name}"
        obstacle += f": {NO_RUN[name]}" if name in NO_RUN else ""
    else:
        obstacle = rule.obstacle(section.is_traced(node))
        status = "unsupported" if obstacle else rule.status_of(section.is_traced(node))
    return NodeReport(node.name, node.op_type, node.domain, opset, status, obstacle)


def _qualified(node: Node) -> str:
    return shown(f"{node.domain}.{node.op_type}" if node.domain else node.op_type)


def require_rules(section: Section) -> None:
    """Raise MissingRuleError that lists every node in the way."""
    obstacles = report(section).obstacles
    if not obstacles:
        return
    rows = [
        f"  {shown(node.op_type)} (opset {node.opset}) at node {node.name!r}: {node.obstacle}"
        for node in obstacles
    ]
    raise MissingRuleError(
        f"{len(obstacles)} of {len(section.nodes)} nodes between inputs {list(section.inputs)} and "
        f"outputs {list(section.outputs)} cannot be linearised:\n" + "\n".join(rows) + "\n"
        f"onnxlin knows {len(RULES)} operators (onnxlin ops). Choose other inputs= or outputs= "
        "to leave these nodes out, or write a rule: docs/adding_a_rule.md."
    )
