"""Threads that stay: each part is done once, errors come out, and a forked child has its own."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from onnxlin.engines.live import threads
from onnxlin.engines.live.threads import shared, spread


@pytest.fixture(autouse=True)
def several(monkeypatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 3)


def test_every_line_is_worked_on_once() -> None:
    found = [0] * 1000

    def work(part: slice) -> None:
        for i in range(part.start, part.stop):
            found[i] += 1

    for _ in range(50):
        spread(work, len(found), threads.AT_ONCE // 7)
    assert found == [50] * 1000


def test_several_threads_work() -> None:
    meet = threading.Barrier(2, timeout=60)
    shared(lambda mine: [meet.wait() for _ in mine], [0, 1])


def test_threads_stay() -> None:
    shared(list, [0, 1, 2])
    before = threading.active_count()
    for _ in range(20):
        shared(list, [0, 1, 2])
    assert threading.active_count() <= max(before, 3)


@pytest.mark.parametrize("wrong", [0, 7])
def test_an_error_comes_out(wrong: int) -> None:
    def work(mine) -> None:
        for part in mine:
            if part == wrong:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        shared(work, range(8))
    shared(list, range(8))


def test_work_within_work_waits_for_nobody() -> None:
    found = []

    def work(mine) -> None:
        for part in mine:
            shared(lambda inner, part=part: found.extend((part, i) for i in inner), range(5))

    shared(work, range(9))
    assert sorted(found) == [(i, j) for i in range(9) for j in range(5)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_forked_child_starts_its_own() -> None:
    shared(list, range(4))
    child = os.fork()
    if not child:
        done = []
        shared(done.extend, range(4))
        os._exit(0 if sorted(done) == [0, 1, 2, 3] else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("count", [0, 5, 3 * threads.HUGE // 8 + 17])
def test_memory_is_touched_a_page_at_a_time_by_one_thread_each(count) -> None:
    made = np.full(count, np.nan)
    found = threads.touched(made)
    assert found is made
    large = made.nbytes > threads.HUGE
    assert (np.flatnonzero(made == 0) % (threads.PAGE // 8) == 0).all()
    assert (made == 0).sum() == (-(-count * 8 // threads.PAGE) if large else 0)
