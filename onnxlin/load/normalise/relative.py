"""Biases of relative positions that onnxruntime fuses for GPUs alone, as standard operators."""

from __future__ import annotations

from math import log

import numpy as np
from onnx import TensorProto

from onnxlin.load.normalise.draft import Context, Draft
from onnxlin.load.normalise.foreign import ALWAYS
from onnxlin.load.normalise.forms import before
from onnxlin.load.normalise.opening import Opening

ONE, NONE = np.array([1]), np.array([0])


@before("com.microsoft.RelativePositionBias", ALWAYS)
def relative_position_bias(draft: Draft, context: Context) -> list[Draft]:
    """A number for each head and each pair of places, from a table over their distances, as in T5.

    ``table : (buckets, N) -> (1, N, S, T)``; the numbers of the table lie head by head.

    Source: onnxruntime, docs/ContribOperators.md, RelativePositionBias; Raffel et al., Exploring
    the Limits of Transfer Learning, arXiv 1910.10683, section 2.1.
    """
    o = Opening(draft, context, np.dtype(np.float32))
    size = o("Shape", o.input(0))
    buckets, heads = o.several("Split", 2, size, axis=0, num_outputs=2)
    queries, keys = (
        o("Range", np.array(0), o("Cast", o("Squeeze", n), to=TensorProto.INT64), np.array(1))
        for n in (o.input(1), o.input(2))
    )
    apart = o("Sub", o("Unsqueeze", keys, NONE), o("Unsqueeze", queries, ONE))
    place = _buckets(o, apart, buckets)
    table = o("Reshape", o.input(0), o("Concat", heads, buckets, axis=0))
    return o.ends(o("Unsqueeze", o("Gather", table, place, axis=1), NONE))


def _buckets(o: Opening, apart: str, buckets: str) -> str:
    """The bucket of each distance: one for each that is small, larger ones by their logarithm."""
    if o.attr("is_bidirectional", 0):
        buckets = o("Div", buckets, np.array(2))
        ahead = o("Cast", o("Greater", apart, np.array(0)), to=TensorProto.INT64)
        first, far = o("Mul", ahead, buckets), o("Abs", apart)
    else:
        first, far = o("Mul", apart, np.array(0)), o("Neg", o("Min", apart, np.array(0)))
    exact = o("Div", buckets, np.array(2))
    few, rest, way = (
        o("Cast", each, to=TensorProto.FLOAT)
        for each in (exact, o("Sub", buckets, exact), o("Max", far, exact))
    )
    grown = o("Log", o("Div", way, few))
    most = o("Sub", o.constant(log(o.attr("max_distance"))), o("Log", few))
    steps = o("Cast", o("Mul", o("Div", grown, most), rest), to=TensorProto.INT64)
    large = o("Min", o("Add", exact, steps), o("Sub", buckets, np.array(1)))
    return o("Add", first, o("Where", o("Less", far, exact), far, large))


@before("com.microsoft.GatedRelativePositionBias", ALWAYS)
def gated_relative_position_bias(draft: Draft, context: Context) -> list[Draft]:
    """``(u (r a - 1) + 2) bias``, the gates u and r sigmoids of sums of projected queries.

    Source: onnxruntime, docs/ContribOperators.md, GatedRelativePositionBias.
    """
    o = Opening(draft, context, context.dtype(draft.inputs[0]))
    if draft.has(6):
        raise draft.refuse("its queries lie packed, without padding (token_offset is given)")
    count = o.attr("num_heads")
    q = o("Add", o.input(0), o.input(1))
    q = o("Transpose", o("Reshape", q, np.array([0, 0, count, -1])), perm=[0, 2, 1, 3])
    projected = o("Add", o("MatMul", q, o.input(3)), o.input(4))
    halves = o("Reshape", projected, np.array([0, 0, 0, 2, -1]))
    gates = o("Sigmoid", o("ReduceSum", halves, np.array([-1]), keepdims=0))
    u, r = o.several("Split", 2, gates, axis=3, num_outputs=2)
    one, two = (o("CastLike", o.constant(n), q) for n in (1.0, 2.0))
    opened = o("Add", o("Mul", u, o("Sub", o("Mul", r, o.input(5)), one)), two)
    return o.ends(o("Mul", opened, o.input(2)))
