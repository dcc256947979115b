"""The operators of ``com.microsoft`` that onnxruntime's optimiser writes, against the runtime."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from scipy import special

from onnxlin import Linearizer, check_model
from onnxlin.errors import UnsupportedNodeError
from onnxlin.operators.schemas import default_values
from tests.installed import absent, require_survival
from tests.rules.runtime_only import (
    MS,
    Array,
    Feeds,
    assert_derivative,
    both_modes,
    node_model,
    numbers,
    refusal,
)


def ints(*values: int, dtype: Any = np.int32) -> Array:
    return np.array(values, dtype=dtype)


def assert_agrees(op_type: str, x: Feeds, fixed: Feeds | None = None, **options: Any) -> None:
    """Both readings are verified, and the tangent is the derivative."""
    proto = node_model(op_type, x, fixed, **options)
    both_modes(proto, x)
    assert_derivative(proto, x)


ACTIVATIONS: list[tuple[str | None, list[float] | None]] = [
    (None, None),
    ("Relu", None),
    ("Tanh", None),
    ("Sigmoid", None),
    ("LeakyRelu", [0.125]),
    ("Clip", [-0.25, 0.5]),
    ("HardSigmoid", [0.25, 0.5]),
]


@pytest.mark.parametrize(("name", "values"), ACTIVATIONS)
def test_fused_conv(name: str | None, values: list[float] | None) -> None:
    x = {"x": numbers(0, 1, 2, 5, 4)}
    fixed = {"w": numbers(1, 3, 2, 3, 3, scale=0.25), "b": numbers(2, 3)}
    options: dict[str, Any] = {"activation": name, "activation_params": values}
    both_modes(node_model("FusedConv", x, fixed, **options, kernel_shape=[3, 3]), x)
    x["z"] = numbers(3, 1, 3, 5, 4)
    order, pads = ("x", "w", "b", "z"), [1, 1, 1, 1]
    both_modes(node_model("FusedConv", x, fixed, order=order, pads=pads, **options), x)


@pytest.mark.parametrize("name", ["Relu", "Tanh"])
def test_fused_gemm(name: str) -> None:
    x, w, c = numbers(4, 2, 4), numbers(5, 3, 4), numbers(6, 3)
    options = {"activation": name, "transB": 1, "alpha": 0.5}
    proto = node_model("FusedGemm", {"x": x}, {"w": w, "c": c}, **options)
    m, _ = both_modes(proto, {"x": x})
    z = 0.5 * x.astype(np.float64) @ w.T + c
    slope = z > 0 if name == "Relu" else 1 - np.tanh(z) ** 2
    twin = slope.ravel()[:, None] * np.kron(np.eye(2), 0.5 * w)
    np.testing.assert_allclose(m.W, twin, atol=1e-14)


@pytest.mark.parametrize("turn_a", [0, 1])
@pytest.mark.parametrize("turn_b", [0, 1])
def test_fused_matmul(turn_a: int, turn_b: int) -> None:
    a = {"a": numbers(7, *((2, 3, 4) if not turn_a else (2, 4, 3)))}
    b = {"b": numbers(8, *((2, 4, 5) if not turn_b else (2, 5, 4)))}
    options = {"transA": turn_a, "transB": turn_b, "alpha": 0.5}
    assert_agrees("FusedMatMul", a, b, **options)
    assert_agrees("FusedMatMul", {**a, **b}, **options)
    assert_agrees("TransposeMatMul", a, b, **options)
    moved = {"a": numbers(9, *((3, 2, 4) if not turn_a else (4, 2, 3)))}
    assert_agrees("FusedMatMul", moved, b, **options, transBatchA=1)


def test_gelus() -> None:
    x, b = {"x": numbers(10, 2, 4)}, {"b": numbers(11, 4)}
    for op_type in ("Gelu", "FastGelu", "QuickGelu"):
        assert_agrees(op_type, x)
    assert_agrees("BiasGelu", x, b)
    assert_agrees("FastGelu", x, b)
    assert_agrees("QuickGelu", x, alpha=1.0)
    assert_agrees("ScaledSiLU", x, alpha=0.5)


def test_frozen_gelus_hold_their_gates() -> None:
    x = {"x": numbers(12, 6)}
    z = x["x"].astype(np.float64)
    _, m = both_modes(node_model("Gelu", x), x)
    np.testing.assert_allclose(m.W, np.diag(special.ndtr(z)), atol=1e-15)
    _, m = both_modes(node_model("QuickGelu", x), x)
    # The default of the runtime's schema is a float32 number.
    np.testing.assert_allclose(m.W, np.diag(special.expit(np.float32(1.702) * z)), atol=1e-15)


def test_defaults_come_from_the_runtime_where_onnx_has_no_schema() -> None:
    assert default_values("FusedMatMul", MS)["alpha"].f == 1
    assert default_values("Gemm", "")["alpha"].f == 1
    assert default_values("NoSuchOperator", MS) == {}


def test_moves() -> None:
    x = {"x": numbers(13, 2, 3, 4)}
    assert_agrees("Trilu", x)
    assert_agrees("Trilu", x, {"k": np.array(1, dtype=np.int64)}, upper=0)
    assert_agrees("GatherND", x, {"at": np.array([[0, 1], [1, -1]])})
    assert_agrees("UnfoldTensor", x, dim=2, size=3, step=1)


def test_expand_dims() -> None:
    x, fixed = {"x": numbers(13, 2, 3, 4)}, {"axis": np.array(1, dtype=np.int32)}
    require_survival(node_model("ExpandDims", x, fixed))
    assert_agrees("ExpandDims", x, fixed)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
def test_pad(mode: str) -> None:
    value = np.array([0.5], dtype=np.float32)
    fixed = {"pads": ints(0, 1, 1, 2, dtype=np.int64), "value": value}
    assert_agrees("Pad", {"x": numbers(14, 2, 4)}, fixed, mode=mode)


def test_unique_reads_where_a_value_stands_first() -> None:
    x = np.array([2.0, -1.0, 2.0, 0.5, -1.0], dtype=np.float32)
    proto = node_model("Unique", {"x": x}, outputs=("y", "at", "counts"))
    for m in both_modes(proto, {"x": x}):
        np.testing.assert_array_equal(m.W.sum(axis=0), [1, 1, 0, 1, 0])


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean"])
def test_distances(metric: str) -> None:
    x = {"a": numbers(15, 3, 2), "b": numbers(16, 4, 2)}
    assert_agrees("CDist", x, metric=metric)


def test_inverse() -> None:
    x = numbers(17, 2, 3, 3) + 4 * np.eye(3, dtype=np.float32)
    assert_agrees("Inverse", {"x": x})
    _, frozen = both_modes(node_model("Inverse", {"x": x}), {"x": x})
    np.testing.assert_array_equal(frozen.W, 0)


def test_transposed_convolution_with_pads_as_an_input() -> None:
    fixed = {"w": numbers(18, 2, 3, 3, 3), "pads": ints(1, 1, 1, 1, dtype=np.int64)}
    assert_agrees("ConvTransposeWithDynamicPads", {"x": numbers(19, 1, 2, 3, 3)}, fixed)


def test_skip_layer_normalisations() -> None:
    x = {"x": numbers(20, 1, 2, 4), "skip": numbers(21, 1, 2, 4)}
    scale, shift, bias = ({name: numbers(i, 4)} for i, name in enumerate("gbz", 22))
    sums = ("y", "", "", "total")
    assert_agrees("SkipLayerNormalization", x, scale | shift)
    assert_agrees("SkipLayerNormalization", x, scale | shift | bias, outputs=sums, epsilon=1e-3)
    assert_agrees("SkipSimplifiedLayerNormalization", x, scale | bias, outputs=sums, epsilon=1e-3)
    alone = {"x": x["x"]}
    assert_agrees("SkipLayerNormalization", alone, {"skip": numbers(25, 2, 4)} | scale | shift)
    assert_agrees("SimplifiedLayerNormalization", alone, scale, domain="")
    assert_agrees("GatedRMSNorm", x, scale, order=("x", "g", "skip"))


def test_frozen_skip_layer_normalisation_by_hand() -> None:
    x, scale = numbers(26, 1, 1, 4), numbers(27, 4)
    fixed = {"skip": numbers(28, 1, 1, 4), "g": scale, "b": numbers(29, 4)}
    proto = node_model("SkipLayerNormalization", {"x": x}, fixed, epsilon=1e-3)
    _, m = both_modes(proto, {"x": x})
    z = (x + fixed["skip"]).astype(np.float64).ravel()
    centre = np.eye(4) - 0.25
    deviation = np.sqrt(z.var() + np.float32(1e-3))
    np.testing.assert_allclose(m.W, scale[:, None] / deviation * centre, atol=1e-14)


MASKS = {
    "none": None,
    "ends": ints(2, 3),
    "ends and starts": ints(2, 3, 0, 1),
    "keys": np.array([[1, 1, 0], [0, 1, 1]], dtype=np.int32),
    "pairs": np.tril(np.ones((2, 3, 3), dtype=np.int32))[:, ::-1].copy(),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("causal", [0, 1])
def test_attention(mask: str, causal: int) -> None:
    x = {"x": numbers(30, 2, 3, 4)}
    fixed = {"w": numbers(31, 4, 12, scale=0.5), "b": numbers(32, 12, scale=0.5)}
    found = MASKS[mask]
    given = {} if found is None else {"m": found}
    options: dict[str, Any] = {"num_heads": 2, "unidirectional": causal}
    both_modes(node_model("Attention", x, fixed | given, **options), x)
    # A mask that is fed is in the compiled graph: at another it is another map.
    order = ("x", "w", "b", *given)
    lin = Linearizer(node_model("Attention", x | given, fixed, order=order, **options), inputs="x")
    m = lin(x | given, engine="compiled").verify()
    if found is not None:
        moved = np.ones_like(found) if mask != "ends and starts" else ints(3, 2, 1, 0)
        other = lin(x | {"m": moved}, engine="compiled").verify()
        assert not np.array_equal(m.W, other.W)


def test_attention_with_a_past() -> None:
    x = {"x": numbers(33, 1, 2, 4), "past": numbers(34, 2, 1, 2, 3, 2)}
    fixed = {"w": numbers(35, 4, 12, scale=0.5), "b": numbers(36, 12)}
    options = {"num_heads": 2, "unidirectional": 1, "outputs": ("y", "present")}
    assert_agrees("Attention", x, fixed, order=("x", "w", "b", "", "past"), **options)


def test_multi_head_attention() -> None:
    x = {name: numbers(i, 1, 2, 4) for i, name in enumerate("qkv", 37)}
    assert_agrees("MultiHeadAttention", x, num_heads=2)
    assert_agrees("MultiHeadAttention", x, {"b": numbers(40, 12)}, num_heads=2, scale=0.25)
    past = {name: numbers(i, 1, 2, 3, 2) for i, name in enumerate(("pk", "pv"), 41)}
    order, outputs = ("q", "k", "v", "", "", "", "pk", "pv"), ("y", "k2", "v2")
    assert_agrees("MultiHeadAttention", x | past, order=order, outputs=outputs, num_heads=2)


def test_frozen_attention_holds_its_weights() -> None:
    x = {name: numbers(i, 1, 2, 2) for i, name in enumerate("qkv", 43)}
    _, m = both_modes(node_model("MultiHeadAttention", x, num_heads=1), x)
    q, k = (x[name][0].astype(np.float64) for name in "qk")
    weights = special.softmax(q @ k.T / np.sqrt(2), axis=1)
    np.testing.assert_array_equal(m.W[:, :8], 0)
    np.testing.assert_allclose(m.W[:, 8:], np.kron(weights, np.eye(2)), atol=1e-15)


def _turns(half: int) -> dict[str, Array]:
    angles = np.outer(np.arange(8), 0.5 ** np.arange(half)).astype(np.float32)
    return {"cos": np.cos(angles), "sin": np.sin(angles)}


@pytest.mark.parametrize("interleaved", [0, 1])
def test_rotary_embedding(interleaved: int) -> None:
    places = {"at": np.array([[0, 1, 2], [5, 4, 7]])}
    start = {"at": ints(3, dtype=np.int64)}
    x, apart = {"x": numbers(46, 2, 3, 8)}, {"x": numbers(47, 2, 2, 3, 4)}
    for given, fixed in ((x, places), (x, start), (apart, places)):
        assert_agrees("RotaryEmbedding", given, fixed | _turns(2), interleaved=interleaved)
    options = {"interleaved": interleaved, "num_heads": 1, "rotary_embedding_dim": 4}
    assert_agrees("RotaryEmbedding", x, places | _turns(2), **options)


@pytest.mark.parametrize(
    "options",
    [{}, {"local_window_size": 2}, {"softcap": 2.0}, {"smooth_softmax": 1}, {"scale": 0.25}],
)
def test_group_query_attention(options: dict[str, Any]) -> None:
    x = {name: numbers(i, 1, 3, 16 if name == "q" else 8) for i, name in enumerate("qkv", 48)}
    order, outputs = ("q", "k", "v", "", "", "ends", "total"), ("y", "k2", "v2")
    fixed = {"ends": ints(2), "total": np.array(3, dtype=np.int32)}
    options = {"num_heads": 2, "kv_num_heads": 1, "order": order, "outputs": outputs, **options}
    proto = node_model("GroupQueryAttention", x, fixed, **options)
    if "local_window_size" in options:
        run, moved = Linearizer(proto).run, x["v"] + np.float32([[[1], [0], [0]]])
        if (run(x)["y"][0, 2] != run(x | {"v": moved})["y"][0, 2]).any():
            absent("this onnxruntime looks three keys back where the window is two")
    both_modes(proto, x)


def test_group_query_attention_where_the_schema_is_older(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the attributes of newer ones it is causal, and its cache is in floats."""
    x = {name: numbers(i, 1, 3, 16 if name == "q" else 8) for i, name in enumerate("qkv", 48)}
    fixed = {"ends": ints(2), "total": np.array(3, dtype=np.int32)}
    order, options = ("q", "k", "v", "", "", "ends", "total"), {"num_heads": 2, "kv_num_heads": 1}
    outputs = ("y", "k2", "v2")
    proto = node_model("GroupQueryAttention", x, fixed, order=order, outputs=outputs, **options)
    newer = {"causal", "k_quant_type", "v_quant_type"}

    def older(op_type: str, domain: str) -> dict[str, onnx.AttributeProto]:
        return {n: v for n, v in default_values(op_type, domain).items() if n not in newer}

    monkeypatch.setattr(sys.modules["onnxlin.load.load"], "default_values", older)
    both_modes(proto, x)


