"""Sums, products with constants, and extrema of several tensors."""

from __future__ import annotations

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.table import maker


@maker("Add", "Sub")
def two_operands(g: Grow, op_type: str) -> None:
    x = g.pick()
    pair = [x, g.beside(g.shape(x))]
    g.add(op_type, pair if g.flag() else pair[::-1])


@maker("Sum", "Mean", "Max", "Min")
def several_operands(g: Grow, op_type: str) -> None:
    x = g.pick()
    # Each operand is drawn against the shape of the first, so that all broadcast together.
    others = [g.choice(x, g.floats(g.rng.normal())), g.beside(g.shape(x))]
    g.add(op_type, g.permuted([x, *others[: g.integer(0, 2)]]))


@maker("Where")
def where(g: Grow, op_type: str) -> None:
    x = g.pick()
    pair = [x, g.beside(g.shape(x))]
    kept = g.shape(x)[g.integer(0, len(g.shape(x))) :]
    mask = g.bools(*kept)
    if g.flag():
        (mask,) = g.add_all(g.choice("Greater", "LessOrEqual"), [x, g.floats(0.125)])
    g.add(op_type, [mask, *(pair if g.flag() else pair[::-1])])
