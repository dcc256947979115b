"""Mixtures of experts, attention of one new token, and tables of few bits, against the runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
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

TOKENS, WIDTH, INNER, EXPERTS = 3, 4, 5, 3
WHOLE = np.random.default_rng(8)
GPT_OSS = {"activation_alpha": 1.702, "activation_beta": 1.0, "swiglu_limit": 0.75}


def assert_compiles(op_type: str, x: Feeds, fixed: Feeds | None = None, **options: Any) -> None:
    proto = node_model(op_type, x, fixed, **options)
    both_modes(proto, x)
    onnxlin.linearize(proto, dict(x), engine="compiled").verify()


def assert_agrees(op_type: str, x: Feeds, fixed: Feeds | None = None, **options: Any) -> None:
    assert_compiles(op_type, x, fixed, **options)
    assert_derivative(node_model(op_type, x, fixed, **options), x)


@pytest.mark.parametrize(
    "options",
    [
        {"activation_type": "relu"},
        {"activation_type": "gelu"},
        {"activation_type": "silu", "normalize_routing_weights": 1},
        {"activation_type": "identity"},
        {"activation_type": "swiglu", "swiglu_fusion": 1, "normalize_routing_weights": 1},
        {"activation_type": "swiglu", "swiglu_fusion": 1, **GPT_OSS},
    ],
)
def test_experts(options: dict[str, Any]) -> None:
    wide = INNER * (2 if options["activation_type"] == "swiglu" else 1)
    x = {"x": numbers(0, TOKENS, WIDTH), "router": numbers(1, TOKENS, EXPERTS)}
    fixed = {
        "w1": numbers(2, EXPERTS, wide, WIDTH, scale=0.5),
        "b1": numbers(3, EXPERTS, wide, scale=0.5),
        "w2": numbers(4, EXPERTS, WIDTH, INNER, scale=0.5),
        "b2": numbers(5, EXPERTS, WIDTH),
    }
    check = assert_agrees if "swiglu_limit" in options else assert_compiles
    check("MoE", x, fixed, k=2, **options)
    bare = {name: fixed[name] for name in ("w1", "w2")}
    order = ("x", "router", "w1", "", "w2")
    both_modes(node_model("MoE", x, bare, order=order, k=1, **options), x)


def quantised_experts(bits: int, block: int, *, zero: bool) -> tuple[dict[str, Array], list[str]]:
    """Weights of experts 32 wide, 16 inside, and the order of inputs."""
    each = 8 // bits
    fixed: dict[str, Array] = {}
    for layer, (rows, columns) in {"1": (16, 32), "2": (32, 16)}.items():
        blocks = (columns // block,) if block else ()
        packed = WHOLE.integers(0, 256, (EXPERTS, rows, columns // each), dtype=np.uint8)
        fixed["w" + layer] = packed
        steps = np.abs(numbers(6, EXPERTS, rows, *blocks, scale=0.01)) + 2.0**-7
        fixed["s" + layer] = steps.astype(np.float32)
        fixed["b" + layer] = numbers(7, EXPERTS, rows)
        kept = (rows, -(-blocks[0] // each)) if block else (-(-rows // each),)
        fixed["z" + layer] = WHOLE.integers(0, 256, (EXPERTS, *kept), dtype=np.uint8)
    order = ["x", "router", "w1", "s1", "b1", "w2", "s2", "b2"]
    if zero:
        return fixed, [*order, "", "", "", "z1", "z2"]
    return {name: value for name, value in fixed.items() if name[0] != "z"}, order


@pytest.mark.parametrize(("bits", "block"), [(4, 0), (4, 16), (8, 0)])
@pytest.mark.parametrize("zero", [False, True])
def test_experts_of_few_bits(bits: int, block: int, *, zero: bool) -> None:
    x = {"x": numbers(8, TOKENS, 32), "router": numbers(9, TOKENS, EXPERTS)}
    fixed, order = quantised_experts(bits, block, zero=zero)
    options: dict[str, Any] = {"k": 2, "activation_type": "silu", "expert_weight_bits": bits}
    options |= {"block_size": block} if block else {}
    both_modes(node_model("QMoE", x, fixed, order=order, **options), x)
    if bits == 8:
        fixed, order = quantised_experts(8, 16, zero=zero)
        proto = node_model("QMoE", x, fixed, order=order, **options, block_size=16)
        assert "rounds the input to 8 bits" in refusal(proto, x)


def test_weights_of_a_router_of_its_own() -> None:
    x = {"x": numbers(10, TOKENS, 32), "router": numbers(11, TOKENS, EXPERTS)}
    x["weights"] = np.abs(numbers(12, TOKENS, EXPERTS)) + 0.25
    fixed, order = quantised_experts(4, 16, zero=False)
    options: dict[str, Any] = {"k": 2, "activation_type": "relu", "normalize_routing_weights": 1}
    order += [""] * 6 + ["weights"]
    both_modes(node_model("QMoE", x, fixed, order=order, block_size=16, **options), x)


BEFORE = ["q", "k", "v", "", "", "pk", "pv", "n"]
ROOM, PLACE = 5, 2
ENDS = ("y", "k2", "v2")


def _step() -> dict[str, Array]:
    x = {name: numbers(i, 2, 1, 4) for i, name in enumerate("qkv", 13)}
    return x | {name: numbers(i, 2, 2, ROOM, 2) for i, name in enumerate(("pk", "pv"), 16)}


@pytest.mark.parametrize("case", ["plain", "bias and mask", "scores", "one beam"])
def test_a_new_token_and_a_buffer_of_those_before(case: str) -> None:
    x, fixed, order = _step(), {"n": np.array([PLACE], np.int32)}, list(BEFORE)
    options: dict[str, Any] = {"num_heads": 2, "past_present_share_buffer": 1, "outputs": ENDS}
    if case == "bias and mask":
        fixed |= {"b": numbers(18, 12), "m": np.array([[1, 1, 1], [0, 1, 1]], np.int32)}
        order[3], options["scale"] = "m", 0.25
        order += ["", "", "b"]
    elif case == "scores":
        x["added"] = numbers(19, 1, 2, 1, PLACE + 1)
        order[4] = "added"
    elif case == "one beam":
        fixed |= {"w": np.array([1], np.int32), "at": np.zeros((2, 1, ROOM), np.int32)}
        order += ["w", "at"]
    proto = node_model("DecoderMaskedMultiHeadAttention", x, fixed, order=order, **options)
    both_modes(proto, x)


def test_a_new_token_and_another_sequence() -> None:
    x = {"q": numbers(20, 2, 1, 4), "k": numbers(21, 2, 2, 3, 2), "v": numbers(22, 2, 2, 3, 2)}
    assert_compiles("DecoderMaskedMultiHeadAttention", x, num_heads=2)


def test_several_beams_are_refused() -> None:
    x, order = _step(), [*BEFORE, "w", "at"]
    fixed = {"n": np.array([PLACE], np.int32), "w": np.array([2], np.int32)}
    fixed["at"] = np.zeros((1, 2, ROOM), np.int32)
    fixed["m"], order[3] = np.ones((2, PLACE + 1), np.int32), "m"
    x["added"], order[4] = numbers(23, 1, 2, 1, PLACE + 1), "added"
    options: dict[str, Any] = {"num_heads": 2, "past_present_share_buffer": 1, "outputs": ENDS}
    proto = node_model("DecoderMaskedMultiHeadAttention", x, fixed, order=order, **options)
    assert "several beams" in refusal(proto, x)


def quantised_attention(kind: Any, *, each: bool, past: bool, causal: int) -> onnx.ModelProto:
    """``QAttention`` of a quantised x, with scales for all or for each column."""
    helper, zero = onnx.helper, np.full(12 if each else (), 3, kind)
    fixed: dict[str, Array] = {
        "step": np.array(2.0**-5, np.float32), "zero": np.array(128, np.uint8),
        "w": WHOLE.integers(-100, 100, (4, 12)).astype(kind), "b": numbers(24, 12),
        "ws": np.full(zero.shape, 2.0**-7, np.float32), "wz": zero,
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
        helper.make_node(
            "QAttention",
            ["q", "w", "b", "step", "ws", "", "zero", "wz", "past" if past else ""],
            ["y", "present"],
            domain=MS,
            num_heads=2,
            unidirectional=causal,
        ),
    ]
    inputs = [helper.make_tensor_value_info("x", 1, [2, 3, 4])]
    inputs += [helper.make_tensor_value_info("past", 1, [2, 2, 2, 2, 2])] if past else []
    stored = [onnx.numpy_helper.from_array(np.asarray(v), n) for n, v in fixed.items()]
    outputs = [onnx.ValueInfoProto(name="y")]
    graph = helper.make_graph(nodes, "quantised", inputs, outputs, stored)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(MS, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


@pytest.mark.parametrize(("kind", "each", "past", "causal"), [
    (np.uint8, False, False, 0), (np.int8, True, True, 1),
])  # fmt: skip
@pytest.mark.parametrize("rounding", ["staircase", "straight-through"])
def test_attention_of_quantised_tokens(
    kind: Any, rounding: str, causal: int, *, each: bool, past: bool
) -> None:
    proto = quantised_attention(kind, each=each, past=past, causal=causal)
    x = {"x": numbers(25, 2, 3, 4)}
    x |= {"past": numbers(26, 2, 2, 2, 2, 2)} if past else {}
    for mode in ("tangent", "frozen"):
        ends = {"inputs": list(x), "rounding": rounding, "mode": mode}
        m = onnxlin.linearize(proto, x, **ends).verify()
        onnxlin.linearize(proto, x, engine="compiled", **ends).verify()
        assert np.any(m.W[:, :24]) == (rounding != "staircase")


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_rows_of_few_bits_are_linear_in_their_scales(bits: int, *, zero: bool) -> None:
    """Also at negative positions, and at the same row twice."""
    blocks, each = 3, 8 // bits
    packed = WHOLE.integers(0, 256, (5, 40 // each), dtype=np.uint8)
    fixed = {"codes": packed, "at": np.array([[3, -1], [0, 3]])}
    order = ["codes", "at", "scales"]
    if zero:
        fixed["zero"] = WHOLE.integers(0, 256, (5, -(-blocks // each)), dtype=np.uint8)
        order.append("zero")
    x = {"scales": np.abs(numbers(27, 5, blocks)) + 0.25}
    options = {"bits": bits, "block_size": 16, "quantize_axis": 1}
    assert_agrees("GatherBlockQuantized", x, fixed, order=order, **options)
