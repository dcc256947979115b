"""Gated products in frozen mode: ``act(a) * b`` by halves, or with the activation held."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from scipy import special

import onnxlin
from onnxlin import Linearizer, OptionError
from onnxlin.cli import main
from tests.operators.patterns.spellings import WIDTH, N, X, graph

SIZE = N * WIDTH
SWIGLU = "s = Sigmoid(z) g = Mul(z, s) y = Mul(g, u)"
FUSED = 'com.microsoft.FusedGemm<activation = "%s">(z, C, none)'
LAID_OUT = "r = Relu(z) t = Transpose(r) v = Transpose(t) y = Mul(u, v)"
ERF = "q = Div(z, root) e = Erf(q) f = Add(e, one) p = Mul(z, f)"


def lin(nodes: str = SWIGLU, gates: Any = "halves", **options: Any) -> Linearizer:
    given = {"inputs": ["z", "u"]} | options
    return Linearizer(graph(nodes), mode="frozen", gates=gates, **given)


def test_both_readings_by_hand() -> None:
    halves, held = (lin(gates=gates)(X, dtype=np.float64).verify() for gates in ("halves", "held"))
    z, u = (halves.inputs[name].astype(np.float64).ravel() for name in "zu")
    gate, value = special.expit(z), z * special.expit(z)
    none = np.zeros((SIZE, SIZE))
    expected = np.hstack([np.diag(gate * u), np.diag(value)]) / 2
    np.testing.assert_allclose(halves.W, expected, rtol=1e-6)
    np.testing.assert_allclose(held.W, np.hstack([none, np.diag(value)]), rtol=1e-6)
    assert not halves.b.any()
    assert not held.b.any()
    assert "1 by half of each term" in halves.notes[1]
    assert '1 with the activation held (gates="held")' in held.notes[1]


@pytest.mark.parametrize("engine", ["explicit", "forward", "live", "compiled"])
@pytest.mark.parametrize(
    "nodes", [SWIGLU, "r = Relu(z) t = Transpose(r) v = Transpose(t) y = Mul(u, v)"]
)
def test_engines_agree(nodes: str, engine: str) -> None:
    held = lin(nodes, "held", inputs=None)
    own = held(X, engine="reverse").verify()
    m = held(X, engine=engine).verify()
    np.testing.assert_allclose(m.W, own.W, atol=1e-5)
    assert np.abs(own.W - lin(nodes, inputs=None)(X).W).max() > 0.1


@pytest.mark.parametrize(
    "nodes",
    [
        "g = com.microsoft.Gelu(z) y = Mul(g, u)",
        f"{ERF} g = Mul(p, half) y = Mul(u, g)",
        f"{ERF} pu = Mul(p, u) y = Mul(pu, half)",
    ],
)
def test_spelling_does_not_count(nodes: str) -> None:
    m = lin(nodes, "held")(X, dtype=np.float64).verify()
    z = m.inputs["z"].astype(np.float64).ravel()
    np.testing.assert_allclose(m.W[:, SIZE:], np.diag(z * special.ndtr(z)), rtol=1e-6, atol=1e-8)
    assert not m.W[:, :SIZE].any()


@pytest.mark.parametrize(
    ("nodes", "products"),
    [
        ("y = Mul(z, u)", 0),  # no activation
        ("r = Relu(z) t = Tanh(u) y = Mul(r, t)", 0),  # two of them
        ("s = Sigmoid(z) y = Mul(s, u)", 0),  # held by its own rule
        ("s = Sigmoid(z) t = Tanh(u) y = Mul(s, t)", 0),  # as in an LSTM: tanh is all that is left
        (f"f = {FUSED % 'Tanh'} y = Mul(f, u)", 1),
        (f"f = {FUSED % 'Relu'} r = Relu(u) y = Mul(f, r)", 0),
        (f"f = {FUSED % 'Sigmoid'} y = Mul(f, u)", 0),
        ("t = Tanh(z) d = Div(t, two) a = Add(d, half) y = Mul(a, u)", 1),
    ],
)
def test_what_is_a_gated_product(nodes: str, products: int) -> None:
    halves, held = lin(nodes), lin(nodes, "held")
    assert len(halves.section.holding.products) == products
    differs = not np.allclose(halves(X).W, held(X).W)
    assert differs == bool(products)


TWO = f"{SWIGLU.replace('y', 'first')} r = Relu(u) second = Mul(r, z) y = Add(first, second)"


def test_one_product_by_its_name() -> None:
    """A name goes before "*", and what neither names takes halves."""
    choices: list[Any] = [
        "halves",
        "held",
        {"Mul:second": "held"},
        {"*": "held", "Mul:first": "halves"},
        {"*": "held", "Mul:second": "halves"},
        {"Mul:second": "held", "Mul:first": "held"},
    ]
    halves, held, second, not_first, not_second, each = (lin(TWO, gates)(X).W for gates in choices)
    np.testing.assert_array_equal(second, not_first)
    np.testing.assert_array_equal(each, held)
    different = [halves, held, second, not_second]
    for i, W in enumerate(different):
        assert all(not np.allclose(W, other) for other in different[:i])


def test_names_of_no_gated_product_are_told() -> None:
    with pytest.raises(OptionError, match=r"\['Mul:z'\].*no products of an activation.*: 'Mul:y'"):
        lin(gates={"Mul:z": "held"})
    with pytest.raises(OptionError, match=r"gates='half'; expected one of \['halves', 'held'\]"):
        lin(gates="half")
    with pytest.raises(OptionError, match=r"gates\['Mul:y'\]='half'; expected"):
        lin(gates={"Mul:y": "half"})


def test_the_choice_goes_with_a_linearizer() -> None:
    held = lin(gates="held")
    W = held(X).W
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(held))(X).W, W)
    assert held.digest != lin().digest
    assert held.gates.as_told == "held"
    assert lin(gates={"Mul:y": "held"}).gates.as_told == {"Mul:y": "held", "*": "halves"}
    inside = onnxlin.readings.between(held, X, "u", "y")
    np.testing.assert_allclose(inside.W, W[:, SIZE:], atol=1e-6)
    stacked = list(lin(gates="held", inputs=None).map(np.stack([X, 2 * X])))
    np.testing.assert_allclose(stacked[0].W, lin(gates="held", inputs=None)(X).W, atol=1e-5)


def test_in_a_body_all_products_follow_the_node() -> None:
    """A node that is opened into others has one reading, chosen by its name."""
    proto = graph(
        "b = Greater(one, none) y = If(b) <"
        "then_branch = g1 () => (float[3,6] o) { r = Relu(z) o = Mul(r, u) }, "
        "else_branch = g2 () => (float[3,6] o) { o = Identity(z) }>"
    )
    own, held = (
        Linearizer(proto, inputs=["z", "u"], mode="frozen", gates=gates)(X).verify()
        for gates in ("halves", "held")
    )
    assert own.W[:, :SIZE].any()
    assert not held.W[:, :SIZE].any()


def test_compiled_models_hold_it() -> None:
    made = onnxlin.compile_model(graph(SWIGLU), mode="frozen", gates="held")
    session = onnxruntime.InferenceSession(made.SerializeToString())
    found = session.run(["seeds_W"], {"x": X, "seeds": np.eye(SIZE, dtype=np.float32)})[0]
    m = lin(gates="held", inputs=None)(X)
    np.testing.assert_allclose(found.reshape(m.W.shape), m.W, atol=1e-5)
    notes = {entry.key: entry.value for entry in made.metadata_props}["onnxlin.notes"]
    assert "with the activation held" in notes


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, x = tmp_path / "m.onnx", tmp_path / "x.npy"
    model.write_bytes(graph(SWIGLU).SerializeToString())
    np.save(x, X)
    asked = ["explain", str(model), str(x), "--mode", "frozen", "--no-files"]
    for gates, words in (
        (["held"], "1 with the activation"),
        (["held", "Mul:y=halves"], "1 by half"),
    ):
        chosen = [part for value in gates for part in ("--gates", value)]
        assert main([*asked, *chosen]) == 0
        assert words in capsys.readouterr().out
    assert main([*asked, "--gates", "Mul:y=both"]) == 2
    assert "is none of halves, held, NODE=held" in capsys.readouterr().err


def test_names_in_a_graph_with_a_prefix() -> None:
    found = lin(gates={"*": "held", "Mul:y": "halves"}).gates.beside("1/")
    assert found.as_told == {"*": "held", "1/Mul:y": "halves"}
