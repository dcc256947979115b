"""What a comparison of two models says, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

import onnxlin
from onnxlin import linearize
from onnxlin.readings import compare
from tests.readings.compare.test_compare import changed
from tests.small import X, mlp, model


def test_a_unit_that_changes_sides_is_counted() -> None:
    """h1 = 0.1 > 0 in A, and -0.1 in B."""
    text = (
        "g (float[2] x) => (float[2] y) "
        "<float[2] c = {{0.0, {c}}}> {{ [add] h = Add(x, c)  [act] y = Relu(h) }}"
    )
    x = np.array([1.0, 0.1], np.float32)
    c = compare(model(text.format(c="0.0")), model(text.format(c="-0.2")), x)
    (flip,) = c.flips
    assert (flip.node, flip.op_type, flip.units, flip.of) == ("act", "Relu", 1, 2)
    assert flip.furthest == pytest.approx(0.1)
    assert "1 unit in 1 node on the other side of a kink, first 1 of 2 of Relu 'act'" in str(c)
    assert [row.same for row in c.rows] == [True, False]
    assert c.rows[1].W_relative == 1
    assert c.rows[1].cosine is None


def test_a_pool_that_changes_its_winner_is_counted() -> None:
    text = (
        "g (float[1,1,4] x) => (float[1,1,2] y) "
        "<float[1,1,4] c = {{0.0, {c}, 0.0, 0.0}}> "
        "{{ h = Add(x, c)  [pool] y = MaxPool<kernel_shape = [2], strides = [2]>(h) }}"
    )
    x = np.array([[[1.0, 2.0, 3.0, 4.0]]], np.float32)
    c = compare(model(text.format(c="0.0")), model(text.format(c="-3.0")), x)
    (flip,) = c.flips
    assert (flip.node, flip.units, flip.of) == ("pool", 1, 2)
    assert flip.furthest == 2


def test_tol_accepts_more() -> None:
    """A relative tolerance is of |W| in W, and of the residual's scale in y and b."""
    a, b = mlp(), changed(mlp(), "A", 1, 0.001)
    strict, loose = compare(a, b, X), compare(a, b, X, tol=0.05)
    assert not strict.same
    assert loose.same
    assert loose.verdict == "within tol"
    assert str(loose).startswith("the same map within the tolerance given")
    assert loose.departure == strict.departure  # whoever departs still does
    far = compare(a, changed(mlp(), "A", 1, 1.0), X, tol=0.001)
    assert not far.same
    assert "differ by more than tol=0.001 and rounding allow" in str(far)


def test_maps_are_compared_without_their_models() -> None:
    a, b = mlp(), changed(mlp(), "A", 1, 0.5)
    maps = [linearize(proto, X, dtype=np.float64) for proto in (a, b)]
    c = compare(*maps)
    full = compare(a, b, X)
    assert [r.W_gap for r in c.rows] == [r.W_gap for r in full.rows]
    assert [n.gap for n in c.ledger] == [n.gap for n in full.ledger]
    assert not c.tensors
    assert c.departure == "unknown: maps have no nodes to run; compare models or Linearizers"
    assert compare(maps[0], maps[0]).departure is None
    assert compare(maps[0], maps[0]).equal


def test_the_text_says_which_node_and_by_how_much() -> None:
    c = compare(mlp(), changed(mlp(), "A", 1, 0.5), X)
    text = str(c)
    assert "not the same map: y, W, b differ by more than rounding explains" in text
    assert "first node that departs: Gemm 'first', tensor 'h': fed the same, A and B are" in text
    assert "constants ['A'] differ" in text
    assert "4 of 4 tensors of A matched by name: 1 equal, 1 introduced, 2 inherited" in text


def test_plain_data() -> None:
    c = compare(mlp(), changed(mlp(), "A", 1, 0.5), X)
    found = json.loads(json.dumps(c.as_dict(), allow_nan=False))
    assert found["same"] is False
    assert found["verdict"] == "apart"
    assert found["tensors"][1]["state"] == "introduced"
    assert found["matched"]["share"] == 1
    assert len(found["rows"]) == 2


def test_what_does_not_correspond_is_refused() -> None:
    wide = model("g (float[1,4] x) => (float[1,4] y) { y = Relu(x) }")
    two = model("g (float[1,3] x, float[1,3] z) => (float[1,3] y) { y = Add(x, z) }")
    other = model("g (float[1,3] x) => (float[1,3] y) { y = Relu(x) }")
    with pytest.raises(onnxlin.InputError, match=r"Model B does not take what model A takes"):
        compare(mlp(), wide, X)
    with pytest.raises(onnxlin.InputError, match=r"different inputs: A \['x'\], B \['x', 'z'\]"):
        compare(mlp(), two, X)
    with pytest.raises(onnxlin.InputError, match=r"'y' of A has shape \(1, 2\), 'y' of B \(1, 3\)"):
        compare(mlp(), other, X)
    with pytest.raises(onnxlin.OptionError, match="compared at one x; none was given"):
        compare(mlp(), mlp())
    m = linearize(mlp(), X)
    with pytest.raises(onnxlin.OptionError, match="a map and a model were given"):
        compare(m, mlp(), X)
    with pytest.raises(onnxlin.OptionError, match="Two maps hold their x"):
        compare(m, m, X)
    with pytest.raises(onnxlin.OptionError, match="tol=-1; expected"):
        compare(m, m, tol=-1)
    with pytest.raises(onnxlin.InputError, match=r"have 2 and 1 rows"):
        compare(m, linearize(mlp(), X, rows=[0]))
    with pytest.raises(onnxlin.InputError, match=r"of different x: inputs \['x'\]"):
        compare(m, linearize(mlp(), X + 1))
