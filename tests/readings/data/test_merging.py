"""Merging of local models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage

import onnxlin
from onnxlin.readings import Groups, LocalModel, group
from onnxlin.readings.data.merging import METRICS, neighbours
from tests.agree import assert_close, sums
from tests.longer import with_time


def made(seed: int, count: int, width: int = 2, *, rows: int = 1, each: int = 1) -> Groups:
    """Local models of chance, each exact on its own samples."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count * each, width))
    y = np.zeros((count * each, rows))
    models = []
    for i in range(count):
        W, b = rng.normal(size=(rows, width)), rng.normal(size=rows)
        at = np.arange(i * each, (i + 1) * each)
        y[at] = x[at] @ W.T + b
        models.append(LocalModel.of([str(i)], at, (W, b), (x, y)))
    return Groups(tuple(models), x, y, None)


@given(st.integers(0, 999), st.integers(2, 12), st.integers(1, 6))
def test_without_neighbourhoods_it_is_wards_method(seed: int, count: int, left: int) -> None:
    """With one sample a group and all groups neighbours: scipy's Ward clustering of the maps."""
    groups = made(seed, count)
    flat = np.array([[*m.W.ravel(), *m.b] for m in groups.models])
    want = fcluster(linkage(flat, "ward"), left, "maxclust")
    found = groups.merge(left, neighbours=count, metric="coefficients").member
    assert len(set(zip(want, found, strict=True))) == len(set(want)) == len(set(found))


@given(st.integers(0, 999), st.integers(2, 8), st.sampled_from(METRICS))
def test_a_merged_map_is_the_mean_over_its_samples(seed: int, count: int, metric: str) -> None:
    groups = made(seed, count, rows=2, each=3)
    merged = groups.merge(2, metric=metric)
    assert not merged.exact
    assert sorted(key for m in merged.models for key in m.keys) == sorted(map(str, range(count)))
    for local in merged.models:
        parts = [groups.models[i] for i in set(groups.member[local.members])]
        for ours, each in ((local.W, [p.W for p in parts]), (local.b, [p.b for p in parts])):
            # Each merge weighs and divides.
            allowed = sums(4 * len(each), np.mean(np.abs(each), axis=0))
            assert_close(ours, np.mean(each, axis=0), allowed)


@given(st.integers(0, 999), st.integers(2, 8))
def test_a_refitted_map_is_the_least_squares_fit(seed: int, count: int) -> None:
    groups = made(seed, count, each=4)
    (local,) = groups.merge(1, neighbours=count, refit=True).models
    ones = np.column_stack([groups.x, np.ones(len(groups.x))])
    best = np.linalg.lstsq(ones, groups.y, rcond=None)[0].T
    np.testing.assert_allclose(np.column_stack([local.W, local.b]), best, atol=1e-9)


@given(st.integers(0, 999), st.integers(2, 8), st.floats(0, 2))
def test_no_merge_adds_more_than_the_tolerance(seed: int, count: int, tolerance: float) -> None:
    """The first merge that could follow would add more, whichever it is."""
    groups = made(seed, count, each=2)
    merged = groups.merge(1, neighbours=count, tolerance=tolerance)
    before = float((merged.error**2).sum())
    for one in range(len(merged)):
        for two in range(one):
            pair = [merged.models[i] for i in (one, two)]
            at = np.concatenate([m.members for m in pair])
            W, b = (sum(len(m) * getattr(m, part) for m in pair) / len(at) for part in "Wb")
            gap = groups.y[at] - groups.x[at] @ W.T - b
            added = (gap**2).sum() - (merged.error[at] ** 2).sum()
            assert added >= len(at) * tolerance**2 * (1 - 1e-9)
    assert before <= len(groups.x) * tolerance**2 * count * (1 + 1e-9)


def test_groups_that_no_neighbours_join_stay_apart() -> None:
    groups = made(0, 8, width=1)
    far = groups.x + np.where(np.arange(8) < 4, 0, 1000)[:, None]
    models = [LocalModel.of(m.keys, m.members, (m.W, m.b), (far, groups.y)) for m in groups.models]
    merged = Groups(tuple(models), far, groups.y, None).merge(1, neighbours=2)
    assert merged.sizes == [4, 4]


def test_neighbours_are_mutual_and_none_is_its_own() -> None:
    found = neighbours(np.array([[0.0], [1.0], [1.0], [5.0]]), 1)
    assert found == {0: {1} if 1 in found[0] else {2}, 1: found[1], 2: found[2], 3: found[3]}
    assert all(i in found[j] and i != j for i in found for j in found[i])
    assert neighbours(np.zeros((1, 2)), 5) == {0: set()}


@with_time
def test_circles_are_told_apart_by_a_few_models(fixtures: Path) -> None:
    """Eight models of Aletheia, refitted to labels, reach .9002; the net itself .9215."""
    points = np.load(fixtures / "circles" / "points.npz")
    groups = group(fixtures / "circles" / "mlp.onnx", points["train_x"], points["train_y"])
    merged = {refit: groups.merge(8, refit=refit) for refit in (False, True)}
    for found in merged.values():
        assert len(found) == 8
        assert min(found.sizes) > 50
        assert 0.90 < found.scores.auc < groups.scores.auc
    squares = {refit: (found.error**2).mean() for refit, found in merged.items()}
    assert squares[True] < squares[False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count=0; expected a whole number of at least 1"),
        ({"neighbours": 0}, "neighbours=0; expected a whole number of at least 1"),
        ({"metric": "city"}, r"metric='city'; expected one of \['predictions', 'coefficients'\]"),
    ],
)
def test_options_are_checked(options: dict, message: str) -> None:
    with pytest.raises(onnxlin.OptionError, match=message):
        made(0, 3).merge(**options)
