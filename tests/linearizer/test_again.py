"""A question that was asked before is answered as it was then: the short way is no other way."""

from __future__ import annotations

import gc
import pickle
import weakref
from copy import deepcopy
from typing import Any

import numpy as np
import onnx
import pytest

from onnxlin import AffineMap, Linearizer
from onnxlin.errors import InputError, OptionError, RowsError, TraceError
from tests.small import X, mlp, model

ROWS = [None, 0, -1, range(2), [0], [1, 0]]


def asked(lin: Linearizer, x: Any = X, **how: Any) -> AffineMap:
    """Ask by the short way, which must be there."""
    assert lin._ready.shelf.again is not None
    return lin(x, engine="compiled", **how)


def prepared(rows: Any = None, proto: Any = None, x: Any = X) -> Linearizer:
    lin = Linearizer(mlp() if proto is None else proto)
    lin(x, rows=rows, engine="compiled")
    return lin


def same(m: AffineMap, n: AffineMap) -> None:
    """Hold all that two maps say of themselves against each other."""
    for name in ("W", "b", "x", "y", "residual", "bound"):
        np.testing.assert_array_equal(getattr(m, name), getattr(n, name), err_msg=name)
    for name in ("plan", "engine", "mode", "rounding", "dtype", "notes", "verdict", "pattern_key"):
        assert getattr(m, name) == getattr(n, name), name
    assert m.memory_needed == n.memory_needed
    assert {k: v.tolist() for k, v in m.bias_by_node.items()} == {
        k: v.tolist() for k, v in n.bias_by_node.items()
    }
    assert vars(m).keys() == vars(n).keys()


@pytest.mark.parametrize("rows", ROWS, ids=str)
def test_it_is_the_map_of_a_linearizer_that_was_never_asked(rows: Any) -> None:
    lin, x = prepared(rows), X + 0.25
    m = asked(lin, x, rows=rows).verify()
    same(m, Linearizer(mlp())(x, rows=rows, engine="compiled").verify())
    own = Linearizer(mlp())(x, rows=rows, engine="reverse")
    np.testing.assert_allclose(m.W, own.W, rtol=1e-5, atol=1e-6)


def test_as_many_other_rows_are_those_of_the_whole_map() -> None:
    whole = Linearizer(mlp())(X, engine="compiled")
    lin = prepared(0)
    for rows in (1, [1], range(1, 2), -1, [-1], np.array([1]), [[0.0, 1.0]]):
        m = asked(lin, rows=rows)
        np.testing.assert_allclose(m.W, whole.W[1:2], rtol=1e-6)
        np.testing.assert_allclose(m.b, whole.b[1:2], rtol=1e-6)
        m.verify()
        assert pickle.loads(pickle.dumps(m)).rows.taken.tolist() == [False, True]
    assert asked(lin, rows=[0, 1]).W.shape == (2, 3)
    assert asked(lin, rows=[0]).rows.index.tolist() == [0]


def test_what_it_saw_is_kept_apart_from_what_the_caller_has() -> None:
    lin, x = prepared(), X.copy()
    m = asked(lin, x)
    before = m.x.copy()
    x += 1
    np.testing.assert_array_equal(np.ravel(m.inputs["x"]), before)
    np.testing.assert_array_equal(m.made_from("the test").values["x"].ravel(), before)


def test_it_is_pickled_and_copied_as_any_other() -> None:
    m = asked(prepared())
    for other in (pickle.loads(pickle.dumps(m)), deepcopy(m)):
        np.testing.assert_array_equal(other.W, m.W)
        other.verify()
    assert pickle.loads(pickle.dumps(prepared()))._ready.shelf.again is None


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [(1, True), (1, 1.0), ([1], [True]), ([1], [1.0]), (1, 2), ([1], [-3]), (1, "a")],
    ids=str,
)
def test_what_equals_a_row_is_none(rows: Any, wrong: Any) -> None:
    lin = prepared(rows)
    with pytest.raises(RowsError):
        asked(lin, rows=wrong)


