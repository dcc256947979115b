"""When a graph is worth opening, on planted costs."""

from __future__ import annotations

import pytest

from onnxlin.engines.compiled.charges import Charge, Loop, expected


def first_to_pay(saved: float, opening: float, most: int = 2000) -> int:
    """Count the calls up to the one that opens a graph; 0 if none does."""
    charge = Charge()
    for call in range(1, most + 1):
        if charge.pays(saved, opening):
            return call
        charge.add(saved)
    return 0


def in_all(calls: int, opened: int, each: float, graph: float, opening: float) -> float:
    """Seconds of so many calls of which the one numbered ``opened`` opens a graph."""
    without = calls if not opened else min(calls, opened - 1)
    return without * each + (opening + (calls - without) * graph if calls > without else 0)


def test_calls_to_come_are_those_up_to_the_next_power_of_ten_and_some_more() -> None:
    assert [expected(made) for made in (0, 1, 9, 10, 99, 100)] == [1.3, 12, 4, 120, 31, 1200]


@pytest.mark.parametrize(
    ("opening", "call"), [(0.9, 1), (1.3, 1), (1.4, 2), (12, 2), (12.5, 11), (95, 11), (121, 101)]
)
def test_it_is_opened_by_the_second_call_of_ten_or_the_eleventh_of_a_hundred(
    opening: float, call: int
) -> None:
    assert first_to_pay(1.0, opening) == call


def test_what_has_been_lost_counts_whatever_is_to_come() -> None:
    assert Charge(made=9, lost=5.0).pays(0.1, 5.0)
    assert not Charge(made=9, lost=4.9).pays(0.1, 5.0)


@pytest.mark.parametrize("saved", [0.0, -1.0])
def test_what_saves_nothing_is_never_opened(saved: float) -> None:
    assert first_to_pay(saved, 1.0) == 0


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.6, 0.9])
def test_one_ten_and_a_hundred_calls_are_near_the_better_way(share: float) -> None:
    """A call takes 1 without a graph and a share of it with one, and opening is as estimated.

    Nobody could be within 1.6 of the better way for all three: where opening takes as long as one
    and a half calls, say, the first call is to open a graph, or not to.
    """
    for tenths in range(1, 1500):
        opening = tenths / 10

        def worst(opened: int, opening: float = opening) -> float:
            found = {n: in_all(n, opened, 1.0, share, opening) for n in (1, 10, 100)}
            return max(own / min(n, opening + n * share) for n, own in found.items())

        found = worst(first_to_pay(1 - share, opening))
        assert found < 1.75
        assert found < 1.35 * min(map(worst, (0, 1, 2, 11, 101)))


def test_a_loop_knows_how_many_calls_there_are() -> None:
    charge = Charge()
    assert charge.pays(1.0, 50.0, Loop(50))
    assert not charge.pays(1.0, 50.0, Loop(49))
    charge.add(1.0)
    assert not charge.pays(1.0, 11.0, Loop(10))
