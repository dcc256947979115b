"""What joining the halves of a cut may bring is bounded, and that the bound is in the map's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import onnxlin
from onnxlin.affine_map import bounds
from onnxlin.affine_map.joined import Joined
from onnxlin.engines.cuts import narrowest
from onnxlin.engines.job import Job
from onnxlin.engines.noise import FACTOR
from onnxlin.engines.reverse import reverse
from tests.engines.cuts import nets

STACK = [20, 15, 6, 15, 30]


def joined(m: onnxlin.AffineMap, *, cheap: bool = True) -> Joined:
    origin = m.made_from("the test")
    cut = narrowest(origin.program, m.rows)
    assert cut is not None
    return Joined(origin, cut, cheap)


def halves(m: onnxlin.AffineMap, dtype: type) -> list[np.ndarray]:
    """T and L."""
    origin = m.made_from("the test")
    cut = narrowest(origin.program, m.rows)
    assert cut is not None
    jobs = [Job(cut.upper, m.rows, 2**30), Job(cut.lower, cut.seeds, 2**30)]
    return [
        reverse(replace(job, program=replace(job.program, dtype=np.dtype(dtype)))).W.astype(float)
        for job in jobs
    ]


@pytest.mark.parametrize("act", ["Tanh", "Relu"])
@pytest.mark.parametrize("seed", range(3))
def test_the_worst_case_is_worse_than_what_happens(act: str, seed: int) -> None:
    """Rows of the lower half in float32, and the product of both, against float64."""
    proto = nets.stack(STACK, act)
    m = onnxlin.linearize(proto, nets.at(proto, seed), engine="cut")
    (T, L), (_, exact) = halves(m, np.float32), halves(m, np.float64)
    product = (T.astype(np.float32) @ L.astype(np.float32)).astype(float)
    made = np.abs(product @ m.x - T @ (exact @ m.x))
    sure = joined(m).sure(np.arange(len(m.y)))
    assert (made <= sure).all()
    assert made.max() > 0
    # Of so few entries a worst case is no more than some thousand roundings of all that is there.
    assert (sure <= 1e4 * 2.0**-24 * (np.abs(T) @ (np.abs(L) @ np.abs(m.x) + 1))).all()


def test_the_product_itself_counts() -> None:
    """By hand: the lower half is a single step, whose entries are products of its own."""
    proto = nets.stack([20, 6, 30])
    m = onnxlin.linearize(proto, nets.at(proto), engine="cut")
    part = joined(m)
    assert part.cut.lower.steps[0].output == "h1"
    T, L = halves(m, np.float64)
    unit, rows = 2.0**-24, np.array([3, 17])
    least = np.abs(T[rows]) @ (6 * unit * np.abs(L) @ np.abs(m.x))
    assert (part.sure(rows) >= least).all()


def test_draws_are_no_less_than_what_they_estimate() -> None:
    proto = nets.stack(STACK)
    m = onnxlin.linearize(proto, nets.at(proto), engine="cut")
    exact, drawn = (joined(m, cheap=cheap).likely() for cheap in (True, False))
    assert (drawn >= 0.5 * exact).all()
    assert (drawn <= 4 * FACTOR * exact).all()


@pytest.mark.parametrize("cheap", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("net", [lambda: nets.stack(STACK), nets.token, nets.pair, nets.beside])
def test_maps_are_proved_with_it(net, dtype: type, cheap: bool, monkeypatch) -> None:
    if not cheap:
        monkeypatch.setattr(bounds, "CHEAP", 0)
        monkeypatch.setattr(bounds, "FEW", 0)
    proto = net()
    m, whole = (
        onnxlin.linearize(proto, nets.at(proto), engine=engine, dtype=dtype)
        for engine in ("cut", "reverse")
    )
    assert m.verify().verdict == whole.verify().verdict == "PASS"
    for name in ("error_bound", "composition_bound"):
        mine, plain = getattr(m, name), getattr(whole, name)
        assert (mine > 0.99 * plain).all()
        assert mine.max() > plain.max()
