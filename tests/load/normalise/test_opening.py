"""Operators that onnxruntime has for GPUs alone, written as standard ones.

Each is held to a twin of a few lines, after the operator's documentation, and linearised.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import special

import onnxlin
from onnxlin.graph import Array
from onnxlin.load import load
from tests.rules.runtime_only import node_model, numbers

Twin = Callable[[dict[str, Array]], Array]


def assert_opened(
    op_type: str, x: dict[str, Array], fixed: dict[str, Array], twin: Twin, **how: Any
) -> None:
    """The model computes what the twin does; its map is verified in both readings."""
    proto = node_model(op_type, x, fixed, **how)
    assert op_type not in {node.op_type for node in load(proto).nodes}
    wide = {name: value.astype(np.float64) for name, value in {**x, **fixed}.items()}
    want = twin(wide)
    for mode in ("tangent", "frozen"):
        for engine in ("reverse", "compiled"):
            m = onnxlin.linearize(proto, x, mode=mode, engine=engine, outputs="y").verify()
            # float32, some ten roundings of numbers not above those that are normalised
            np.testing.assert_allclose(m.y.reshape(want.shape), want, rtol=1e-5, atol=1e-5)


def normalised(x: Array, v: dict[str, Array], groups: int, *, act: int) -> Array:
    """Of pictures with channels last."""
    n, h, w, c = x.shape
    parts = x.reshape(n, h * w, groups, c // groups)
    mean, var = (f(parts, axis=(1, 3), keepdims=True) for f in (np.mean, np.var))
    y = ((parts - mean) / np.sqrt(var + 1e-5)).reshape(x.shape) * v["g"] + v["b"]
    return y * special.expit(y) if act else y


GAINS = {"g": numbers(1, 4), "b": numbers(2, 4)}


@pytest.mark.parametrize("act", [0, 1])
@pytest.mark.parametrize("last", [0, 1])
def test_group_norm(act: int, last: int) -> None:
    x = numbers(0, 2, 3, 2, 4)
    options = {"groups": 2, "activation": act, "channels_last": last, "epsilon": 1e-5}
    turned = x if last else x.transpose(0, 3, 1, 2)

    def twin(v: dict[str, Array]) -> Array:
        y = normalised(x.astype(np.float64), v, 2, act=act)
        return y if last else y.transpose(0, 3, 1, 2)

    assert_opened("GroupNorm", {"x": turned}, GAINS, twin, **options)


@pytest.mark.parametrize("shape", [(2, 3, 2, 4), (2, 1, 1, 4), (2, 4)])
def test_skip_group_norm(shape: tuple[int, ...]) -> None:
    x = {"x": numbers(0, 2, 3, 2, 4), "skip": numbers(3, *shape)}
    fixed = GAINS | {"z": numbers(4, 4)}

    def total(v: dict[str, Array]) -> Array:
        return np.asarray(
            v["x"] + v["skip"].reshape(2, *(shape[1:3] if len(shape) == 4 else (1, 1)), 4) + v["z"]
        )

    order, outputs = ("x", "g", "b", "skip", "z"), ("y", "s")
    twin = lambda v: normalised(total(v), v, 2, act=1)
    options = {"groups": 2, "activation": 1, "epsilon": 1e-5, "outputs": outputs, "order": order}
    assert_opened("SkipGroupNorm", x, fixed, twin, **options)


def test_sums_of_diffusion_models() -> None:
    x = {"x": numbers(5, 2, 3, 4), "skip": numbers(6, 2, 3, 4)}
    fixed, order = {"b": numbers(7, 4)}, ("x", "b", "skip")
    assert_opened("BiasAdd", x, fixed, lambda v: v["x"] + v["b"] + v["skip"], order=order)

    def split(v: dict[str, Array]) -> Array:
        a, b = np.split(v["x"] + v["b"], 2, axis=-1)
        return np.asarray(a * b * special.ndtr(b))

    assert_opened("BiasSplitGelu", {"x": x["x"]}, fixed, split)


COUNTS = [1, 3, 2]
ENDS = np.cumsum([0, *COUNTS]).astype(np.int32)
OFFSET = np.array([[0, 3, 4], [5, 6, 7], [1, 2, 8]], np.int32)


def attended(q: Array, k: Array, v: Array, bias: Array | None, scale: float) -> Array:
    """Attention of two heads, one sequence after the other."""
    rows = []
    for s, (start, end) in enumerate(pairwise(ENDS)):
        size, heads = end - start, []
        for n in range(2):
            own = slice(2 * n, 2 * n + 2)
            scores = scale * q[start:end, own] @ k[start:end, own].T
            if bias is not None:
                of = bias[min(s, len(bias) - 1), min(n, bias.shape[1] - 1)]
                scores = scores + of[:size, :size]
            heads.append(special.softmax(scores, axis=1) @ v[start:end, own])
        rows.append(np.concatenate(heads, axis=1))
    return np.concatenate(rows)


@pytest.mark.parametrize("bias", [None, (3, 2, 3, 3), (1, 1, 3, 3)])
def test_attention_without_padding(bias: tuple[int, ...] | None) -> None:
    x = {"x": numbers(8, 6, 4)}
    fixed = {"w": numbers(9, 4, 12, scale=0.5), "b": numbers(10, 12), "at": OFFSET, "n": ENDS}
    fixed |= {} if bias is None else {"added": numbers(11, *bias)}

    def twin(v: dict[str, Array]) -> Array:
        parts = np.split(v["x"] @ v["w"] + v["b"], 3, axis=1)
        return attended(*parts, v.get("added"), 2**-0.5)

    assert_opened("PackedAttention", x, fixed, twin, num_heads=2)


@pytest.mark.parametrize("packed", [False, True])
def test_projected_attention_without_padding(*, packed: bool) -> None:
    q, k, v = (numbers(i, 6, 4) for i in (12, 13, 14))
    whole = np.stack([part.reshape(6, 2, 2) for part in (q, k, v)], axis=2)
    x = {"q": whole} if packed else {"q": q, "k": k, "v": v}
    fixed = {"b": numbers(15, 12), "at": OFFSET, "n": ENDS}
    order = ("q", "", "", "b", "at", "n") if packed else ("q", "k", "v", "b", "at", "n")
    parts = [part.astype(np.float64) for part in (q, k, v)]

    def twin(w: dict[str, Array]) -> Array:
        shifted = [p + s for p, s in zip(parts, np.split(w["b"], 3), strict=True)]
        return attended(*shifted, None, 0.25)

    options = {"num_heads": 2, "scale": 0.25, "order": order}
    assert_opened("PackedMultiHeadAttention", x, fixed, twin, **options)


def test_padding_goes_and_comes_back() -> None:
    x, counts = {"x": numbers(16, 3, 3, 2)}, {"n": np.array(COUNTS, np.int32)}
    proto = node_model("RemovePadding", x, counts, outputs=("y", "at", "ends", "longest"))
    found = onnxlin.Linearizer(proto, outputs="y")
    m = found(x).verify()
    assert m.y.reshape(6, 2).tolist() == x["x"].reshape(9, 2)[[0, 3, 4, 5, 6, 7]].tolist()
    assert_opened(
        "RestorePadding",
        {"x": m.y.reshape(6, 2).astype(np.float32)},
        {"at": np.array([[0, 3, 4], [5, 6, 7], [1, 2, 8]], np.int32)},
        lambda v: np.where(
            np.arange(3)[None, :, None] < np.array(COUNTS)[:, None, None], x["x"], 0
        ),
    )


def bucket(distance: int, buckets: int, longest: int, *, both: bool) -> int:
    """Of T5: exact up to half of them, by the logarithm beyond."""
    first = 0
    if both:
        buckets //= 2
        first, distance = (buckets if distance > 0 else 0), abs(distance)
    else:
        distance = max(-distance, 0)
    exact = buckets // 2
    if distance < exact:
        return first + distance
    far = np.log(distance / exact) / np.log(longest / exact) * (buckets - exact)
    return first + min(exact + int(far), buckets - 1)


@pytest.mark.parametrize("both", [False, True])
def test_biases_of_relative_positions(*, both: bool) -> None:
    x, lengths = {"table": numbers(17, 8, 3)}, np.array([11])

    def twin(v: dict[str, Array]) -> Array:
        at = [[bucket(k - q, 8, 10, both=both) for k in range(11)] for q in range(11)]
        return np.asarray(v["table"].reshape(3, 8)[:, at][None])

    fixed = {"q": lengths, "k": lengths}
    options = {"max_distance": 10, "is_bidirectional": int(both)}
    assert_opened("RelativePositionBias", x, fixed, twin, **options)


def test_gated_biases() -> None:
    x = {"q": numbers(18, 2, 3, 4)}
    fixed = {
        "qb": numbers(19, 4), "rel": numbers(20, 1, 2, 3, 3), "w": numbers(21, 2, 4),
        "b": numbers(22, 4), "a": numbers(23, 1, 2, 1, 1),
    }  # fmt: skip

    def twin(v: dict[str, Array]) -> Array:
        q = (v["q"] + v["qb"]).reshape(2, 3, 2, 2).transpose(0, 2, 1, 3)
        sums = (q @ v["w"] + v["b"]).reshape(2, 2, 3, 2, 2).sum(-1)
        u, r = np.split(special.expit(sums), 2, axis=-1)
        return np.asarray((u * (r * v["a"] - 1) + 2) * v["rel"])

    assert_opened("GatedRelativePositionBias", x, fixed, twin, num_heads=2)
    packed = node_model("GatedRelativePositionBias", x, fixed | {"at": OFFSET}, num_heads=2)
    with pytest.raises(onnxlin.UnsupportedNodeError, match="lie packed"):
        load(packed)
