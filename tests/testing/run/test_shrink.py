"""Shrinking keeps what fails, and nothing else."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from onnxlin.graph import TensorType
from onnxlin.testing.run import shrink as shrinking
from onnxlin.testing.run.shrink import shrink

FLOAT = 1


def picture() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"x": rng.standard_normal((1, 3, 224, 224)).astype(np.float32)}


def test_two_entries_of_a_large_picture_are_found() -> None:
    x = picture()
    places = (0, 1, 17, 200), (0, 2, 99, 3)
    x["x"][places[0]], x["x"][places[1]] = 0.734, -2.221
    fails = lambda feeds: feeds["x"][places[0]] > 0.3 and feeds["x"][places[1]] < -1.5
    found = shrink(x, fails)
    assert found.complete
    assert found.entries == 2
    assert found.feeds["x"][places[0]] == 1
    assert found.feeds["x"][places[1]] == -2
    assert found.feeds["x"].dtype == np.float32
    assert found.calls < 150
    assert np.count_nonzero(x["x"]) > 2  # what was given is as it was


def test_what_fails_everywhere_becomes_zero_in_one_call() -> None:
    found = shrink(picture(), lambda feeds: True)
    assert (found.entries, found.calls, found.complete) == (0, 1, True)


def test_the_same_x_gives_the_same() -> None:
    fails = lambda feeds: np.abs(feeds["x"]).sum() > 1000
    one, two = (shrink(picture(), fails, calls=40) for _ in range(2))
    np.testing.assert_array_equal(one.feeds["x"], two.feeds["x"])
    assert one.calls == two.calls
    assert fails(one.feeds)
    assert one.entries < 100_000


def test_the_budget_of_calls_is_kept() -> None:
    asked = []
    found = shrink(picture(), lambda feeds: bool(asked.append(1)), calls=7)
    assert len(asked) == found.calls == 7
    assert not found.complete
    np.testing.assert_array_equal(found.feeds["x"], picture()["x"])


def test_the_budget_of_time_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr(shrinking.time, "monotonic", lambda: float(next(clock)))
    told = []
    found = shrink(picture(), lambda feeds: False, seconds=5, progress=told.append)
    assert found.calls < 6
    assert told == list(range(1, found.calls + 1))


def test_open_axes_of_one_name_are_cut_together() -> None:
    kinds = {
        "a": TensorType(FLOAT, ("n", 2)),
        "b": TensorType(FLOAT, (3, "n", None)),
        "c": TensorType(FLOAT, None),
    }
    x = {"a": np.ones((12, 2)), "b": np.ones((3, 12, 5)), "c": np.ones(4)}
    found = shrink(x, lambda f: f["a"].shape[0] == f["b"].shape[1] >= 3, kinds=kinds)
    assert found.feeds["a"].shape == (3, 2)
    assert found.feeds["b"].shape == (3, 3, 1)
    assert found.feeds["c"].shape == (4,)


def test_whole_numbers_bools_and_strings() -> None:
    x = {
        "i": np.array([5, 6, 7]),
        "b": np.array([True, True]),
        "s": np.array(["a", "b"], object),
        "e": np.zeros((0, 3)),
    }
    found = shrink(x, lambda f: f["i"][1] >= 4 and f["b"][0])
    assert found.feeds["i"].tolist() == [0, 6, 0]
    assert found.feeds["b"].tolist() == [True, False]
    assert found.feeds["s"].tolist() == ["a", "b"]
    assert found.entries == 2


def test_numbers_keep_the_digits_that_they_need() -> None:
    x = {"x": np.array([0.123456, 3.98765])}
    found = shrink(x, lambda f: f["x"][0] > 0.1 and 3.97 < f["x"][1] < 3.995)
    assert found.feeds["x"].tolist() == [1.0, 3.99]


def test_many_numbers_are_rounded_together() -> None:
    x = {"x": np.linspace(1.01, 2.02, 100)}
    found = shrink(x, lambda f: (f["x"] > 0.5).all())
    assert (found.feeds["x"] == 1).all()
