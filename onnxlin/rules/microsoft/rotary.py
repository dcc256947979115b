"""Rotary embeddings, and the grouped attention that uses them, of ``com.microsoft``."""

from __future__ import annotations

import numpy as np

from onnxlin.primitives import Array
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.sketch import Sketch, drawn
from onnxlin.rules.microsoft.attention import LATER, heads, merged
from onnxlin.rules.microsoft.fused import MS


def rotated(s: Sketch, x: str, turn: tuple[Array, Array], *, interleaved: bool) -> str:
    """Turn pairs of features by angles: ``(B, N, S, h)``, cosines and sines ``(B, S, r / 2)``.

    Features from ``r`` on stay. Pairs are neighbours if interleaved, else half of ``r`` apart.
    """
    cosine, sine = (part[:, None] for part in turn)
    half = cosine.shape[-1]
    turned, rest = s.crop(x, 3, 0, 2 * half), s.crop(x, 3, 2 * half, np.iinfo(np.int64).max)
    if interleaved:
        places = [np.arange(first, 2 * half, 2) for first in (0, 1)]
        a, b = (s("Gather", turned, place, axis=3) for place in places)
    else:
        a, b = s.crop(turned, 3, 0, half), s.crop(turned, 3, half, 2 * half)
    real = s("Sub", s("Mul", a, cosine), s("Mul", b, sine))
    imaginary = s("Add", s("Mul", a, sine), s("Mul", b, cosine))
    both = s("Concat", real, imaginary, axis=3)
    if interleaved:
        both = s("Gather", both, np.arange(2 * half).reshape(2, half).T.ravel(), axis=3)
    return s("Concat", both, rest, axis=3)


def turns(node: NodeAtX, cosine: int, places: Array) -> tuple[Array, Array]:
    """Cosines and sines at each position: ``(B, S) -> (B, S, r / 2)``, twice."""
    return node.constant(cosine)[places], node.constant(cosine + 1)[places]


