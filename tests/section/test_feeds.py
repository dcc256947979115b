"""What the model is fed: checked and copied once, a stack of instances as each of them alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxlin import InputError, Linearizer, RowsError
from onnxlin.engines.seeds import is_single, make_seeds
from onnxlin.graph import TensorType
from onnxlin.section.feeds import make_feeds, stack_feeds
from tests.agree import assert_close
from tests.small import X, mlp

FLOAT, INT64 = 1, 7
INPUTS = {"x": TensorType(FLOAT, (1, 2)), "i": TensorType(INT64, (1,))}


def instance(*x: float, i: int = 0, dtype: Any = np.float64) -> dict[str, Any]:
    return {"x": np.array([x], dtype), "i": np.array([i])}


@pytest.mark.parametrize(
    "xs",
    [
        [instance(1, 2), instance(3, 4, i=1), instance(0.1, 6, i=2)],
        [instance(1, 2, dtype=np.float32), instance(3, 4, i=1)],
        [{"x": [[1, 2]], "i": [3]}, instance(3, 4)],
    ],
)
def test_a_stack_is_what_its_instances_are(xs: list[Any]) -> None:
    found = stack_feeds(xs, INPUTS)
    for name in INPUTS:
        alone = [make_feeds(x, INPUTS)[name] for x in xs]
        np.testing.assert_array_equal(found[name], np.concatenate(alone))
        assert found[name].dtype == alone[0].dtype


@pytest.mark.parametrize("bad", [instance(np.nan, 1), instance(1e39, 1), {"x": np.ones((1, 3))}])
def test_what_does_not_fit_in_one_of_a_stack_is_refused(bad: Any) -> None:
    bad = {"i": np.array([0]), **bad}
    with pytest.raises(InputError) as alone:
        make_feeds(bad, INPUTS)
    with pytest.raises(InputError) as stacked:
        stack_feeds([instance(1, 2), bad, instance(3, 4)], INPUTS)
    assert str(stacked.value) == f"Instance 1: {alone.value}"


def test_infinities_are_let_through_where_held() -> None:
    xs = [instance(np.inf, 1), instance(1, -np.inf)]
    found = stack_feeds(xs, INPUTS, held={"x"})["x"]
    np.testing.assert_array_equal(found, [[np.inf, 1], [1, -np.inf]])


@pytest.mark.parametrize("engine", ["compiled", "reverse"])
def test_what_a_caller_does_to_x_later_changes_no_map(engine: str) -> None:
    lin, x = Linearizer(mlp()), X.copy()
    m = lin(x, engine=engine)
    several = np.repeat(X, 8, axis=0)
    maps = list(lin.map(several, engine=engine))
    x[:], several[:] = 7, 7
    for each in (m, *maps):
        np.testing.assert_array_equal(each.x, X.ravel())
        assert_close(each(X), each.y, each.bound * each.scale)


def test_ranges_are_read_once_and_cannot_be_written() -> None:
    assert make_seeds(range(2), 5) is make_seeds(range(2), 5)
    np.testing.assert_array_equal(make_seeds(range(-2, 0), 5).index, [3, 4])
    with pytest.raises(ValueError, match="read-only"):
        make_seeds(None, 5).index[0] = 3  # type: ignore[index]
    with pytest.raises(RowsError):
        make_seeds(range(6), 5)
    assert [is_single(rows) for rows in (range(1), range(2), range(0))] == [True, False, False]


def test_what_fits_as_it_is_is_copied() -> None:
    given = instance(1, 2, dtype=np.float32)
    found = make_feeds(given, INPUTS)
    given["x"][:], given["i"][:] = 9, 9
    np.testing.assert_array_equal(found["x"], [[1, 2]])
    np.testing.assert_array_equal(found["i"], [0])
    assert {name: value.dtype for name, value in found.items()} == {"x": np.float32, "i": np.int64}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_numbers_are_finite_and_others_are_told_of(dtype: Any) -> None:
    """Their squares are infinite, they are not."""
    inputs = {"x": TensorType(FLOAT if dtype is np.float32 else 11, (1, 2))}
    large = np.full((1, 2), np.finfo(dtype).max)
    np.testing.assert_array_equal(make_feeds(large, inputs)["x"], large)
    for bad in (np.nan, np.inf, -np.inf):
        x = np.array([[1, bad]], dtype)
        with pytest.raises(InputError, match=r"Input 'x' holds 1 NaN or infinite values.*\[0, 1\]"):
            make_feeds(x, inputs)
        assert np.isnan(bad) or make_feeds(x, inputs, held=["x"])["x"][0, 1] == bad


@pytest.mark.parametrize("x", [np.zeros((2, 2), np.float32), np.zeros(2, np.float32)])
def test_an_array_of_another_shape_is_refused_whatever_its_dtype(x: Any) -> None:
    with pytest.raises(InputError, match="has shape"):
        make_feeds(x, {"x": INPUTS["x"]})


def test_a_list_of_rows_is_known_again_by_its_numbers_and_their_types() -> None:
    assert make_seeds([1, -1], 3) is make_seeds([1, -1], 3)
    np.testing.assert_array_equal(make_seeds([1, -1], 3).index, [1, 2])
    np.testing.assert_array_equal(make_seeds([1], 3).index, [1])
    np.testing.assert_array_equal(make_seeds(1, 3).index, [1])
    for other in ([True], [1.0], True, 1.0):
        with pytest.raises(RowsError, match="expected output indices"):
            make_seeds(other, 3)
    with pytest.raises(RowsError, match="do not exist"):
        make_seeds([3], 3)
