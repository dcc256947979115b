"""The checkers are tested with planted bugs: each is caught by a law that names the node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import find

import onnxlin
from onnxlin import AffineMap
from onnxlin.engines import plan
from onnxlin.engines.job import Job, Solution
from onnxlin.primitives import Diagonal, MatMul, chain, identity
from onnxlin.rules import Affine, NodeAtX
from onnxlin.testing import GrownModel, onnx_models
from onnxlin.testing.laws.laws import LawError, NotApplicable, Subject, named
from tests.small import X, mlp, model
from tests.test_planted import PLANTED, SEARCH

Planted = Callable[[NodeAtX, Any], Any]
CURVED = (
    "g (float[1,3] x) => (float[1,3] y) <float[3] k = {1, 2, 3}> "
    "{ [bend] t = Tanh(x)  [last] y = Mul(t, k) }"
)


def plant(monkeypatch: pytest.MonkeyPatch, op_type: str, bug: Planted) -> None:
    """Give an operator a wrong rule."""
    true = onnxlin.RULES["", op_type]
    wrong = lambda node: bug(node, true.function(node))
    monkeypatch.setitem(onnxlin.RULES, ("", op_type), replace(true, function=wrong))


def broken(proto: object, x: object = X, laws: str | None = None) -> dict[str, LawError]:
    """The laws that do not hold."""
    subject = Subject(proto)
    feeds, found, mode = subject.feeds(x), {}, "tangent"
    for law in named(laws):
        try:
            law.check(subject, feeds, mode)
        except LawError as error:
            found[law.name] = error
        except NotApplicable:
            continue
    return found


def test_nothing_is_broken_without_a_bug() -> None:
    assert not broken(mlp())
    assert not broken(model(CURVED))


# Rules


def test_the_wrong_side_of_a_kink(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, "Relu", lambda node, piece: Affine({0: identity(node.shape(0))}))
    found = broken(mlp())
    assert {"at-x", "float64"} <= set(found)
    assert found["at-x"].node.startswith("Relu at node 'act', output 'r'(0, ")
    assert "onnxruntime has 0, the piece -" in found["at-x"].node


def test_a_bias_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, "Gemm", lambda node, piece: replace(piece, terms={0: piece.terms[0]}))
    found = broken(mlp())
    assert found["at-x"].node.startswith("Gemm at node 'first'")


def test_a_slope_that_its_bias_makes_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """W x + b = F(x) all the same; only the law of differences can know."""

    def twice(node: NodeAtX, piece: Affine) -> Affine:
        slope = piece.terms[0]
        doubled = chain(slope, Diagonal.of(node.out_shape, node.cast(np.asarray(2.0))))
        z = node.value(0)
        return replace(piece, terms={0: doubled}, bias=piece.bias - slope.matvec(z[None])[0])

    plant(monkeypatch, "Tanh", twice)
    found = broken(model(CURVED))
    assert set(found) == {"differences"}
    assert found["differences"].node.startswith("Tanh at node 'bend', output 't': on its own")


def test_a_piece_that_is_right_at_x_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(node: NodeAtX, piece: Affine) -> Affine:
        zero = Diagonal.of(node.out_shape, node.cast(np.asarray(0.0)))
        return replace(piece, terms={0: zero}, bias=np.maximum(node.value(0), 0))

    plant(monkeypatch, "Relu", stuck)
    found = broken(mlp())
    assert {"inside", "differences"} <= set(found)
    assert "at-x" not in found
    assert found["inside"].node.startswith("Relu at node 'act'")
    assert "every guard of the node holds" in found["inside"].found
    assert found["differences"].node.startswith("Relu at node 'act'")


def test_guards_that_see_no_kink(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, "Relu", lambda node, piece: replace(piece, guards=tuple))
    # A unit of the layer is about to change sides: the region must end there.
    x = np.array([[1.0, 1.0, 1.0]], np.float32)
    found = broken(mlp(), x)
    assert found["inside"].node.startswith("Relu at node 'act'")


def test_a_reading_of_its_own_where_nothing_is_smooth(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(node: NodeAtX, piece: Affine) -> Affine:
        if node.mode == "tangent":
            return piece
        by = Diagonal.of(node.out_shape, node.cast(np.asarray(1 + 2.0**-20)))
        return replace(piece, terms={0: chain(piece.terms[0], by)})

    plant(monkeypatch, "Relu", other)
    assert broken(mlp())["readings"].node.startswith("Relu at node 'act'")


# Engines


def test_a_wrong_adjoint(monkeypatch: pytest.MonkeyPatch) -> None:
    true = MatMul.rmatvec
    monkeypatch.setattr(MatMul, "rmatvec", lambda op, y: true(op, y) * 1.5)
    found = broken(mlp())
    assert {"operator", "engines"} <= set(found)
    for law in ("operator", "engines"):
        assert found[law].node.startswith("Gemm at node 'first', output 'h', of 'x': <y, A x> = ")


def test_a_wrong_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Diagonal.to_sparse
    monkeypatch.setattr(Diagonal, "to_sparse", lambda op, dtype=float: true(op, dtype) * 2)
    found = broken(mlp())
    assert set(found) == {"engines"}
    assert "engine='explicit'" in found["engines"].expected
    assert "Relu at node 'act'" in found["engines"].node
    assert "the map and its matrix differ" in found["engines"].node


def test_a_wrong_lowering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the slope alone: b follows from it, so that F(x) = W x + b does not hold either."""
    true = Diagonal.lower_adjoint
    monkeypatch.setattr(Diagonal, "lower_adjoint", lambda op, y: true(op, true(op, y)))
    found = broken(model(CURVED))
    assert set(found) == {"engines"}
    assert "compiled" in found["engines"].expected
    assert found["engines"].node.startswith("Tanh at node 'bend', output 't': on its own, ")


