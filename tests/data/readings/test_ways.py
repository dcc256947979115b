"""Readings come out the same whoever makes them: one worker, several, before and after a stop."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import data
from onnxlin.errors import OptionError
from onnxlin.readings import group
from tests.data.stores import LENET, ROOT, digits
from tests.readings.compare.test_compare import changed

for package in ("zarr", "xarray", "distributed", "pyarrow"):
    pytest.importorskip(package)

CIRCLES = ROOT / "fixtures" / "circles"


def plain(found) -> dict:
    """All that an evaluation says."""
    counts = {name: own.tolist() for name, own in found.histogram.counts.items()}
    return {**vars(found), "histogram": (found.histogram.edges.tolist(), counts)}


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    # It warns of a slow machine.
    with (
        warnings.catch_warnings(action="ignore"),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            memory_limit=0,
        ) as made,
    ):
        yield made.scheduler_address


def test_two_workers_say_what_one_says(cluster, tmp_path) -> None:
    np.savez(tmp_path / "xs.npz", xs=digits(128), labels=np.arange(128) % 10)
    one = data.evaluate(LENET, tmp_path / "xs.npz", workers=1)
    two = data.evaluate(LENET, tmp_path / "xs.npz", scheduler=cluster)
    assert plain(two) == plain(one)
    points = np.load(CIRCLES / "points.npz")
    xs, labels = points["test_x"][:60], points["test_y"][:60]
    assert_same_groups(
        data.group(CIRCLES / "mlp.onnx", xs, labels, chunk=16, scheduler=cluster),
        group(CIRCLES / "mlp.onnx", xs, labels),
    )
    other = changed(onnx.load(LENET), "11.bias", 8, 2.0)
    found, whole = (
        data.compare(LENET, other, tmp_path / "xs.npz", threads=1, limit=24, chunk=8, **way)
        for way in ({"scheduler": cluster}, {})
    )
    assert found.changed == whole.changed
    assert found.shares == whole.shares
    assert whole.changed


@pytest.mark.parametrize("way", [{}, {"workers": 1, "limit": 30}])
def test_regions_of_parts_are_those_of_the_whole(way) -> None:
    points, count = np.load(CIRCLES / "points.npz"), way.get("limit", 60)
    xs, labels = points["test_x"][:60], points["test_y"][:60]
    assert_same_groups(
        data.group(CIRCLES / "mlp.onnx", xs, labels, chunk=16, **way),
        group(CIRCLES / "mlp.onnx", xs[:count], labels[:count]),
    )


def assert_same_groups(found, whole) -> None:
    """To the bit."""
    assert found.table() == whole.table()
    np.testing.assert_array_equal(found.x, whole.x)
    np.testing.assert_array_equal(found.y, whole.y)
    np.testing.assert_array_equal(found.member, whole.member)
    assert found.distinct == whole.distinct
    assert found.scores == whole.scores


class StopError(Exception):
    """As if somebody had pressed Ctrl-C."""


def stop(done: int, total: int, _: str) -> None:
    if done >= 4:
        raise StopError


@pytest.mark.parametrize("reading", [data.evaluate, data.group])
def test_it_goes_on_where_it_was_left(tmp_path, reading) -> None:
    xs, labels, store = digits(12), np.arange(12) % 10, tmp_path / "made.zarr"
    with pytest.raises(StopError):
        reading(LENET, xs, labels, store=store, chunk=4, progress=stop)
    with pytest.raises(OptionError, match="is there already"):
        reading(LENET, xs, labels, store=store)
    seen = []
    found = reading(
        LENET, xs, labels, store=store, resume=True, progress=lambda *at: seen.append(at[0])
    )
    assert seen == [8, 12]
    whole = reading(LENET, xs, labels, chunk=4)
    if reading is data.group:
        assert found.table() == whole.table()
    else:
        assert plain(found) == plain(whole)
        with pytest.raises(OptionError, match="was begun with other labels"):
            reading(LENET, xs, labels[::-1].copy(), store=store, resume=True)


def test_a_store_may_lie_at_an_address(tmp_path) -> None:
    fs = pytest.importorskip("fsspec").filesystem("memory")
    xs, labels, store = digits(12), np.arange(12) % 10, "memory://readings/made.zarr"
    try:
        with pytest.raises(StopError):
            data.evaluate(LENET, xs, labels, store=store, chunk=4, progress=stop)
        found = data.evaluate(LENET, xs, labels, store=store, resume=True, storage_options={})
        assert plain(found) == plain(data.evaluate(LENET, xs, labels, chunk=4))
        assert data.open(store)["y"].shape == (12, 10)
        with pytest.raises(OptionError, match="no worker sees it"):
            data.evaluate(LENET, xs, labels, store=store, overwrite=True, workers=2)
        assert data.open(store)["y"].shape == (12, 10)
    finally:
        fs.rm("/readings", recursive=True)


def test_threads_and_memory_are_those_of_a_linearizer(tmp_path) -> None:
    xs, store = digits(4), tmp_path / "made.zarr"
    lin = onnxlin.Linearizer(LENET, threads=1)
    data.evaluate(lin, xs, store=store)
    data.evaluate(LENET, xs, store=store, resume=True, threads=1)
    for own, differs in (
        (onnxlin.Linearizer(LENET, threads=2), "threads"),
        (onnxlin.Linearizer(LENET, threads=1, memory="1GiB"), "memory"),
    ):
        with pytest.raises(OptionError, match=f"was begun with other {differs}"):
            data.evaluate(own, xs, store=store, resume=True)


def test_a_store_of_an_evaluation_says_who_owns_the_margins(tmp_path) -> None:
    found = data.evaluate(LENET, digits(6), store=tmp_path / "made.zarr")
    opened = data.open(tmp_path / "made.zarr")
    means = {name: float(opened["margins"].sel(part=name).mean()) for name in found.owned}
    assert means == {m.part: m.mean for m in found.margins[1:]}
    assert opened["y"].shape == (6, 10)
    again = data.open(tmp_path / "made.zarr")["margins"].sel(part="(other nodes)")
    assert np.isnan(again).all()


WITHOUT = """
import sys
for name in ("dask", "distributed", "zarr", "xarray", "pyarrow", "pandas", "fsspec"):
    sys.modules[name] = None
from onnxlin import cli
assert cli.main(["evaluate", sys.argv[1], "xs.npy", "--no-files", "--json"]) == 0
assert cli.main(["regions", sys.argv[1], "xs.csv"]) == 0
cli.main(["evaluate", sys.argv[1], "xs.npy", "--workers", "2"])
cli.main(["evaluate", sys.argv[1], "xs.npy", "--store", "s.zarr"])
"""


def test_one_process_needs_no_extra(tmp_path) -> None:
    np.save(tmp_path / "xs.npy", digits(40))
    np.savetxt(tmp_path / "xs.csv", digits(3).reshape(3, -1), delimiter=",")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(LENET)],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert json.loads(done.stdout.partition("\n}")[0] + "}")["instances"] == 40
    assert 'Working on several processes needs distributed: pip install "onnxlin[data]"' in (
        done.stderr
    )
    assert 'Writing a store of results needs zarr: pip install "onnxlin[data]"' in done.stderr
