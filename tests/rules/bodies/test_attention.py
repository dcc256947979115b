"""Masks with infinities, rows that are masked as a whole, and bodies from schemas."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from scipy import special

import onnxlin
from tests.rules.one_node import Array, assert_reproduces, assert_tangent, frozen, grid, model

RNG = np.random.default_rng(0)
Q, K, V = (grid(RNG, 1, 2, 3, 2) for _ in range(3))
TEXT = """
<ir_version: 9, opset_import: ["": 18]>
masked (float[3, 4] x) => (float[3, 4] y) <float[3, 3] mask = {0, 1, 1, 0, 0, 1, 1, 1, 1}> {
    turned = Transpose (x)
    scores = MatMul (x, turned)
    kept = Add (scores, mask)
    weights = Softmax (kept)
    bad = IsNaN (weights)
    zero = Constant <value_float: float = 0.0> ()
    safe = Where (bad, zero, weights)
    y = MatMul (safe, x)
}
"""


def masked() -> onnx.ModelProto:
    """Causal attention whose last row is masked as a whole: NaN, which a guard makes 0."""
    one = onnx.parser.parse_model(TEXT)
    mask = onnx.numpy_helper.to_array(one.graph.initializer[0])
    hidden = np.where(mask == 1, -np.inf, 0).astype(np.float32)
    one.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(hidden, "mask"))
    return one


@pytest.mark.parametrize("engine", ["explicit", "reverse", "forward", "live", "cut"])
@pytest.mark.parametrize("mode", ["tangent", "frozen"])
def test_masks_at_minus_infinity_weigh_nothing(mode: str, engine: str) -> None:
    x = grid(RNG, 3, 4)
    for dtype in (np.float32, np.float64):
        m = onnxlin.linearize(masked(), x, mode=mode, engine=engine, dtype=dtype).verify()
        assert not m.W[8:].any()
        assert np.isfinite(m.W).all()


def test_masked_attention_tangent() -> None:
    assert_tangent(masked(), [grid(RNG, 3, 4)])


def test_masked_attention_frozen_holds_the_weights() -> None:
    x = grid(RNG, 3, 4)
    W, b = frozen(masked(), [x])
    scores = x.astype(np.float64) @ x.T
    weights = np.zeros((3, 3))
    weights[0, 0] = 1
    weights[1, :2] = special.softmax(scores[1, :2])
    np.testing.assert_allclose(W, np.kron(weights, np.eye(4)), atol=1e-14)
    np.testing.assert_array_equal(b, 0)


@pytest.mark.parametrize("causal", [0, 1])
def test_attention_operator(causal: int) -> None:
    one = model("Attention", [Q, K, V], opset=23, is_causal=causal)
    assert_reproduces(one, [Q, K, V])
    assert_tangent(one, [Q, K, V])
    W, _ = frozen(one, [Q, K, V])
    assert not W[:, : Q.size + K.size].any()  # queries and keys only make the weights
    scores = np.einsum("bhid,bhjd->bhij", Q, K).astype(np.float64) / np.sqrt(2)
    scores += np.where(np.tri(3), 0, -np.inf) if causal else 0
    wanted = np.zeros((2, 6, 6))
    for head in range(2):
        wanted[head] = np.kron(special.softmax(scores[0, head], axis=-1), np.eye(2))
    np.testing.assert_allclose(W[:6, 12 + 12 : 12 + 12 + 6], wanted[0], atol=1e-6)
    np.testing.assert_allclose(W[6:, 12 + 12 + 6 :], wanted[1], atol=1e-6)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("op", ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"])
def test_losses(op: str, reduction: str) -> None:
    z = grid(RNG, 2, 3, 2)
    labels: Array = np.array([[0, 2], [1, 1]])
    weights = np.abs(grid(RNG, 3))
    for held in ({1: labels}, {1: labels, 2: weights}):
        one = model(op, [z], held, opset=13, reduction=reduction, ignore_index=1)
        assert_reproduces(one, [z])
        assert_tangent(one, [z])
