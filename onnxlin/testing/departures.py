"""Which node is to blame where two ways of composing the same pieces differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxlin.errors import OnnxlinError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.primitives import LinearMap
from onnxlin.program import LinearProgram, Step
from onnxlin.rounding import gamma
from onnxlin.testing.composing import made_anew, of_biases, of_directions
from onnxlin.testing.verdicts import worst

if TYPE_CHECKING:
    from onnxlin.testing.subject import Feeds, Subject

EPS = float(np.finfo(np.float64).eps)
# Entries of a matrix that is made only to be compared.
MOST_ENTRIES = 5_000_000
# Random combinations of a node's outputs, and random vectors of its inputs.
ROWS = 3


def inconsistent(program: LinearProgram) -> str | None:
    """Name the first node whose map and adjoint, or map and matrix, are not of one matrix."""
    rng = np.random.default_rng(0)
    for step in program.steps:
        for name, op in step.terms:
            if why := _views_differ(op, rng):
                return f"{described(step)}, of {name!r}: {why}"
    return None


def described(step: Step) -> str:
    """Operator, node and output of a step."""
    return f"{step.node.op_type} at node {step.node.name!r}, output {step.output!r}"


def _views_differ(op: LinearMap, rng: np.random.Generator) -> str | None:
    """Say which two views of a map differ, by one random vector each; None if none do."""
    x, y = rng.standard_normal((1, *op.in_shape)), rng.standard_normal((1, *op.out_shape))
    there, back = op.matvec(x), op.rmatvec(y)
    reach = op.absolute().matvec(np.abs(x))
    roundings = 2 * (op.fan_in + op.fan_out) + 4
    left, right = float(np.vdot(y, there)), float(np.vdot(back, x))
    size = float(np.vdot(np.abs(y), reach))
    if abs(left - right) > gamma(roundings + op.rows + op.columns, EPS) * size:
        return f"<y, A x> = {left:.9g} by the map, {right:.9g} by its adjoint"
    if op.nnz <= MOST_ENTRIES:
        by_matrix = (op.to_sparse(np.dtype(np.float64)) @ x.ravel()).reshape(there.shape)
        gap: Array = np.abs(by_matrix - there)
        if (gap > gamma(roundings, EPS) * reach).any():
            return "the map and its matrix differ"
    return None


def lowered_wrongly(subject: Subject, feeds: Feeds, mode: str) -> str | None:
    """Name the first node that, compiled on its own, has another map than by sweeps.

    Every node is a model of its own here, from the tensors that it reads to what it makes, at the
    x of the whole.
    """
    lin = subject.linearizer(mode)
    for node in lin.section.nodes:
        reads = [name for name in dict.fromkeys(node.inputs) if name in lin.section.traced]
        makes = [name for name in node.writes if name in lin.section.live]
        if reads and makes and (why := _compiled_alone(subject, feeds, mode, reads, makes)):
            return f"{node.op_type} at node {node.name!r}, output {makes[0]!r}: {why}"
    return None


def _compiled_alone(
    subject: Subject, feeds: Feeds, mode: str, reads: list[str], makes: list[str]
) -> str | None:
    ends = {"inputs": reads, "outputs": makes}
    try:
        lin = Linearizer(subject.model, mode=mode, **subject.options | ends)
        size = sum(value.size for value in lin.run(feeds).values())
        rng = np.random.default_rng(0)
        rows = rng.integers(-2, 3, (ROWS, size))
        compiled = lin(feeds, rows, "compiled")
        m = lin(feeds, rows, "reverse", compiled.dtype)
        made = m._made_from("the law")
    except OnnxlinError:
        return None
    sized = made_anew(made.program, made.values)
    v = rng.standard_normal((ROWS, len(m.x)))
    room = 2 * of_directions(made.program, m.rows, v, sized)
    room += 2 * len(m.x) * EPS * (np.abs(m.W) @ np.abs(v.T))
    shares = 2 * of_biases(made.program, m.rows, sized)
    if found := worst(compiled.W @ v.T, m.W @ v.T, room):
        return f"W v compiled and by a sweep, {found}"
    found = worst(compiled.b, m.b, shares)
    return found and f"b compiled and by a sweep, {found}"
