"""Operators that dependence on x ends at, and quantisation."""

from __future__ import annotations

import numpy as np
import onnx

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.table import maker

FLOAT = onnx.TensorProto.FLOAT


@maker("Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal")
def comparison(g: Grow, op_type: str) -> None:
    x = g.pick()
    (mask,) = g.add_all(op_type, [x, g.floats(0.125)])
    g.add("Cast", [mask], to=FLOAT)


@maker("And", "Or", "Xor")
def logic(g: Grow, op_type: str) -> None:
    x = g.pick()
    masks = [g.add_all("Greater", [x, g.floats(at)])[0] for at in (0.125, -0.25)]
    (mask,) = g.add_all(op_type, masks)
    g.add("Where", [mask, x, g.floats(0.5)])


@maker("Not", "IsNaN", "IsInf")
def flags(g: Grow, op_type: str) -> None:
    x = g.pick()
    read = g.add_all("Greater", [x, g.floats(0.125)])[0] if op_type == "Not" else x
    (mask,) = g.add_all(op_type, [read])
    g.add("Where", [mask, x, g.floats(0.5)])


@maker("ArgMax", "ArgMin")
def winner(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4, lambda shape: 0 not in shape)
    (index,) = g.add_all(op_type, [x], axis=g.axis(g.shape(x)), **g.some(keepdims=g.integer(0, 1)))
    g.add("Cast", [index], to=FLOAT)


@maker("Shape", "Size", "NonZero")
def shape(g: Grow, op_type: str) -> None:
    (found,) = g.add_all(op_type, [g.pick(1, 4, lambda s: 0 not in s)])
    g.add("Cast", [found], to=FLOAT)


@maker("ConstantOfShape")
def constant_of_shape(g: Grow, op_type: str) -> None:
    x = g.pick()
    (sides,) = g.add_all("Shape", [x])
    (ones,) = g.add_all(op_type, [sides], value=onnx.helper.make_tensor("v", FLOAT, [1], [0.5]))
    g.add("Add", [x, ones])


@maker("EyeLike")
def eye_like(g: Grow, op_type: str) -> None:
    x = g.pick(2, 2)
    g.add("Add", [x, g.add(op_type, [x], **g.some(k=g.integer(-1, 1)))])


@maker("Constant")
def constant(g: Grow, op_type: str) -> None:
    name = g.add(op_type, [], value_floats=[0.5])
    g.add("Mul", [g.pick(), name])


@maker("QuantizeLinear", "DequantizeLinear")
def quantised(g: Grow, op_type: str) -> None:
    x = g.pick()
    scale, zero = g.floats(0.25), g.constant(np.asarray(g.integer(0, 5), np.uint8))
    (whole,) = g.add_all("QuantizeLinear", [x, scale, zero])
    g.add("DequantizeLinear", [whole, scale, zero])


@maker("DynamicQuantizeLinear")
def dynamic(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4, lambda s: 0 not in s)
    whole, scale, zero = g.add_all(op_type, [x], 3)
    g.add("DequantizeLinear", [whole, scale, zero])
