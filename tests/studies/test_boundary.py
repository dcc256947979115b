"""The study ``boundary``: its walls are the region's, and its results come again."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.studies.boundary.nearest import nearest_walls
from fixtures.studies.boundary.rows import compared, inside, row
from fixtures.studies.boundary.subjects import BY_NAME, Effort, Subject, toys
from fixtures.studies.boundary.summary import flips, parts, proved
from fixtures.studies.shared.results import read, rounded
from onnxlin.readings import Question
from onnxlin.readings.judging.stability import Pattern
from onnxlin.readings.region import Region

TOYS = {subject.name: subject for subject in toys()}


def asked(name: str, i: int = 3) -> tuple[Question, Region]:
    net = TOYS[name].net
    q = Question(net.lin, net.x(i))
    return q, Region(q.m)


@pytest.mark.parametrize("name", TOYS)
def test_the_nearest_wall_is_the_radius(name: str) -> None:
    _, region = asked(name)
    exact = region.radius(ties=False, sweeps=20_000)
    found = nearest_walls(region, 5)
    assert exact.exact
    assert found[0].distance == pytest.approx(exact.upper, rel=1e-9)
    assert [near.distance for near in found] == sorted(near.distance for near in found)


def test_all_walls_of_a_small_net_are_those_of_its_polytope() -> None:
    """Every distance, in order, is that of a half-space ``A x' <= c``."""
    q, region = asked("mlp2_mnist")
    space = region.polytope()
    A = space.A.toarray()
    every = np.sort((space.c - A @ q.x) / np.linalg.norm(A, axis=1))
    found = [near.distance for near in nearest_walls(region, 20)]
    np.testing.assert_allclose(found, every[:20], rtol=1e-9)


def test_a_step_short_of_the_nearest_wall_stays_inside_and_one_beyond_leaves() -> None:
    q, region = asked("mlp2_mnist")
    near = nearest_walls(region, 1)[0]
    assert q.x + 0.999 * near.distance * near.direction in region
    assert q.x + 1.001 * near.distance * near.direction not in region


def test_nothing_has_changed_where_x_is() -> None:
    q, region = asked("mlp2_mnist")
    same = compared(q, Pattern(region.program, q.x), q.x)
    assert same["flips"] == same["W"] == same["ledger"] == same["share_b"] == 0
    assert same["picture_top"] == 1
    assert same["picture_cosine"] == pytest.approx(1)


def test_walls_crossed_are_units_flipped_where_nothing_is_tied() -> None:
    found = row(TOYS["mlp2_mnist"], 3)["crossed"]["nearest"]
    assert {k: one["flips"] for k, one in found.items()} == {k: int(k) for k in found}
    assert len(found) >= 4


def test_neighbours_share_the_region_at_no_noise_and_leave_it_at_much() -> None:
    q, region = asked("mlp2_mnist")
    found = inside(q, region, Effort(inside=5), np.random.default_rng(0))
    assert found["1e-07"] == {"all": 1.0, "aside": 1.0}
    tied, other = asked("lenet5_mnist")
    shares = inside(tied, other, Effort(inside=3), np.random.default_rng(0))
    assert other.ties > 0
    assert shares["1e-07"] == {"all": 0.0, "aside": 1.0}
    assert shares["0.01"] == {"all": 0.0, "aside": 0.0}


def test_percentiles_and_bins() -> None:
    assert parts(range(101))["p25"] == 25
    one = {"W": 0.1, "W_cosine": 1, "picture": 0.2, "picture_cosine": 1, "picture_top": 1}
    neighbours = [one | {"ledger": n / 10, "flips": n} for n in (0, 0, 4, 5)]
    found = flips([{"noisy": {"0.1": neighbours}}])["bins"]
    assert {low: group["neighbours"] for low, group in found.items()} == {"0": 2, "3": 2}


def test_what_is_proved_is_held_against_what_is_found() -> None:
    def one(upper: float, exact: bool, found: float) -> dict[str, object]:
        return {"proved": {"upper": upper, "exact": exact}, "distances": {"1": found}}

    rows = [one(1.0, True, 1.0), one(1.0, True, 1.1), one(1.0, False, 2.0)]
    assert proved(rows) == {"images": 3, "exact": 2, "found": 1}


@pytest.mark.parametrize("name", TOYS)
def test_the_first_image_gives_the_same_numbers_again(name: str) -> None:
    subject: Subject = BY_NAME[name]
    if not subject.net.there:
        pytest.skip("MNIST isn't here: set ONNXLIN_DATA")
    first = read("boundary")["nets"][name]["first"]
    again = rounded(row(subject, 0))
    for key in ("ties", "guards", "units"):
        assert again[key] == first[key]
    for k, distance in first["distances"].items():
        assert again["distances"][k] == pytest.approx(distance, rel=1e-3)
    for k, found in first["crossed"]["nearest"].items():
        assert again["crossed"]["nearest"][k]["W"] == pytest.approx(found["W"], rel=1e-2, abs=1e-5)
