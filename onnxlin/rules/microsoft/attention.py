"""Attention as onnxruntime fuses it: ``com.microsoft`` Attention and MultiHeadAttention."""

from __future__ import annotations

import numpy as np

from onnxlin.primitives import Array, Shape
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.sketch import Sketch, drawn
from onnxlin.rules.microsoft.fused import MS

# Added to the scores of masked keys where the file names no number, and of later tokens.
MASKED, LATER = -10000.0, -1e30


def heads(s: Sketch, x: str, shape: Shape, count: int) -> str:
    """``(B, S, N h) -> (B, N, S, h)``."""
    batch, length, hidden = shape
    return s.transpose(s.reshape(x, batch, length, count, hidden // count), 0, 2, 1, 3)


def attend(
    s: Sketch, qkv: tuple[str, str, str], scale: float, added: list[str | Array]
) -> tuple[str, str]:
    """Return ``softmax(scale q k' + added) v`` with its heads merged, and the scores.

    ``q : (B, N, S, h), k : (B, N, T, h), v : (B, N, T, g) -> (B, S, N g)``.
    """
    q, k, v = qkv
    scores = s("Mul", s("MatMul", q, s.transpose(k, 0, 1, 3, 2)), scale)
    for term in added:
        scores = s("Add", scores, term)
    return merged(s, s("MatMul", s("Softmax", scores, axis=-1), v)), scores


def merged(s: Sketch, y: str) -> str:
    """``(B, N, S, h) -> (B, S, N h)``."""
    return s.reshape(s.transpose(y, 0, 2, 1, 3), 0, 0, -1)


def masked(node: NodeAtX, s: Sketch, i: int, shape: tuple[int, int, int]) -> list[str | Array]:
    """What the mask in input ``i``, in any of its forms, adds to the scores ``(B, N, S, T)``.

    Parameters
    ----------
    shape : (B, S, T)
    """
    value = node.attr("mask_filter_value")
    if not node.has(i):
        return []
    counts = _counts(node, s, i, shape)
    return [s("Where", counts, 0.0, MASKED if value is None else value)]


def _counts(node: NodeAtX, s: Sketch, i: int, shape: tuple[int, int, int]) -> str:
    """Which keys count, ``(B, 1, S or 1, T)``, in the graph: a mask may be fed."""
    mask, given, (batch, length, total) = s.input(i), node.shape(i), shape
    kind = node.operand(i).native.dtype
    if len(given) == 1 and given[0] in (batch, 2 * batch):
        place = np.arange(total, dtype=kind)
        ends = s.reshape(s.crop(mask, 0, 0, batch), batch, 1, 1, 1)
        before = s("Less", place, ends)
        if given[0] == batch:
            return before
        starts = s.reshape(s.crop(mask, 0, batch, 2 * batch), batch, 1, 1, 1)
        return s("And", before, s("GreaterOrEqual", place, starts))
    if len(given) == 1:
        raise node.refuse(f"its mask has shape {given}")
    if len(given) == 4:
        mask = s.crop(s.crop(mask, 2, total - length, total), 3, 0, total)
    else:
        mask = s("Unsqueeze", mask, np.array([1, 2] if len(given) == 2 else [1]))
    return s("Greater", mask, np.zeros((), kind))


def causal(length: int, total: int) -> Array:
    """What keeps each token from those after it: ``(S, T)``."""
    return np.where(np.tri(length, total, total - length, dtype=bool), 0.0, LATER)


@drawn("Attention", domain=MS)
def attention(node: NodeAtX, s: Sketch) -> list[str]:
    """Self-attention that projects its input itself; the past comes before the present."""
    for name in ("do_rotary", "past_present_share_buffer"):
        if node.attr(name):
            raise node.refuse(f"{name} is set")
    node.ignore("rotary_embedding_dim")
    (batch, length, _), count = node.shape(0), node.attr("num_heads")
    projected = s("MatMul", s.input(0), s.input(1))
    projected = s("Add", projected, s.input(2)) if node.has(2) else projected
    sizes = node.attr("qkv_hidden_sizes") or [node.shape(1)[1] // 3] * 3
    parts = s.several("Split", 3, projected, np.array(sizes, dtype=np.int64), axis=2)
    shapes = [(batch, length, size) for size in sizes]
    q, k, v = (heads(s, x, shape, count) for x, shape in zip(parts, shapes, strict=True))
    present = ""
    if node.has(4):
        past = [s("Gather", s.input(4), np.array(i), axis=0) for i in (0, 1)]
        k, v = (s("Concat", old, new, axis=2) for old, new in zip(past, (k, v), strict=True))
    if len(node.node.outputs) > 1:
        ahead = np.array([0])
        present = s("Concat", s("Unsqueeze", k, ahead), s("Unsqueeze", v, ahead), axis=0)
    total = length + (node.shape(4)[3] if node.has(4) else 0)
    added = masked(node, s, 3, (batch, length, total)) + _further(node, s, 5, length, total)
    y, _ = attend(s, (q, k, v), scale_of(node, sizes[0] // count), added)
    return [y, present]


def _further(node: NodeAtX, s: Sketch, bias: int, length: int, total: int) -> list[str | Array]:
    """What the order of tokens and the bias in an input add to the scores."""
    later: list[str | Array] = [causal(length, total)] if node.attr("unidirectional") else []
    return later + ([s.input(bias)] if node.has(bias) else [])


def scale_of(node: NodeAtX, size: int) -> float:
    """What scores are multiplied by: by default one over the root of a head's size."""
    given = node.attr("scale")
    return float(given) if given else 1 / float(np.sqrt(size))


@drawn("MultiHeadAttention", domain=MS)
def multi_head_attention(node: NodeAtX, s: Sketch) -> list[str]:
    """Attention of projected queries to projected keys and values, theirs or of the past."""
    if len(node.shape(0)) != 3 or not (node.has(1) and node.has(2)) or node.has(9):
        raise node.refuse("its queries, keys and values are packed, or its cache is indirect")
    count, (batch, length, hidden) = node.attr("num_heads"), node.shape(0)
    q, k, v = (_side(node, s, i, count) for i in range(3))
    if node.has(6):
        k, v = (s("Concat", s.input(i), x, axis=2) for i, x in ((6, k), (7, v)))
    keys = node.shape(1)
    total = (keys[1] if len(keys) == 3 else keys[2]) + (node.shape(6)[2] if node.has(6) else 0)
    added = masked(node, s, 4, (batch, length, total)) + _further(node, s, 5, length, total)
    y, scores = attend(s, (q, k, v), scale_of(node, hidden // count), added)
    return [y, k, v, scores]


def _side(node: NodeAtX, s: Sketch, i: int, count: int) -> str:
    """Queries, keys or values, with their part of the bias: ``(B, N, S, h)``."""
    shape, x = node.shape(i), s.input(i)
    if len(shape) == 4:
        return x  # keys and values of another sequence come with their heads apart
    if node.has(3):
        start = sum(node.shape(j)[-1] for j in range(i))
        x = s("Add", x, s.crop(s.input(3), 0, start, start + shape[2]))
    return heads(s, x, shape, count)