@pytest.mark.parametrize("engine", ["explicit", "forward", "live", "cut"])
def test_a_wrong_engine(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    true = plan.ENGINES[engine]

    def wrong(job: Job) -> Solution:
        found = true(job)
        W = found.W.copy()
        W[0, 0] *= 1 + 2.0**-30
        return Solution(W, found.bias)

    monkeypatch.setitem(plan.ENGINES, engine, wrong)
    found = broken(mlp())
    assert f"W v of engine={engine!r}" in found["engines"].expected
    assert found["engines"].node is None  # every node is right; the engine is not


# The bias ledger


def test_a_wrong_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    right = AffineMap.b.func
    monkeypatch.setattr(AffineMap, "b", property(lambda m: right(m) + 1e-3))
    found = broken(mlp())
    assert {"at-x", "float64", "ledger"} <= set(found)
    assert "b = the sum of bias_by_node" in found["ledger"].expected


def test_shares_under_the_wrong_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their sum is right, so that only the ledger can tell."""
    text = ("g (float[3] x) => (float[3] y) <float[3] k = {1, 2, 3}, float[3] l = {4, 4, 4}> "
            "{ [one] a = Add(x, k)  [two] y = Add(a, l) }")  # fmt: skip
    true = plan.ENGINES["reverse"]

    def swapped(job: Job) -> Solution:
        found = true(job)
        other = {"one": "two", "two": "one"}
        return Solution(found.W, {other[name]: share for name, share in found.bias.items()})

    monkeypatch.setitem(plan.ENGINES, "reverse", swapped)
    found = broken(model(text), np.ones(3, np.float32))
    assert set(found) == {"ledger"}
    assert found["ledger"].node.startswith("the share of b of node 'one'")


def test_a_share_of_no_node(monkeypatch: pytest.MonkeyPatch) -> None:
    true = plan.ENGINES["reverse"]

    def renamed(job: Job) -> Solution:
        found = true(job)
        return Solution(found.W, {"nobody": sum(found.bias.values())})

    monkeypatch.setitem(plan.ENGINES, "reverse", renamed)
    assert "'nobody', which is no node" in broken(mlp())["ledger"].found


@pytest.mark.parametrize(("op_type", "bug"), PLANTED)
def test_every_planted_rule_is_named(
    op_type: str, bug: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bugs that the laws of the whole catch on random graphs: here the node is named, too."""
    plant(monkeypatch, op_type, bug)

    def caught(grown: GrownModel) -> bool:
        error = broken(grown.model, grown.x, laws="at-x").get("at-x")
        return error is not None and f"{op_type} at node '{op_type}_" in error.node

    find(onnx_models([op_type], max_nodes=1, ties=False), caught, settings=SEARCH)
