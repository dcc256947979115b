"""The latest few graphs, which several threads ask for, put there and let go of at once."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from onnxlin import Linearizer
from onnxlin.engines.compiled.latest import Latest
from onnxlin.engines.compiled.sessions import MOST_OPEN
from tests.small import model

OPEN = "g (float[N, 3] x) => (float[N, 3] y) { h = Softmax(x)  y = Mul(h, x) }"


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads give way to each other at every step."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_what_was_used_last_is_kept() -> None:
    latest = Latest[str](2)
    latest.put(1, "a")
    latest.put(2, "b")
    latest.used(1)
    latest.put(3, "c")
    assert latest.items() == [(1, "a"), (3, "c")]
    latest.used(2)
    assert (2 in latest, latest.get(2), latest.get(3)) == (False, None, "c")
    assert pickle.loads(pickle.dumps(latest)).items() == latest.items()
    latest.clear()
    assert latest.items() == []


@pytest.mark.parametrize("engine", ["compiled", "auto"])
def test_threads_may_ask_for_more_shapes_than_stay_open(engine: str, impatient: None) -> None:
    """One lets go of what another has just found, closes, or sends a copy away."""
    lin = Linearizer(model(OPEN))
    xs = [np.full((n, 3), n / 4, np.float32) for n in range(1, MOST_OPEN + 4)]
    expected = [Linearizer(model(OPEN))(x, engine="reverse").W for x in xs]

    def ask(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for i in rng.integers(0, len(xs), 60):
            m = lin(xs[i], engine=engine)
            np.testing.assert_allclose(m.W, expected[i], rtol=1e-5, atol=1e-6)
            if rng.random() < 0.05:
                lin.close()
            if rng.random() < 0.05:
                pickle.dumps(lin)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


def test_threads_may_ask_with_a_budget(impatient: None) -> None:
    """Sizes of a run are kept for the latest shapes alone."""
    lin = Linearizer(model(OPEN), memory="1GiB")
    xs = [np.full((n, 3), n / 4, np.float32) for n in range(1, 7)]

    def ask(seed: int) -> None:
        for i in np.random.default_rng(seed).integers(0, len(xs), 60):
            assert lin(xs[i], engine="reverse").W.shape == (xs[i].size, xs[i].size)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


def test_threads_may_end_with_many_cuts(impatient: None) -> None:
    """What a cut's graph is compiled from is kept for a few cuts alone."""
    names = [f"h{i}" for i in range(7)]
    nodes = [f"{b} = Tanh({a})" for a, b in zip(["x", *names], [*names, "y"], strict=False)]
    lin = Linearizer(model(f"g (float[2] x) => (float[2] y) {{ {'  '.join(nodes)} }}"))
    ask = partial(_endings, lin, names)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


def _endings(lin: Linearizer, names: list[str], seed: int) -> None:
    for i in np.random.default_rng(seed).integers(0, len(names), 80):
        assert tuple(lin._ready.ending((names[i],)).section.outputs) == (names[i],)
