"""What is nearly an operator is read as what it is: maps from z, ``(3, 6)``, in frozen mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special

import onnxlin
from onnxlin import AffineMap, Linearizer
from tests.operators.patterns.spellings import SPELT, WIDTH, N, X, graph

GELU = SPELT["Gelu"][2][0]
AND = "float[3,6] y, float[3,6] "
CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-7}  # constants are of float32


def frozen(nodes: str, outputs: str = "float[3,6] y", **options: Any) -> AffineMap:
    proto = graph(nodes, outputs=outputs)
    given = {"inputs": "z"} | options
    return onnxlin.linearize(proto, X, mode="frozen", dtype=np.float64, **given).verify()


def at(m: AffineMap, name: str = "z") -> np.ndarray:
    value: np.ndarray = m.inputs[name].astype(np.float64).ravel()
    return value


def test_another_constant_is_another_gate() -> None:
    """``z (1 + erf(z / 1.702)) / 2`` is no GELU, and 0 at 0 all the same: its gate is held."""
    m = frozen(GELU.replace("root", "quick"))
    z = at(m)
    np.testing.assert_allclose(m.W, np.diag((1 + special.erf(z / 1.702)) / 2), **CLOSE)
    assert not m.b.any()
    assert m.notes == ("spelt out, and read as the operators are: 1 other gate z g(z)",)


def test_a_gate_of_another_tensor_is_a_product() -> None:
    """``z (1 + erf(u))`` is ``act(a) * b``: half of each term."""
    m = frozen("e = Erf(u) g = Add(e, one) y = Mul(z, g)", inputs=["z", "u"])
    z, u = at(m), at(m, "u")
    own, other = (1 + special.erf(u)) / 2, z * special.erf(u) / u / 2
    np.testing.assert_allclose(m.W, np.hstack([np.diag(own), np.diag(other)]), **CLOSE)
    assert "spelt out" not in str(m.notes)


def test_a_gate_that_begins_inside_is_a_product() -> None:
    """Nothing before the chosen inputs is linearised: the erf is an input of its own."""
    m = frozen(GELU, inputs=["z", "e"])
    z, e = at(m), at(m, "e")
    np.testing.assert_allclose(m.W, np.hstack([np.diag((1 + e) / 4), np.diag(z / 4)]), **CLOSE)


@pytest.mark.parametrize("mean", ["g = ReduceMean(z, last)", "g = Softmax(u)"])
def test_what_mixes_entries_is_no_gate(mean: str) -> None:
    assert frozen(f"{mean} y = Mul(z, g)").notes == ()


def test_what_else_reads_the_gate_is_read_as_it_stands() -> None:
    """Only the product holds it: as an output, and where a sum reads it, it follows z."""
    alone = frozen(GELU)
    m = frozen(f"{GELU} o = Add(g, z)", AND + "g, float[3,6] o")
    z, size = at(m), N * WIDTH
    product, gate, total = (m.W[i * size : (i + 1) * size] for i in range(3))
    np.testing.assert_array_equal(product, alone.W)
    slope = special.erf(z / np.sqrt(2)) / z
    np.testing.assert_allclose(gate, np.diag(slope), **CLOSE)
    np.testing.assert_allclose(total, np.diag(slope + 1), **CLOSE)
    np.testing.assert_allclose(m.b, np.repeat([0, 1, 1], size), **CLOSE)


def test_powers_are_no_gates() -> None:
    """``z z z``: half of each term comes to the same as holding two of them."""
    m = frozen("s = Mul(z, z) y = Mul(s, z)")
    np.testing.assert_allclose(m.W, np.diag(at(m) ** 2), rtol=1e-13)
    assert m.notes == ()


LESS = (
    "m = ReduceMax(z, last) d = Sub(z, m) e = Exp(d) s = ReduceSum(e, {}) l = Log(s) y = Sub(d, l)"
)


@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        (LESS.format("rows"), "float[3,6] y"),
        (LESS.format("last"), AND + "d"),
        (LESS.format("last") + " o = Add(d, y)", AND + "o"),
    ],
)
def test_a_maximum_is_held_within_a_logarithm_of_softmax_alone(nodes: str, outputs: str) -> None:
    """Along another axis, or where the difference is read elsewhere, it follows z."""
    m = frozen(nodes, outputs)
    z, size = at(m).reshape(N, WIDTH), N * WIDTH
    slope = np.eye(size)
    for row in range(N):
        slope[row * WIDTH : (row + 1) * WIDTH, row * WIDTH + z[row].argmax()] -= 1
    np.testing.assert_array_equal(m.W[:size], slope)


def test_the_status_of_a_node_that_holds_is_frozen() -> None:
    m = frozen(GELU)
    assert {layer.name: layer.status for layer in m.layers}["Mul:p"] == "frozen"
    tangent = onnxlin.linearize(graph(GELU), X)
    assert {layer.name: layer.status for layer in tangent.layers}["Mul:p"] == "tangent"


def test_shares_of_a_normalisation_are_those_of_its_last_nodes() -> None:
    """The shift is the share of the sum that adds it, as it is that of the operator's node."""
    operator, _, spellings = SPELT["LayerNormalization"]
    for nodes, name in ((spellings[0], "Add:y"), (operator, "LayerNormalization:y")):
        m = frozen(nodes)
        assert [n for n, share in m.bias_by_node.items() if share.any()] == [name]