def test_group_query_attention_turns_what_comes_after_the_past() -> None:
    x = {name: numbers(i, 1, 1, 32 if name == "q" else 16) for i, name in enumerate("qkv", 51)}
    x |= {name: numbers(i, 1, 1, 4, 16) for i, name in enumerate(("pk", "pv"), 54)}
    fixed = {"ends": ints(4), "total": np.array(5, dtype=np.int32), **_turns(8)}
    order = ("q", "k", "v", "pk", "pv", "ends", "total", "cos", "sin")
    options = {"num_heads": 2, "kv_num_heads": 1, "do_rotary": 1, "outputs": ("y", "k2", "v2")}
    both_modes(node_model("GroupQueryAttention", x, fixed, order=order, **options), x)


@pytest.mark.parametrize(
    "options", [{}, {"do_rotary": 1}, {"local_window_size": 2}, {"smooth_softmax": 1}]
)
def test_group_query_attention_of_sequences_of_different_lengths(options: dict[str, Any]) -> None:
    x = {name: numbers(i, 2, 1, 32 if name == "q" else 16) for i, name in enumerate("qkv", 51)}
    x |= {name: numbers(i, 2, 1, 4, 16) for i, name in enumerate(("pk", "pv"), 54)}
    fixed = {"ends": ints(2, 4), "total": np.array(5, dtype=np.int32)}
    order = ("q", "k", "v", "pk", "pv", "ends", "total")
    if "do_rotary" in options:
        fixed, order = {**fixed, **_turns(8)}, (*order, "cos", "sin")
    options = {"num_heads": 2, "kv_num_heads": 1, "outputs": ("y", "k2", "v2"), **options}
    proto = node_model("GroupQueryAttention", x, fixed, order=order, **options)
    if "local_window_size" in options:
        run, moved = Linearizer(proto).run, x["pv"] + np.float32([[[[0], [0], [1], [0]]]])
        if (run(x)["y"][1] != run(x | {"pv": moved})["y"][1]).any():
            absent("this onnxruntime looks three keys back where the window is two")
    both_modes(proto, x)


