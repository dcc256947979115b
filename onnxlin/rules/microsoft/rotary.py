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
    """Causal attention in which groups of queries share a key and a value.

    Sequences of a batch may be of different lengths: then each is attended to by itself.
    """
    _require_plain(node)
    batch, length, _ = node.shape(0)
    totals = np.broadcast_to(node.native(5).reshape(-1).astype(np.int64) + 1, (batch,))
    qkv = _apart(node, s)
    if node.attr("do_rotary"):
        given = node.native(9) if node.has(9) else totals[:, None] - length + np.arange(length)
        turn = turns(node, 7, np.broadcast_to(given, (batch, length)))
        pairs = bool(node.attr("rotary_interleaved"))
        qkv[:2] = [rotated(s, x, turn, interleaved=pairs) for x in qkv[:2]]
    if (totals == totals[0]).all():
        y, k, v = _attended(node, s, qkv, slice(0, batch), int(totals[0]))
        fits = len(node.node.outputs) < 2 or node.out_shapes[1][2] == totals[0]
        return [y, k, v] if fits else [y]
    each = []
    for i, total in enumerate(totals.tolist()):
        own = slice(i, i + 1)
        y, *kept = _attended(node, s, [_of(s, x, own) for x in qkv], own, total)
        each.append([y, *(_longer(node, s, x, total) for x in kept)])
    return [s("Concat", *parts, axis=0) for parts in zip(*each, strict=True)]


def _attended(
    node: NodeAtX, s: Sketch, qkv: list[str], own: slice, total: int
) -> tuple[str, str, str]:
    """Attend in sequences that have one length: y, and the keys and values of all tokens.

    Parameters
    ----------
    qkv : list of str
        Queries, keys and values of the new tokens, of these sequences.
    own : slice
        Which sequences of the batch they are.
    total : int
        Tokens of each, with those before.
    """
    (q, *kv), start = qkv, total - node.shape(0)[1]
    if node.has(3) and start:
        past = (s.crop(_own(node, s, i, own), 2, 0, start) for i in (3, 4))
        kv = [s("Concat", old, new, axis=2) for old, new in zip(past, kv, strict=True)]
    weights = _weights(node, s, (q, _repeated(node, s, kv[0])), total, own)
    return merged(s, s("MatMul", weights, _repeated(node, s, kv[1]))), kv[0], kv[1]


def _own(node: NodeAtX, s: Sketch, i: int, own: slice) -> str:
    """Input ``i`` for some sequences of the batch."""
    whole = node.shape(i)[0] == own.stop - own.start or node.shape(i)[0] == 1
    return s.input(i) if whole else _of(s, s.input(i), own)


def _of(s: Sketch, x: str, own: slice) -> str:
    return s.crop(x, 0, own.start, own.stop)


def _longer(node: NodeAtX, s: Sketch, x: str, total: int) -> str:
    """Keys or values with zeros behind, as many as the cache of the longest sequence has."""
    shape = node.out_shapes[1] if len(node.node.outputs) > 1 else ()
    if not shape or shape[2] == total:
        return x
    return s("Concat", x, np.zeros((1, shape[1], shape[2] - total, shape[3])), axis=2)


def _require_plain(node: NodeAtX) -> None:
    """Refuse caches that are quantised or windowed, and sequences of unequal lengths."""
    node.ignore("kv_cache_bit_width", "qk_norm_epsilon", "q_norm_epsilon", "k_norm_epsilon")
    # Older onnxruntimes have no such attributes.
    if {node.attr("k_quant_type"), node.attr("v_quant_type")} - {None, "NONE"}:
        raise node.refuse("the cache is quantised")
    if node.attr("sliding_window_cache") or node.attr("qk_output"):
        raise node.refuse("sliding_window_cache or qk_output is set")
    if any(node.has(i) for i in (14, 15, 16)):
        raise node.refuse("queries and keys are normalised, or padded on the right")
    ends, length = node.native(5).reshape(-1), node.shape(0)[1]
    if ends.min() + 1 < length:
        raise node.refuse(
            f"of {length} new tokens sequences end at {ends.tolist()}, so the last are padding; "
            "give it one sequence at a time, without padding"
        )


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


def _weights(node: NodeAtX, s: Sketch, qk: tuple[str, str], total: int, own: slice) -> str:
    """Weights of the keys: ``(B, N, S, T)``."""
    q, k = qk
    length, size = node.shape(0)[1], node.shape(0)[2] // node.attr("num_heads")
    if not node.has(1):
        size = node.shape(0)[2] // sum(_counts(node))
    scale, cap = node.attr("scale"), node.attr("softcap")
    scores = s("MatMul", q, s.transpose(k, 0, 1, 3, 2))
    scores = s("Mul", scores, scale if scale else 1 / float(np.sqrt(size)))
    if cap:
        scores = s("Mul", s("Tanh", s("Mul", scores, 1 / cap)), cap)
    if node.has(10):
        scores = s("Add", scores, s.crop(_own(node, s, 10, own), 3, 0, total))
    seen, place = total - length + np.arange(length)[:, None], np.arange(total)
    window, kept = node.attr("local_window_size"), np.full((length, total), fill_value=True)
    if node.attr("causal") in (None, 1):  # where there is no such attribute it always is
        kept &= place <= seen
    if window > 0:
        kept &= place > seen - window
    scores = s("Where", kept, scores, LATER)
    if node.has(11) or node.attr("smooth_softmax") == 1:
        return _with_sink(node, s, scores, total, own.stop - own.start)
    return s("Softmax", scores, axis=-1)


def _with_sink(node: NodeAtX, s: Sketch, scores: str, total: int, batch: int) -> str:
    """Softmax with one more score, 0 or one a head, that no key stands for."""
    shape = (batch, node.attr("num_heads"), node.shape(0)[1], 1)
    sink = s.reshape(s.input(11), 1, -1, 1, 1) if node.has(11) else s.constant(0.0)
    wide = s("Expand", sink, np.array(shape, dtype=np.int64))
    weights = s("Softmax", s("Concat", scores, wide, axis=3), axis=-1)
    return s.crop(weights, 3, 0, total)
