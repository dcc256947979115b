"""Attention of one new token, and of quantised tokens, of ``com.microsoft``."""

from __future__ import annotations

import numpy as np

from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.sketch import Sketch, drawn
from onnxlin.rules.microsoft.attention import (
    attend,
    causal,
    heads,
    masked,
    scale_of,
)
from onnxlin.rules.microsoft.fused import MS

END = np.iinfo(np.int64).max


@drawn("DecoderMaskedMultiHeadAttention", domain=MS)
def decoder_attention(node: NodeAtX, s: Sketch) -> list[str]:
    """Attention of a new token to those before, in a buffer that is longer than they are.

    ``q, k, v : (B, 1, N h), past : (B, N, longest, h) -> (B, 1, N h)``; without a past the keys and
    values are those of another sequence, ``(B, N, T, h)``.

    Source: onnxruntime, docs/ContribOperators.md, DecoderMaskedMultiHeadAttention.
    """
    node.ignore("past_present_share_buffer", "output_qk")
    if node.has(9) and not (node.has(8) and node.native(8).size == 1 and node.native(8) <= 1):
        raise node.refuse("its cache is that of a search with several beams")
    if not node.has(1):
        raise node.refuse("its queries, keys and values are packed")
    count, hidden, q = node.attr("num_heads"), node.shape(0)[2], _turn(node, s, 0)
    kept: list[str] = []
    if node.has(5):
        sides = [(_turn(node, s, i), s.input(past)) for i, past in ((1, 5), (2, 6))]
        place = int(node.native(7).reshape(-1)[0])
        k, v = (s("Concat", s.crop(old, 2, 0, place), new, axis=2) for new, old in sides)
        kept = [
            s("Concat", x, s.crop(old, 2, place + 1, END), axis=2)
            for x, (_, old) in zip((k, v), sides, strict=True)
        ]
        total = place + 1
    else:
        (k, v), total = (s.input(1), s.input(2)), node.shape(1)[2]
    added = masked(node, s, 3, (node.shape(0)[0], 1, total))
    added += [s.input(4)] if node.has(4) else []
    y, scores = attend(s, (q, k, v), scale_of(node, hidden // count), added)
    return [y, *(kept or ["", ""]), scores]


def _turn(node: NodeAtX, s: Sketch, i: int) -> str:
    """Queries, keys or values with their part of the bias, ``(B, N, 1, h)``."""
    shape, x = node.shape(i), s.input(i)
    if node.has(10):
        x = s("Add", x, s.crop(s.input(10), 0, i * shape[2], (i + 1) * shape[2]))
    return heads(s, x, shape, node.attr("num_heads"))


@drawn("QAttention", domain=MS)
def quantised_attention(node: NodeAtX, s: Sketch) -> list[str]:
    """Self-attention whose projection is a product of integers; all after it is of floats.

    Source: onnxruntime, docs/ContribOperators.md, QAttention.
    """
    for name in ("do_rotary", "past_present_share_buffer"):
        if node.attr(name):
            raise node.refuse(f"{name} is set")
    s.dtype = node.operand(2).native.dtype  # of x, which may be codes, it need not be
    (batch, length, _), count = node.shape(0), node.attr("num_heads")
    hidden = node.shape(1)[1] // 3
    x, weights = (_dequantised(node, s, *at) for at in ((0, 3, 6), (1, 4, 7)))
    projected = s("Add", s("MatMul", x, weights), s.input(2))
    parts = s.several("Split", 3, projected, axis=2, num_outputs=3)
    q, k, v = (heads(s, part, (batch, length, hidden), count) for part in parts)
    if node.has(8):
        past = [s("Gather", s.input(8), np.array(i), axis=0) for i in (0, 1)]
        k, v = (s("Concat", old, new, axis=2) for old, new in zip(past, (k, v), strict=True))
    ahead = np.array([0])
    present = s("Concat", s("Unsqueeze", k, ahead), s("Unsqueeze", v, ahead), axis=0)
    total = length + (node.shape(8)[3] if node.has(8) else 0)
    added = masked(node, s, 5, (batch, length, total))
    added += [causal(length, total)] if node.attr("unidirectional") else []
    y, _ = attend(s, (q, k, v), scale_of(node, hidden // count), added)
    return [y, present if len(node.node.outputs) > 1 else ""]


def _dequantised(node: NodeAtX, s: Sketch, codes: int, scale: int, zero: int) -> str:
    """``(code - zero) * scale``, for all or for each column."""
    beside = (
        s("Squeeze", s.input(i)) if node.has(i) and node.shape(i) == (1,) else s.input(i)
        for i in (scale, zero)
    )
    return s("DequantizeLinear", s.input(codes), *beside, axis=1)
