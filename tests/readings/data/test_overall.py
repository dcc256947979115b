"""Numbers that come some at a time are added up and counted as those of one array."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxlin.readings.data.histogram import Histogram
from onnxlin.readings.data.overall import pairwise


def added(values: np.ndarray) -> float:
    adding = pairwise(len(values))
    wanted, at = next(adding), 0
    while True:
        try:
            wanted, at = adding.send(values[at : at + wanted]), at + wanted
        except StopIteration as stop:
            return stop.value


@given(st.integers(1, 5000), st.integers(0, 2**32 - 1))
def test_sums_are_those_of_numpy_to_the_bit(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(count) * 10.0 ** rng.integers(-9, 9, count)
    assert added(values) == values.sum()


@pytest.mark.parametrize("count", [127, 128, 129, 1000, 1_000_003])
def test_long_sums(count: int) -> None:
    values = np.random.default_rng(count).standard_normal(count)
    assert added(values) == values.sum()


def test_counts_of_parts_are_those_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    values = {"all": rng.standard_normal(1000), "b": rng.standard_normal(1000)}
    whole = Histogram.of(values)
    found = Histogram.empty(whole.edges, values)
    for start in range(0, 1000, 300):
        found = found.with_more({n: v[start : start + 300] for n, v in values.items()})
    for name, own in values.items():
        expected, _ = np.histogram(own, whole.edges)
        np.testing.assert_array_equal(found.counts[name], expected)
        assert found.below[name] == (own <= 0).sum()
