"""Smooth functions of one entry, on values where they are finite and not too steep."""

from __future__ import annotations

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.table import maker


@maker("Sigmoid", "Tanh", "Erf", "Softplus", "Softsign", "HardSwish", "Mish")
def activation(g: Grow, op_type: str) -> None:
    g.add(op_type, [g.tame(g.pick(), 8)])


@maker("Sin", "Cos", "Atan", "Sinh", "Cosh", "Asinh", "Exp")
def elementary(g: Grow, op_type: str) -> None:
    g.add(op_type, [g.tame(g.pick())])


@maker("Tan", "Asin", "Acos", "Atanh")
def within_one(g: Grow, op_type: str) -> None:
    g.add(op_type, [g.between(g.pick(), -0.9, 0.9)])


@maker("Log", "Sqrt", "Reciprocal")
def positive(g: Grow, op_type: str) -> None:
    g.add(op_type, [g.between(g.pick(), 0.25, 3)])


@maker("Acosh")
def above_one(g: Grow, op_type: str) -> None:
    g.add(op_type, [g.between(g.pick(), 1.25, 4)])


@maker("Elu", "Celu", "Selu")
def exponential(g: Grow, op_type: str) -> None:
    given = g.some(alpha=g.choice(0.5, 1.5)) | (g.some(gamma=1.25) if op_type == "Selu" else {})
    g.add(op_type, [g.tame(g.pick(), 8)], **given)


@maker("Shrink")
def shrink(g: Grow, op_type: str) -> None:
    g.add(op_type, [g.pick()], **g.some(lambd=0.25, bias=g.choice(0.0, 0.125)))


@maker("Gelu")
def gelu(g: Grow, op_type: str) -> None:
    g.add(op_type, [g.tame(g.pick(), 8)], **g.some(approximate=g.choice("none", "tanh")))


@maker("Pow")
def power(g: Grow, op_type: str) -> None:
    x = g.pick()
    if g.flag():
        g.add(op_type, [g.tame(x), g.floats(g.choice(2.0, 3.0, 1.0, 0.0))])
        return
    base = g.between(x, 0.25, 2)
    exponent = g.choice(g.constant_beside(g.shape(base)), g.tame(x, 2))
    g.add(op_type, [base, exponent])


@maker("Softmax", "LogSoftmax", "Hardmax")
def softmax(g: Grow, op_type: str) -> None:
    x = g.tame(g.pick(1, 5, lambda shape: 0 not in shape), 8)
    g.add(op_type, [x], **g.some(axis=g.axis(g.shape(x))))


@maker("CumSum")
def cumulative_sum(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4)
    axis = g.ints(g.axis(g.shape(x)))
    g.add(op_type, [x, axis], **g.some(exclusive=g.integer(0, 1), reverse=g.integer(0, 1)))


@maker("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceProd", "ReduceLogSum", "ReduceLogSumExp")
def reduction(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4, lambda shape: 0 not in shape)
    x = g.between(x, 0.5, 1.5) if op_type in ("ReduceLogSum", "ReduceProd") else g.tame(x)
    axes, given = g.axes(g.shape(x)), g.some(keepdims=g.integer(0, 1))
    if g.opset < 18:
        g.add(op_type, [x], axes=axes, **given)
    else:
        g.add(op_type, [x, g.ints(axes)], **given)