def test_attention_and_groups_are_told() -> None:
    scores = "k = Transpose(u) s = MatMul(z, k) q = Mul(s, half) w = Softmax(q) y = MatMul(w, u)"
    assert frozen(scores).notes == ()  # u is held
    m = frozen(scores, inputs=None)
    assert m.notes == ("spelt out, and read as the operators are: 1 Attention",)
    assert onnxlin.check_model(graph(scores)).notes == m.notes


_MEAN = "v = ReduceMean(d2, last) ve = Add(v, eps) s = Sqrt(ve)"
_SCORES = "k = Transpose(u) s = MatMul(z, k) b = Add(s, one)"
_CONSTANTS = "r = Constant<value_float = 1.4142135>() o = Constant<value = float {1}>()"
_GROUPS = (
    "shape = Constant<value_ints = [3, 2, 3]>() back = Constant<value_ints = [3, 6]>() "
    "w = Constant<value_floats = [1.0, 1.0]>() b = Constant<value_floats = [0.0, 0.0]>() "
    "t = Reshape(z, shape) n = InstanceNormalization(t, w, b) y = Reshape(n, back)"
)
TOLD = [
    (f"{_CONSTANTS} q = Div(z, r) e = Erf(q) g = Add(e, o) p = Mul(z, g) y = Mul(p, half)", "Gelu"),
    ("q = Mul(z, scale) e = Erf(q) g = Add(e, one) y = Mul(z, g)", "other gate z g(z)"),
    ("t = Tanh(z) g = Add(t, one) l = Sub(g, t) k = Sub(l, one) y = Mul(z, k)",
     "other gate z g(z)"),
    (_GROUPS, "GroupNormalization"),
    (_GROUPS.replace("[1.0, 1.0]", "[1.0, 2.0]"), ""),
    (f"{_SCORES} e = Exp(b) t = ReduceSum(e, last) w = Div(e, t) y = MatMul(w, u)",
     "Softmax, 1 Attention"),
    (f"{_SCORES} a = Relu(b) w = Softmax(a) y = MatMul(w, u)", ""),
    ("k = Transpose(u) w = Softmax(z) y = MatMul(w, k)", ""),
    (f"d2 = Mul(u, u) {_MEAN} y = Div(z, s)", ""),
    (f"d2 = Mul(u, z) {_MEAN} y = Div(z, s)", ""),
    (f"d2 = Abs(z) {_MEAN} y = Div(z, s)", ""),
    ("v = ReduceMax(z, last) s = Sqrt(v) y = Div(z, s)", ""),
    ("v = ReduceSumSquare(u, last) s = Sqrt(v) y = Div(z, s)", ""),
    ("v = Abs(u) s = Add(v, one) i = Div(s, v) y = Div(z, i)", ""),
    ("n = ReduceL2(z, last) c = Max(n, eps) y = Div(z, c)", "LpNormalization"),
    ("n = ReduceL2(z, last) c = Add(n, z) y = Div(z, c)", ""),
    ("l = Log(u) y = Sub(z, l)", ""),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "name"), TOLD)
def test_what_is_told(nodes: str, name: str) -> None:
    shape = "float[3,3] y" if "Transpose(u) w" in nodes else "float[3,6] y"
    notes = str(Linearizer(graph(nodes, outputs=shape), mode="frozen").section.holding.notes)
    assert (f"as the operators are: 1 {name}'" in notes) if name else ("spelt" not in notes)
