"""Attention of sequences without their padding, which onnxruntime has for GPUs alone.

The tokens of all sequences lie one behind the other. A token attends to those of its own sequence:
the others get the weight 0, so nothing need be padded.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from onnxlin.load.normalise.draft import Context, Draft
from onnxlin.load.normalise.foreign import ALWAYS
from onnxlin.load.normalise.forms import before
from onnxlin.load.normalise.opening import Opening

END = np.array([np.iinfo(np.int64).max])
LAST, NONE, ONE = np.array([-1]), np.array([0]), np.array([1])


@before("com.microsoft.PackedAttention", ALWAYS)
def packed_attention(draft: Draft, context: Context) -> list[Draft]:
    """``softmax(scale q k' + bias) v`` of ``input W + b``, each sequence by itself.

    Source: onnxruntime, docs/ContribOperators.md, PackedAttention.
    """
    o = Opening(draft, context, context.dtype(draft.inputs[0]))
    projected = o("Add", o("MatMul", o.input(0), o.input(1)), o.input(2))
    sizes = o.attr("qkv_hidden_sizes")
    if sizes:
        cuts = np.array(sizes, dtype=np.int64)
        parts = o.several("Split", 3, projected, cuts, axis=1)
    else:
        parts = o.several("Split", 3, projected, axis=1, num_outputs=3)
    return o.ends(_attended(o, parts, tokens=3, bias=5))


@before("com.microsoft.PackedMultiHeadAttention", ALWAYS)
def packed_multi_head_attention(draft: Draft, context: Context) -> list[Draft]:
    """The same of queries, keys and values that have been projected already.

    Source: onnxruntime, docs/ContribOperators.md, PackedMultiHeadAttention.
    """
    o = Opening(draft, context, context.dtype(draft.inputs[0]))
    if draft.has(1):
        parts = [o.input(i) for i in range(3)]
    else:  # (tokens, heads, 3, size)
        apart = o.several("Split", 3, o.input(0), axis=2, num_outputs=3)
        parts = [o("Reshape", part, np.array([0, -1])) for part in apart]
    if draft.has(3):
        ends = o("Concat", *(o("Shape", part, start=1) for part in parts), axis=0)
        shifts = o.several("Split", 3, o.input(3), ends, axis=0)
        parts = [o("Add", part, shift) for part, shift in zip(parts, shifts, strict=True)]
    return o.ends(_attended(o, parts, tokens=4, bias=6))


def _attended(o: Opening, parts: list[str], *, tokens: int, bias: int) -> str:
    """Attention of the tokens ``(T, N h)`` of every sequence among themselves."""
    count = o.attr("num_heads")
    q, k, v = (
        o("Transpose", o("Reshape", part, np.array([0, count, -1])), perm=[1, 0, 2])
        for part in parts
    )
    given = o.attr("scale")
    if given:
        scale = o.constant(float(given))
    else:
        width = o("CastLike", o("Shape", q, start=2), q)
        scale = o("Reciprocal", o("Sqrt", width))
    scores = o("Mul", o("MatMul", q, o("Transpose", k, perm=[0, 2, 1])), scale)
    own = o("Cast", o.input(tokens + 1), to=TensorProto.INT64)  # 0, n1, n1 + n2, ...
    places = _counted(o, q)
    sequence = _sequences(o, own, places)
    if o.draft.has(bias):
        inside = o("Sub", places, o("Gather", own, sequence))
        scores = o("Add", scores, _biases(o, o.input(bias), sequence, inside))
    together = o("Equal", o("Unsqueeze", sequence, ONE), o("Unsqueeze", sequence, NONE))
    none = o("CastLike", o.constant(-np.inf), scores)
    weights = o("Softmax", o("Where", together, scores, none), axis=-1)
    y = o("Transpose", o("MatMul", weights, v), perm=[1, 0, 2])
    return o("Reshape", y, np.array([0, -1]))


def _counted(o: Opening, q: str) -> str:
    """0, 1, ... for each token."""
    ends = o("Squeeze", o("Shape", q, start=1, end=2))
    return o("Range", np.array(0), ends, np.array(1))


def _sequences(o: Opening, own: str, places: str) -> str:
    """The sequence of each token: how many have ended at its place."""
    ends = o("Slice", own, ONE, END, NONE)
    over = o("LessOrEqual", o("Unsqueeze", ends, NONE), o("Unsqueeze", places, ONE))
    return o("ReduceSum", o("Cast", over, to=TensorProto.INT64), ONE, keepdims=0)


def _biases(o: Opening, bias: str, sequence: str, inside: str) -> str:
    """What is added to the scores of two tokens of one sequence: ``(N, T, T)``.

    ``bias : (B or 1, N or 1, S, S)``. Of two sequences it is some number: their weight is 0.
    """
    batch = o("Shape", bias, start=0, end=1)
    first = o("Min", sequence, o("Sub", batch, ONE))
    like = o("Concat", o("Shape", inside), o("Shape", inside), axis=0)
    spots = [o("Unsqueeze", first, ONE), o("Unsqueeze", inside, ONE), o("Unsqueeze", inside, NONE)]
    wide = [o("Unsqueeze", o("Expand", spot, like), LAST) for spot in spots]
    found = o("GatherND", o("Transpose", bias, perm=[0, 2, 3, 1]), o("Concat", *wide, axis=-1))
    return o("Transpose", found, perm=[2, 0, 1])


@before("com.microsoft.RemovePadding", ALWAYS)
def remove_padding(draft: Draft, context: Context) -> list[Draft]:
    """The tokens of all sequences behind each other, without those that are padding on the right.

    Source: onnxruntime, docs/ContribOperators.md, RemovePadding.
    """
    o = Opening(draft, context, context.dtype(draft.inputs[0]))
    counts = o("Cast", o.input(1), to=TensorProto.INT64)
    shape = o("Shape", o.input(0), start=0, end=2)
    length = o("Squeeze", o("Slice", shape, ONE, np.array([2]), NONE))
    places = o("Unsqueeze", o("Range", np.array(0), length, np.array(1)), NONE)
    told = o("Reshape", o("Less", places, o("Unsqueeze", counts, ONE)), LAST)
    kept, left = (o("Squeeze", o("NonZero", each), NONE) for each in (told, o("Not", told)))
    rows = o("Reshape", o.input(0), o("Concat", LAST, o("Shape", o.input(0), start=2), axis=0))
    offset = o("Reshape", o("Concat", kept, left, axis=0), shape)
    ends = o("Concat", NONE, o("CumSum", counts, np.array(0)), axis=0)
    longest = o("ReduceMax", counts, NONE, keepdims=1)
    whole = [o("Cast", each, to=TensorProto.INT32) for each in (offset, ends, longest)]
    return o.ends(o("Gather", rows, kept, axis=0), *whole)


@before("com.microsoft.RestorePadding", ALWAYS)
def restore_padding(draft: Draft, context: Context) -> list[Draft]:
    """Tokens in their places in their sequences, 0 where there is padding.

    Source: onnxruntime, docs/ContribOperators.md, RestorePadding.
    """
    o = Opening(draft, context, context.dtype(draft.inputs[0]))
    x, shape = o.input(0), o("Shape", o.input(1))
    width = o("Shape", x, start=1)
    places = o("Cast", o("Reshape", o.input(1), LAST), to=TensorProto.INT64)
    own = o("Slice", places, NONE, o("Shape", x, start=0, end=1), NONE)
    zero = o("CastLike", o.constant(0.0), x)
    empty = o("Expand", zero, o("Concat", o("Shape", places), width, axis=0))
    filled = o("ScatterND", empty, o("Unsqueeze", own, ONE), x)
    return o.ends(o("Reshape", filled, o("Concat", shape, width, axis=0)))
