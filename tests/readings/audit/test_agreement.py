"""How near two maps are, against other people's arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as draw
from hypothesis import strategies as st
from scipy import stats

from onnxlin.readings.audit.agreement import agreement, median_scale, overlap, ranks

# Agreement, against other people's arithmetic


@draw(st.integers(0, 10**6))
def test_agreement_of_two_maps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, r = rng.integers(-3, 4, (2, 30)).astype(np.float64)
    if not (np.ptp(a) and np.ptp(r)):
        return
    found = agreement(a, r)
    assert found.pearson == pytest.approx(np.corrcoef(a, r)[0, 1], abs=1e-12)
    assert found.spearman == pytest.approx(stats.spearmanr(a, r).statistic, abs=1e-12)
    np.testing.assert_array_equal(ranks(a), stats.rankdata(a))
    scale = np.linalg.lstsq(a[:, None], r, rcond=None)[0][0]
    assert found.scale == pytest.approx(scale, abs=1e-12)
    assert found.l2 == pytest.approx(np.linalg.norm(scale * a - r) / np.linalg.norm(r), abs=1e-9)
    # cosine^2 + l2^2 = 1: the best multiple is a projection.
    assert found.cosine**2 + found.l2**2 == pytest.approx(1)
    best = min(np.abs(s * a - r).sum() for s in r[a != 0] / a[a != 0])
    assert np.abs(median_scale(a, r) * a - r).sum() == pytest.approx(best)
    assert found.l1 <= np.abs(a - r).sum() / np.abs(r).sum() + 1e-12
    known = r != 0
    assert found.signs == (np.sign(a) == np.sign(r))[known].mean()


def test_a_map_agrees_with_itself_and_not_with_its_opposite() -> None:
    r = np.random.default_rng(0).normal(size=300)
    same, not_same = agreement(2 * r, r), agreement(-r, r)
    assert same.pearson == pytest.approx(1)
    assert (same.scale, same.distance, same.l2, same.signs) == (0.5, 1.0, 0.0, 1.0)
    assert same.top == {10: 1.0, 100: 1.0}
    assert (not_same.scale, not_same.l2, not_same.signs) == (-1.0, 0.0, 0.0)
    assert not_same.cosine == pytest.approx(-1)
    assert overlap(np.array([3, -2, 1]), np.array([0, 5, 4]), 2) == 0.5
    assert agreement(r[:6], r[:6]).top == {3: 1.0}


@pytest.mark.parametrize("size", [1e-300, 1e200])
def test_agreement_does_not_depend_on_units(size: float) -> None:
    """Slopes of a saturated probability are tiny, and their squares are 0."""
    a, r = np.random.default_rng(0).normal(size=(2, 40))
    here, there = agreement(a, r), agreement(a * size, r * size)
    for name in ("pearson", "spearman", "cosine", "scale", "distance", "l1", "l2", "signs"):
        assert getattr(there, name) == pytest.approx(getattr(here, name))
    assert agreement(a, r * size).scale == pytest.approx(here.scale * size)


def test_a_map_of_zeros_has_no_correlation() -> None:
    r = np.arange(4.0)
    found = agreement(np.zeros(4), r)
    assert np.isnan([found.pearson, found.spearman, found.cosine]).all()
    assert (found.scale, found.l1, found.l2) == (0, 1, 1)
    assert np.isnan(agreement(r, np.zeros(4)).signs)
