"""Every error that the library raises on purpose, rendered once through the public API.

A message says what was asked, what was found and what to do; those of the command line, of the
picture and file readers and of the normaliser are rendered in the tests of those modules.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import AffineMap, OnnxlinError, errors, linearize
from onnxlin.primitives import Crop, Diagonal, identity
from onnxlin.rules import Affine, NodeAtX, Rule
from tests.refused import CASES, RELU, V
from tests.small import X, mlp, model


@pytest.mark.parametrize("name", CASES)
def test_message(name: str) -> None:
    call, kind, message = CASES[name]
    with pytest.raises(kind, match=message) as caught:
        call()
    # The class itself, not one below or above it; and nothing in braces that was never filled in.
    assert type(caught.value) is kind
    assert not re.search(r"\{[a-z_]", str(caught.value))


# Errors that need more than a call


def test_unknown_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    proto = model(RELU)
    rule = onnxlin.RULES["", "LeakyRelu"]
    proto.graph.node[0].op_type = "LeakyRelu"
    proto.graph.node[0].attribute.append(onnx.helper.make_attribute("alpha", 0.5))
    forgetful = Rule(lambda node: Affine({0: identity(node.shape(0))}))
    monkeypatch.setitem(onnxlin.RULES, ("", "LeakyRelu"), forgetful)
    with pytest.raises(onnxlin.UnsupportedNodeError, match=r"'n': attributes \['alpha'\] are set"):
        linearize(proto, V)
    monkeypatch.setitem(onnxlin.RULES, ("", "LeakyRelu"), rule)
    linearize(proto, V).verify()


def test_output_without_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "g (float[2] x) => (float[1] a, float[1] b) { a, b = Split <num_outputs=2> (x) }"
    true = onnxlin.RULES["", "Split"]
    short = replace(true, function=lambda node: list(true.function(node))[:1])
    monkeypatch.setitem(onnxlin.RULES, ("", "Split"), short)
    with pytest.raises(onnxlin.UnsupportedNodeError, match="output 1 is used"):
        linearize(model(text), V)


def test_constant_that_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that forgot to declare a constant operand still cannot take a traced one."""
    true = onnxlin.RULES["", "ConvTranspose"]
    monkeypatch.setitem(onnxlin.RULES, ("", "ConvTranspose"), replace(true, constant=()))
    text = "g (float[1,1,2] x) => (float y) { y = ConvTranspose(x, x) }"
    with pytest.raises(onnxlin.UnsupportedNodeError, match=r"input 1 \('x'\) depends on x"):
        linearize(model(text), np.ones((1, 1, 2)))


def test_piece_of_a_wrong_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Rule(lambda node: Affine({0: Crop.along((2,), 0, 0, 1)}))
    monkeypatch.setitem(onnxlin.RULES, ("", "Relu"), bad)
    message = r"rule of Relu .* map \(2,\) -> \(1,\) for input 0; the run has \(2,\) -> \(2,\)"
    with pytest.raises(onnxlin.RuleError, match=message):
        linearize(model(RELU), V)


def wrong_slope(node: NodeAtX) -> Affine:
    """A Relu that lets 1.5 times too much through."""
    return Affine({0: Diagonal.of(node.shape(0), node.cast(1.5 * (node.native(0) > 0)))})


def test_residual_names_the_row_and_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(onnxlin.RULES, ("", "Relu"), Rule(wrong_slope))
    m = linearize(mlp(), X)
    message = (
        r"Row \d: W x \+ b = .*, F\(x\) = .*; the residual .* against onnxruntime is past its bound"
        r" .*First node that departs: Relu at node 'act', output 'r'\(.*onnxruntime has .*, the "
        r"piece .*, apart by .* where rounding allows"
    )
    with pytest.raises(onnxlin.ResidualError, match=message):
        m.verify()


def test_residual_of_a_wrong_composition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every node is right on its own; only composing them goes wrong."""
    true = Diagonal.rmatvec
    monkeypatch.setattr(Diagonal, "rmatvec", lambda op, y: 1.5 * true(op, y))
    message = r"past its bound .*departs: none, every node agrees with the run on its own"
    with pytest.raises(onnxlin.ResidualError, match=message):
        linearize(mlp(), X, engine="reverse").verify()


def test_residual_of_a_node_that_does_not_reach_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong node is named even where the outputs asked for are right."""
    monkeypatch.setitem(onnxlin.RULES, ("", "Relu"), Rule(wrong_slope))
    m = linearize(mlp(), X, rows=[[0, 0]])
    with pytest.raises(onnxlin.ResidualError, match=r"a node is not.*Relu at node 'act'"):
        m.verify()


def test_residual_past_a_tolerance_of_ones_own() -> None:
    m = linearize(mlp(), X)
    m.verify(tol=1.0)
    with pytest.raises(onnxlin.ResidualError, match="is past its bound -1"):
        m.verify(tol=-1.0)


@pytest.fixture
def loaded(tmp_path: Path) -> AffineMap:
    linearize(mlp(), X).save(tmp_path / "map.npz")
    return AffineMap.load(tmp_path / "map.npz")


DETACHED: dict[str, Callable[[AffineMap], object]] = {
    "layers": lambda m: m.layers,
    "operator": lambda m: m.operator(),
    "pattern_key": lambda m: m.pattern_key,
    "near_kinks": lambda m: m.near_kinks(),
    "composition_residual": lambda m: m.composition_residual,
}


@pytest.mark.parametrize("what", DETACHED)
def test_detached(what: str, loaded: AffineMap) -> None:
    message = f"{what}.* needs the linear program, which a map loaded .* Linearise the model again"
    with pytest.raises(onnxlin.DetachedError, match=message):
        DETACHED[what](loaded)


def test_loading_what_is_no_map(tmp_path: Path) -> None:
    with pytest.raises(onnxlin.ModelError, match=r"test_errors\.py' is not a saved AffineMap"):
        AffineMap.load(__file__)
    with pytest.raises(onnxlin.ModelError, match=r"nothing\.npz' is not a saved AffineMap"):
        AffineMap.load(tmp_path / "nothing.npz")
    np.savez(tmp_path / "other.npz", a=np.ones(2))
    with pytest.raises(onnxlin.ModelError, match=r"other\.npz' is not a saved AffineMap"):
        AffineMap.load(tmp_path / "other.npz")
    np.savez(tmp_path / "newer.npz", about=np.array('{"version": 99}'))
    with pytest.raises(onnxlin.ModelError, match=r"has version 99 .* reads version 1"):
        AffineMap.load(tmp_path / "newer.npz")


def test_every_class_is_rendered() -> None:
    classes = {
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, OnnxlinError)
    }
    elsewhere = {OnnxlinError, onnxlin.RuleError, onnxlin.ResidualError, onnxlin.DetachedError}
    elsewhere |= {
        onnxlin.DataError,
        onnxlin.RunError,
        onnxlin.CompileError,
        onnxlin.UndecidedError,
        onnxlin.SandboxError,
    }
    assert {kind for _, kind, _ in CASES.values()} | elsewhere == classes
    assert all(getattr(onnxlin, kind.__name__) is kind for kind in classes)