@drawn("RotaryEmbedding", domain=MS)
def rotary_embedding(node: NodeAtX, s: Sketch) -> str:
    """Turn pairs of features by angles that grow with the position."""
    node.ignore("scale", "is_packed_batching")  # the kernel does
    shape, x, half = node.shape(0), s.input(0), node.shape(2)[1]
    apart = len(shape) == 4
    batch, length = (shape[0], shape[2]) if apart else shape[:2]
    if not apart:
        count = node.attr("num_heads") if node.attr("rotary_embedding_dim") else 0
        x = heads(s, x, shape, count or shape[2] // (2 * half))
    node.ignore("num_heads", "rotary_embedding_dim")
    places = node.native(1)
    if places.size == 1:
        places = places.reshape(1, 1) + np.arange(length)
    places = np.broadcast_to(places, (batch, length))
    y = rotated(s, x, turns(node, 2, places), interleaved=bool(node.attr("interleaved")))
    return y if apart else merged(s, y)


@drawn("GroupQueryAttention", domain=MS)
def group_query_attention(node: NodeAtX, s: Sketch) -> list[str]:
    """Causal attention in which groups of queries share a key and a value."""
    _require_plain(node)
    (batch, length, _), total = node.shape(0), int(node.native(5).reshape(-1)[0]) + 1
    q, k, v = _apart(node, s)
    start = total - length
    if node.attr("do_rotary"):
        given = node.native(9) if node.has(9) else start + np.arange(length)[None]
        turn = turns(node, 7, np.broadcast_to(given, (batch, length)))
        pairs = bool(node.attr("rotary_interleaved"))
        q, k = (rotated(s, x, turn, interleaved=pairs) for x in (q, k))
    if node.has(3) and start:
        k, v = (
            s("Concat", s.crop(s.input(i), 2, 0, start), x, axis=2) for i, x in ((3, k), (4, v))
        )
    weights = _weights(node, s, q, _repeated(node, s, k), total)
    y = merged(s, s("MatMul", weights, _repeated(node, s, v)))
    fits = len(node.node.outputs) < 2 or node.out_shapes[1][2] == total
    return [y, k, v] if fits else [y]


def _require_plain(node: NodeAtX) -> None:
    """Refuse caches that are quantised or windowed, and sequences of unequal lengths."""
    node.ignore("kv_cache_bit_width", "qk_norm_epsilon", "q_norm_epsilon", "k_norm_epsilon")
    if node.attr("k_quant_type") != "NONE" or node.attr("v_quant_type") != "NONE":
        raise node.refuse("the cache is quantised")
    if node.attr("sliding_window_cache") or node.attr("qk_output"):
        raise node.refuse("sliding_window_cache or qk_output is set")
    if any(node.has(i) for i in (14, 15, 16)):
        raise node.refuse("queries and keys are normalised, or padded on the right")
    ends, length = node.native(5).reshape(-1), node.shape(0)[1]
    if np.any(ends != ends[0]) or ends[0] + 1 < length:
        raise node.refuse(f"the sequences end at {ends.tolist()}, with {length} new tokens")


def _apart(node: NodeAtX, s: Sketch) -> list[str]:
    """Queries, keys and values, ``(B, heads, S, h)``, whether packed in one input or not."""
    (batch, length, hidden), counts = node.shape(0), _counts(node)
    if node.has(1):
        return [heads(s, s.input(i), node.shape(i), n) for i, n in enumerate(counts)]
    size = hidden // sum(counts)
    widths = [n * size for n in counts]
    parts = s.several("Split", 3, s.input(0), np.array(widths, dtype=np.int64), axis=2)
    shapes = [(batch, length, width) for width in widths]
    return [heads(s, *each) for each in zip(parts, shapes, counts, strict=True)]


def _counts(node: NodeAtX) -> list[int]:
    return [node.attr("num_heads"), node.attr("kv_num_heads"), node.attr("kv_num_heads")]


def _repeated(node: NodeAtX, s: Sketch, x: str) -> str:
    """Give each query head the key, or value, of its group."""
    count, shared, _ = _counts(node)
    place = np.arange(count) // (count // shared)
    return x if count == shared else s("Gather", x, place, axis=1)


def _weights(node: NodeAtX, s: Sketch, q: str, k: str, total: int) -> str:
    """Weights of the keys: ``(B, N, S, T)``."""
    length, size = node.shape(0)[1], node.shape(0)[2] // node.attr("num_heads")
    if not node.has(1):
        size = node.shape(0)[2] // sum(_counts(node))
    scale, cap = node.attr("scale"), node.attr("softcap")
    scores = s("MatMul", q, s.transpose(k, 0, 1, 3, 2))
    scores = s("Mul", scores, scale if scale else 1 / float(np.sqrt(size)))
    if cap:
        scores = s("Mul", s("Tanh", s("Mul", scores, 1 / cap)), cap)
    if node.has(10):
        scores = s("Add", scores, s.crop(s.input(10), 3, 0, total))
    seen, place = total - length + np.arange(length)[:, None], np.arange(total)
    window, kept = node.attr("local_window_size"), np.full((length, total), fill_value=True)
    if node.attr("causal"):
        kept &= place <= seen
    if window > 0:
        kept &= place > seen - window
    scores = s("Where", kept, scores, LATER)
    if node.has(11) or node.attr("smooth_softmax") == 1:
        return _with_sink(node, s, scores, total)
    return s("Softmax", scores, axis=-1)


def _with_sink(node: NodeAtX, s: Sketch, scores: str, total: int) -> str:
    """Softmax with one more score, 0 or one a head, that no key stands for."""
    shape = (node.shape(0)[0], node.attr("num_heads"), node.shape(0)[1], 1)
    sink = s.reshape(s.input(11), 1, -1, 1, 1) if node.has(11) else s.constant(0.0)
    wide = s("Expand", sink, np.array(shape, dtype=np.int64))
    weights = s("Softmax", s("Concat", scores, wide, axis=3), axis=-1)
    return s.crop(weights, 3, 0, total)