def test_a_list_of_rows_that_has_changed_is_read_again() -> None:
    rows = [0]
    lin = prepared(rows)
    rows[0] = 1
    whole = Linearizer(mlp())(X, engine="reverse")
    np.testing.assert_allclose(asked(lin, rows=rows).W, whole.W[1:2], rtol=1e-5)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.full_like(X, np.nan), "NaN or infinite"),
        (X[..., :-1], "has shape"),
        ({"z": X}, "names .'z'. unknown"),
        ({"x": X, "z": X}, "names .'z'. unknown"),
        (np.full(X.shape, "text"), "dtype"),
    ],
    ids=["nan", "shape", "name", "names", "text"],
)
def test_errors_are_those_of_a_first_call(x: Any, said: str) -> None:
    lin, texts = prepared(), []
    for one in (lin, Linearizer(mlp())):
        with pytest.raises(InputError, match=said) as found:
            one(x, engine="compiled")
        texts.append(str(found.value))
    assert texts[0] == texts[1]


def test_options_are_read_as_ever() -> None:
    lin = prepared()
    with pytest.raises(OptionError):
        asked(lin, dtype="float16")
    with pytest.raises(OptionError, match="engine"):
        lin(X, engine="complied")
    assert lin(X, engine="reverse").engine == "reverse"
    told: list[tuple[int, int]] = []
    asked(lin, progress=lambda *at: told.append(at))
    assert told


def test_other_dtypes_are_rounded_as_ever() -> None:
    m = asked(prepared(), X.astype(np.float64))
    assert m.inputs["x"].dtype == np.float32
    np.testing.assert_array_equal(m.W, asked(prepared()).W)


def test_an_output_that_is_not_finite_is_told_of() -> None:
    proto = model("g (float[1,3] x) => (float[1,3] y) { one = Constant<value_float=1.0>()"
                  " y = Div(one, x) }")  # fmt: skip
    x = np.ones((1, 3), np.float32)
    lin = prepared(None, proto, x)
    with pytest.raises(TraceError, match="NaN or infinite"):
        asked(lin, np.array([[1, 0, 1]], np.float32))
    finite = asked(prepared([0], proto, x), np.array([[1, 0, 1]], np.float32), rows=[0])
    np.testing.assert_array_equal(finite.W, [[-1, 0, 0]])


def test_nothing_that_was_closed_or_evicted_is_run() -> None:
    lin = prepared()
    lin.close()
    assert lin._ready.shelf.again is None
    lin(X, engine="compiled")
    assert lin._ready.shelf.again is not None
    lin(X, rows=0, engine="compiled")  # a graph of its own
    assert len(lin._ready.shelf.again.seeds) == 1


def test_models_whose_initialisers_may_be_given_are_read_each_time() -> None:
    proto = model("g (float[1,2] x, float[2] w) => (float[1,2] y) { y = Mul(x, w) }")
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(2, np.float32), "w"))
    x = np.ones((1, 2), np.float32)
    lin = Linearizer(proto)
    lin(x, engine="compiled")
    given = lin({"x": x, "w": np.full(2, 3, np.float32)}, engine="compiled")
    np.testing.assert_array_equal(given.W, 3 * np.eye(2))


def test_maps_of_a_stack_share_all_but_their_ends() -> None:
    lin, xs = Linearizer(mlp()), np.concatenate([X, X + 0.25, X - 0.5, X * 2, X * 3])
    maps = [m.verify() for m in lin.map(xs, engine="compiled")]
    for x, m in zip(xs, maps, strict=True):
        own = Linearizer(mlp())(x[None], engine="compiled")
        np.testing.assert_allclose(m.W, own.W, rtol=1e-6)
        np.testing.assert_array_equal(m.x, x)
        np.testing.assert_array_equal(m.made_from("the test").values["x"], x[None])
        for name in ("plan", "engine", "mode", "rounding", "dtype", "notes", "rows"):
            assert getattr(m, name) is getattr(maps[0], name), name
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(m)).W, m.W)


def test_the_instance_of_a_stack_whose_output_is_not_finite_is_told_of() -> None:
    proto = model("g (float[1,3] x) => (float[1,3] y) { one = Constant<value_float=1.0>()"
                  " y = Div(one, x) }")  # fmt: skip
    xs = np.ones((8, 3), np.float32)
    xs[2, 1] = 0
    maps = Linearizer(proto).map(xs, engine="compiled")
    assert [next(maps).y.tolist() for _ in range(2)] == [[1, 1, 1]] * 2
    with pytest.raises(TraceError, match="row 1"):
        next(maps)


def test_nothing_holds_itself() -> None:
    """A linearizer that nobody has any more is let go of at once, with its sessions."""
    gc.disable()
    try:
        lin = prepared()
        asked(lin)
        gone = weakref.ref(lin._ready.shelf)
        del lin
        assert gone() is None
    finally:
        gc.enable()