def test_group_query_attention_with_padding_behind_is_refused() -> None:
    x = {name: numbers(i, 2, 3, 16 if name == "q" else 8) for i, name in enumerate("qkv", 48)}
    order, outputs = ("q", "k", "v", "", "", "ends", "total"), ("y", "k2", "v2")
    fixed = {"ends": ints(1, 2), "total": np.array(3, dtype=np.int32)}
    options = {"num_heads": 2, "kv_num_heads": 1, "order": order, "outputs": outputs}
    with pytest.raises(UnsupportedNodeError, match="one sequence at a time, without padding"):
        both_modes(node_model("GroupQueryAttention", x, fixed, **options), x)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zero", [False, True])
def test_weights_of_few_bits(bits: int, *, zero: bool) -> None:
    k, n, size, blocks = 40, 3, 16, 3
    drawn = np.random.default_rng(bits)
    packed = drawn.integers(0, 256, size=(n, blocks, size * bits // 8), dtype=np.uint8)
    fixed = {"w": packed, "scales": np.abs(numbers(56, n, blocks))}
    if zero:
        width = -(-blocks * bits // 8)
        fixed["zero"] = drawn.integers(0, 256, size=(n, width), dtype=np.uint8)
    x = {"x": numbers(57, 2, k)}
    options = {"K": k, "N": n, "bits": bits, "block_size": size}
    both_modes(node_model("MatMulNBits", x, fixed, **options), x)
    if bits == 4:
        coarse = node_model("MatMulNBits", x, fixed, **options, accuracy_level=4)
        assert "accuracy_level is 4" in refusal(coarse, x)


@pytest.mark.parametrize("kind", [None, np.float32, np.uint8])
def test_weights_whose_blocks_are_not_in_a_row(kind: type | None) -> None:
    """As quantising in the order of activations leaves them: each k names its block."""
    k, n, size, blocks = 48, 3, 16, 3
    drawn = np.random.default_rng(0)
    packed = drawn.integers(0, 256, size=(n, blocks, size // 2), dtype=np.uint8)
    fixed = {"w": packed, "scales": np.abs(numbers(56, n, blocks))}
    if kind is not None:
        fixed["zero"] = drawn.integers(0, 16, size=(n, blocks if kind is np.float32 else 2))
        fixed["zero"] = fixed["zero"].astype(kind)
    fixed["of"] = drawn.permutation(np.arange(k, dtype=np.int32) // size)
    x = {"x": numbers(57, 2, k)}
    options = {"K": k, "N": n, "bits": 4, "block_size": size}
    order = ("x", "w", "scales", "" if kind is None else "zero", "of")
    proto = node_model("MatMulNBits", x, fixed, order=order, **options)
    if kind is np.uint8:
        assert "zero points that are packed" in refusal(proto, x)
    else:
        both_modes(proto, x)


@pytest.mark.parametrize(
    ("op", "way"),
    [("SparseAttention", "GroupQueryAttention"),
     ("DecoderMaskedSelfAttention", "DecoderMaskedMultiHeadAttention")],
)  # fmt: skip
def test_what_no_run_can_have_is_refused_with_a_way_out(op: str, way: str) -> None:
    """Asked of the model alone: no run of it would end well."""
    x = {"x": numbers(1, 1, 1, 16)}
    (node,) = check_model(node_model(op, x, {}, num_heads=2)).nodes
    assert (node.status, way in str(node.obstacle)) == ("missing", True)


@pytest.mark.parametrize("name", ["mlp2_mnist", "lenet5_mnist", "resnet_mnist"])
def test_optimised_models_have_the_same_map(name: str, tmp_path: Path) -> None:
    path = Path(__file__).parents[3] / "fixtures" / f"{name}.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    fused = onnx.load(options.optimized_model_filepath)
    assert any(node.domain == MS for node in fused.graph.node)
    plain = Linearizer(path)
    (name_,) = plain.section.inputs
    shape = [n if isinstance(n, int) else 1 for n in plain.graph.inputs[name_].shape or ()]
    x = {name_: np.abs(numbers(58, *shape))}
    a, b = (lin(x, dtype=np.float64) for lin in (plain, Linearizer(fused)))
    b.verify()
    # The optimiser folds batch normalisation into the kernels, in float32.
    np.testing.assert_allclose(b.W, a.W, atol=1e-6 * np.abs(a.W).max())
