"""A map by a cut is the map by whole sweeps: W, b, the shares, in any budget and any file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.engines.cuts import halves
from onnxlin.engines.job import Job, Solution
from onnxlin.engines.plan import ENGINES, halves_of
from onnxlin.engines.reverse import reverse
from tests.engines.cuts import nets

NETS: dict[str, Callable[[], onnx.ModelProto]] = {
    "code": lambda: nets.stack([20, 15, 3, 15, 20]),
    "off": lambda: nets.stack([20, 15, 8, 15, 20], "Relu"),
    "head": lambda: nets.stack([20, 15, 4, 30]),
    "around": nets.around,
    "pair": nets.pair,
    "beside": nets.beside,
    "token": nets.token,
}
ROWS = {
    "all": lambda size: None,
    "some": lambda size: [-1, 0, 0, 2],
    "sums": lambda size: np.random.default_rng(0).normal(size=(12, size)),
    "none": lambda size: [],
}
# Roundings of either way, of entries of a few.
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-13}


def assert_same(m: onnxlin.AffineMap, other: onnxlin.AffineMap, tolerance: float) -> None:
    """W, b and each share."""
    tolerance *= max(1, np.abs(other.W).max(initial=0))
    np.testing.assert_allclose(m.W, other.W, rtol=0, atol=tolerance)
    np.testing.assert_allclose(m.b, other.b, rtol=0, atol=tolerance)
    assert set(m.bias_by_node) == set(other.bias_by_node)
    for node, share in m.bias_by_node.items():
        np.testing.assert_allclose(share, other.bias_by_node[node], rtol=0, atol=tolerance)


@pytest.mark.parametrize("mode", ["tangent", "frozen"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("which", ROWS)
@pytest.mark.parametrize("net", NETS)
def test_it_is_the_map_of_reverse(net: str, which: str, dtype: type, mode: str) -> None:
    proto = NETS[net]()
    lin, x = onnxlin.Linearizer(proto, mode=mode), nets.at(proto)
    rows = ROWS[which](len(lin(x).y))
    m, whole = (lin(x, rows, engine, dtype) for engine in ("cut", "reverse"))
    assert_same(m, whole, TOLERANCE[dtype])
    assert m.verify().verdict == "PASS"
    assert m.W.dtype == dtype


def test_an_estimate_holds_and_what_does_not_fit_is_swept_whole() -> None:
    proto = nets.stack([400, 300, 40, 300, 500])
    x = nets.at(proto)
    m = onnxlin.linearize(proto, x, engine="cut")
    job = m.made_from("the test").job
    found = halves_of(job)
    assert found is not None
    assert m.memory_needed == found.needs(500) <= job.memory
    # Without room for the rows of the code there is no cut.
    tight = onnxlin.Linearizer(proto, memory=job.held + 500 * 400 * 4 + 20_000)
    less = tight(x, engine="cut")
    assert halves_of(less.made_from("the test").job) is None
    assert_same(less, m, 2e-5)


@pytest.mark.parametrize("size", [1, 7])
def test_the_lower_half_is_swept_once_for_all_blocks(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    proto = nets.stack([20, 15, 3, 15, 20])
    lin, x, told = onnxlin.Linearizer(proto), nets.at(proto), list[tuple[int, int]]()
    swept: list[int] = []
    whole = lin(x, engine="reverse")

    def counted(job: Job) -> Solution:
        swept.append(len(job.seeds))
        return reverse(job)

    monkeypatch.setitem(ENGINES, "reverse", counted)
    monkeypatch.setattr("onnxlin.engines.plan.block_of", lambda *_: size)
    m = lin(x, None, "cut", save=tmp_path / "m", progress=lambda *at: told.append(at))
    assert isinstance(m.W, np.memmap)
    assert_same(m, whole, 2e-5)
    assert swept.count(3) == 1
    assert told == sorted(set(told))
    assert told[-1] == (40, 40)  # rows of W, and as many of its bound


def test_infinities_that_nobody_takes_are_nothing() -> None:
    matrix = np.array([[1, np.inf], [2, 3]])
    made = halves.times(np.array([[2.0, 1], [0, 1]]), matrix)
    np.testing.assert_array_equal(made, [[4, np.nan], [2, 3]])
    np.testing.assert_array_equal(halves.times(np.eye(2), np.eye(2)), np.eye(2))


def test_a_wrong_product_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        return rows[:, 1:] @ matrix[1:]

    monkeypatch.setattr(halves, "times", short)
    proto = nets.stack([20, 15, 3, 15, 20])
    with pytest.raises(onnxlin.ResidualError):
        onnxlin.linearize(proto, nets.at(proto), engine="cut").verify()
