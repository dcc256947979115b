"""Under "auto" many heavy rows are the live engine's, where it is expected to be faster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from onnxlin import Linearizer
from onnxlin.engines import costs, plan
from onnxlin.engines.live import seconds
from onnxlin.engines.seeds import some_of

X = np.random.default_rng(0).random((1, 1, 28, 28), dtype=np.float32)


@pytest.fixture
def heavy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take the small nets here for large ones."""
    monkeypatch.setattr(plan, "MANY", 4)
    monkeypatch.setattr(plan, "HEAVY", 0)
    return monkeypatch


@pytest.mark.parametrize("opened", [False, True])
def test_it_is_chosen_where_it_is_faster(fixtures: Path, heavy, opened: bool) -> None:
    heavy.setattr(costs, "A_DENSE", 1.0)
    lin = Linearizer(fixtures / "lenet5_mnist.onnx")
    if opened:
        assert lin(X, engine="compiled").engine == "compiled"
    m = lin(X)
    assert m.engine == "live"
    assert "s are expected for 10 rows" in m.plan
    np.testing.assert_allclose(m.verify().W, lin(X, engine="reverse").W, atol=1e-5)
    assert lin(X, rows=[1]).engine == ("compiled" if opened else "reverse")
    assert lin(X, rows=np.ones((4, 10))).engine == "live"
    assert lin(X, rows=range(3)).engine != "live"


def test_it_is_not_chosen_where_it_is_slower_or_does_not_fit(fixtures: Path, heavy) -> None:
    path = fixtures / "lenet5_mnist.onnx"
    heavy.setattr(costs, "A_DENSE", 0.0)
    heavy.setattr(costs, "AN_ENTRY", 0.0)
    assert Linearizer(path)(X).engine == "reverse"
    heavy.setattr(costs, "A_DENSE", 1.0)
    heavy.setattr(plan, "live_seconds", lambda _: np.inf)
    assert Linearizer(path)(X).engine == "reverse"


def test_more_rows_take_longer_and_no_memory_forever(fixtures: Path) -> None:
    job = Linearizer(fixtures / "vgg_fashion.onnx")(X, engine="live").made_from("the test").job
    few = replace(job, seeds=some_of(job.seeds, np.arange(2)))
    assert 0 < seconds(few) < seconds(job) < np.inf
    assert seconds(replace(job, memory=job.held)) == np.inf
