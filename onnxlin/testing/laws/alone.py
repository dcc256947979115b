"""Every node as a model of its own, at the x of the whole: which of them breaks a law by itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from onnxlin.errors import OnnxlinError
from onnxlin.graph import Array, Node
from onnxlin.testing.bounds.composing import made_anew, of_biases, of_directions
from onnxlin.testing.bounds.differences import assert_tangent
from onnxlin.testing.laws.subject import Feeds, Subject
from onnxlin.testing.verdicts import LawError, NotApplicable, worst

EPS = float(np.finfo(np.float64).eps)
# Random combinations of a node's outputs, and random vectors of its inputs.
ROWS = 3
# More nodes than these are not tried one by one.
MOST_NODES = 300


def lone(subject: Subject, mode: str) -> Iterator[tuple[Node, Subject]]:
    """Every node, with a subject from the tensors that it reads to those that it makes."""
    lin = subject.linearizer(mode)
    for node in lin.section.nodes[:MOST_NODES]:
        reads = [name for name in dict.fromkeys(node.inputs) if name in lin.section.traced]
        makes = [name for name in node.writes if name in lin.section.live]
        if reads and makes:
            yield node, Subject(subject.model, **subject.options | {
                "inputs": reads, "outputs": makes}, rows=_combinations)  # fmt: skip


def _combinations(y: Array, _: int) -> Array:
    return np.random.default_rng(0).integers(-2, 3, (ROWS, y.size))


def sloped_wrongly(subject: Subject, feeds: Feeds, mode: str) -> str | None:
    """Name the first node whose map is not the slope of what it computes."""
    for node, alone in lone(subject, mode):
        try:
            lin, at = alone.movable(feeds, mode)
            m = lin(at, alone.rows(feeds, mode), "reverse", np.float64)
            assert_tangent(lin, at, m)
        except LawError as error:
            return f"{described(node)}: on its own, {error.found}"
        except (OnnxlinError, NotApplicable):
            continue
    return None


def described(node: Node) -> str:
    """Operator, node and first output."""
    return f"{node.op_type} at node {node.name!r}, output {node.writes[0]!r}"


def lowered_wrongly(subject: Subject, feeds: Feeds, mode: str) -> str | None:
    """Name the first node that, compiled on its own, has another map than by sweeps."""
    for node, alone in lone(subject, mode):
        if found := _compiled_apart(alone, feeds, mode):
            return f"{described(node)}: on its own, {found}"
    return None


def _compiled_apart(alone: Subject, feeds: Feeds, mode: str) -> str | None:
    try:
        compiled = alone.map(feeds, mode, engine="compiled")
        m = alone.map(feeds, mode, compiled.dtype, "reverse")
        made = m.made_from("the law")
    except OnnxlinError:
        return None
    sized = made_anew(made.program, made.values)
    v = np.random.default_rng(0).standard_normal((ROWS, len(m.x)))
    room = 2 * of_directions(made.program, m.rows, v, sized)
    room += 2 * len(m.x) * EPS * (np.abs(m.W) @ np.abs(v.T))
    if found := worst(compiled.W @ v.T, m.W @ v.T, room):
        return f"W v compiled and by a sweep, {found}"
    found = worst(compiled.b, m.b, 2 * of_biases(made.program, m.rows, sized))
    return found and f"b compiled and by a sweep, {found}"
