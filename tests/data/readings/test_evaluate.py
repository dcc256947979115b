"""Evaluating a data set in parts says what evaluating the whole says, to the bit."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import onnxlin
from onnxlin import data
from onnxlin.archives import spool
from onnxlin.data.over import chunk_of
from onnxlin.errors import InputError, OptionError, ResidualError
from onnxlin.linearizer.many import AT_ONCE, FEWEST, MOST
from onnxlin.readings import evaluate
from onnxlin.readings.data.histogram import Histogram
from tests.data.stores import LENET, digits, with_kills
from tests.small import model

COUNT = 150
SWITCH = "g (float[1,2] x) => (float[1,2] y) <float cap={2}> { y = Clip(x, , cap) }"


def assert_is(found, expected) -> None:
    """What is said of parts is what is said of the whole."""
    assert (found.count, found.classes) == expected.y.shape
    assert found.accuracy == expected.accuracy
    margins = {"all": expected.margin, **expected.margins}
    assert [m.part for m in found.margins] == list(margins)
    for m in found.margins:
        values = margins[m.part]
        assert m.mean == values.mean()
        assert (m.lowest, m.highest) == (values.min(), values.max())
        assert m.against == (values < 0).mean()
    assert found.owned == expected.owned
    assert found.residual == expected.residual.max()
    weight = expected.margins["W x"]
    whole = Histogram.of({"all": expected.margin, "W x": weight, "b": expected.margin - weight})
    np.testing.assert_array_equal(found.histogram.edges, whole.edges)
    for name, counts in whole.counts.items():
        np.testing.assert_array_equal(found.histogram.counts[name], counts)
    assert found.histogram.below == whole.below


@pytest.mark.parametrize("count", [20, COUNT])
def test_parts_say_what_the_whole_says(tmp_path, count) -> None:
    xs, labels = digits(count), np.arange(count) % 10
    np.savez(tmp_path / "xs.npz", xs=xs, labels=labels)
    expected = evaluate(onnxlin.Linearizer(LENET), xs, labels)
    assert_is(data.evaluate(LENET, tmp_path / "xs.npz", chunk=64), expected)
    seen = []
    found = data.evaluate(LENET, xs, labels, progress=lambda *at: seen.append(at[:2]))
    assert_is(found, expected)
    assert seen[-1] == (count, count)
    assert len(seen) == -(-count // 64)


def test_limit_engine_and_no_labels() -> None:
    xs = digits(8)
    lin = onnxlin.Linearizer(LENET)
    found = data.evaluate(lin, xs, engine="reverse", limit=5, chunk=2)
    assert_is(found, evaluate(lin, xs[:5], engine="reverse"))
    assert not found.is_labelled
    assert not found.are_distributions


def test_a_part_that_comes_in_late_brought_nothing_before() -> None:
    """The first chunk has no bias at all."""
    lin = onnxlin.Linearizer(model(SWITCH))
    xs = np.array([[[1.0, 0.5]], [[1.5, 0]], [[5.0, 1]], [[0, 1]]], np.float32)
    assert_is(data.evaluate(lin, xs, chunk=1), evaluate(lin, xs))


@with_kills
def test_what_it_holds_does_not_grow_with_the_instances(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(spool, "HELD", 2**10)
    monkeypatch.setattr(spool, "BLOCK", 2**6)
    net = "g (float[1,256] x) => (float[1,2] y) <int64[1] all={1}> { a, y = Split<axis=1>(x, s) }"
    net = net.replace("<int64[1] all={1}>", "<int64[2] s={254, 2}>")
    lin = onnxlin.Linearizer(model(net))
    rng, peaks = np.random.default_rng(0), []
    for count in (128, 256, 768):
        np.save(tmp_path / "xs.npy", rng.random((count, 1, 256), np.float32))
        tracemalloc.start()
        data.evaluate(lin, tmp_path / "xs.npy", engine="reverse", chunk=32)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 512 instances more, 1 KiB each in the file: not one number of each is held.
    assert peaks[2] - peaks[1] < 8 * 512


def test_a_bad_instance_ends_it_and_is_named(monkeypatch) -> None:
    xs = digits(70)
    xs[66, 0, 3, 3] = np.nan
    with pytest.raises(InputError, match=r"^Instance 66: Input 'image' holds 1 NaN"):
        data.evaluate(LENET, xs, chunk=64)
    with pytest.raises(InputError, match="expected 70 class indices"):
        data.evaluate(LENET, xs, [1, 2])
    right = onnxlin.AffineMap.b.func
    monkeypatch.setattr(onnxlin.AffineMap, "b", property(lambda m: right(m) + 1))
    with pytest.raises(ResidualError, match=r"W x \+ b against F\(x\)"):
        data.evaluate(LENET, xs[:3])


def test_options() -> None:
    with pytest.raises(OptionError, match="There is no out="):
        data.evaluate(LENET, digits(2), out="x.zarr")
    with pytest.raises(OptionError, match="Give store="):
        data.evaluate(LENET, digits(2), resume=True)
    with pytest.raises(OptionError, match="limit"):
        data.evaluate(LENET, digits(2), limit=0)


@pytest.mark.parametrize("rows", [2, 10, 1000])
@pytest.mark.parametrize("size", [4, 10**4, 6 * 10**5, 10**7])
@pytest.mark.parametrize("count", [1, 40, 100, 10**5])
def test_a_chunk_cuts_no_stack_in_two(count: int, size: int, rows: int) -> None:
    chunk = chunk_of({"x": np.zeros(size, np.uint8)}, rows, 3 * rows, count)
    assert 1 <= chunk <= count
    # As `onnxlin.linearizer.many` takes them, where an instance has no tensor beside x.
    at_once = next((n for n in (*AT_ONCE, FEWEST) if n * size * rows <= MOST), 1)
    assert chunk == count or chunk % at_once == 0
    assert chunk * size <= max(MOST, size)
