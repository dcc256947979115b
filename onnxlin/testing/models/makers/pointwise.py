"""Operators on one tensor, entry by entry."""

from __future__ import annotations

import numpy as np
import onnx

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.table import maker

FLOAT, DOUBLE, FLOAT16 = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16


@maker("Relu", "Abs", "Neg", "Identity")
def plain(g: Grow, op_type: str) -> None:
    g.add(op_type, [g.pick()])


@maker("LeakyRelu", "ThresholdedRelu")
def with_alpha(g: Grow, op_type: str) -> None:
    g.add(op_type, [g.pick()], **g.some(alpha=g.choice(0.25, 0.0, -0.5, 1.5)))


@maker("HardSigmoid")
def hard_sigmoid(g: Grow, op_type: str) -> None:
    g.add(op_type, [g.pick()], **g.some(alpha=g.choice(0.5, -0.5, 0.0), beta=g.choice(0.25, 0.75)))


@maker("PRelu")
def prelu(g: Grow, op_type: str) -> None:
    x = g.pick()
    kept = g.shape(x)[g.integer(0, len(g.shape(x))) :]
    g.add(op_type, [x, g.weight(*(1 if g.flag() else n for n in kept))])


@maker("Clip")
def clip(g: Grow, op_type: str) -> None:
    low = g.floats(g.choice(-0.5, -2.0, 0.0))
    high = g.floats(g.choice(0.5, 2.0, 0.0, -1.0))
    g.add(op_type, [g.pick(), *g.choice((low, high), (low,), ("", high), ())])


@maker("Dropout")
def dropout(g: Grow, op_type: str) -> None:
    training = g.constant(np.asarray(False))
    further = g.choice((), (g.floats(0.5),), (g.floats(0.5), training))
    g.add(op_type, [g.pick(), *further], g.integer(1, 2), **g.some(seed=3))


@maker("Cast")
def cast(g: Grow, op_type: str) -> None:
    x = g.pick()
    there = g.add(op_type, [x], to=g.choice(DOUBLE, FLOAT, FLOAT16))
    g.add(op_type, [there], to=FLOAT)


@maker("CastLike")
def cast_like(g: Grow, op_type: str) -> None:
    wide = g.constant(np.zeros((), np.float64))
    there = g.add(op_type, [g.pick(), wide])
    g.add(op_type, [there, g.choice(g.floats(0), *g.live)])
