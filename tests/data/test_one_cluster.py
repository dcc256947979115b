"""A cluster that outlives a run: what comes after knows nothing of it."""

from __future__ import annotations

import os

import numpy as np
import pytest

from onnxlin import data as runs
from tests.data.stores import LENET, assert_same_stores, digits

for package in ("zarr", "distributed", "pyarrow"):
    pytest.importorskip(package)

# dask closes loops and sockets in threads of its own.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, memory_limit=0
    ) as made:
        yield made


def test_the_same_run_again_goes_to_the_store_that_it_names(tmp_path, cluster) -> None:
    path = tmp_path / "xs.npy"
    np.save(path, digits(12))
    stores = [tmp_path / f"{i}.zarr" for i in range(3)]
    for store in stores:
        os.utime(path)  # as a new file of what it held before
        done = runs.run(LENET, path, store, chunk=4, scheduler=cluster.scheduler_address)
        assert (done.samples, done.failed, done.made) == (12, 0, 12)
    for store in stores[1:]:
        assert_same_stores(store, stores[0])


def test_two_runs_at_once_keep_apart(tmp_path, cluster) -> None:
    """Chunks of both are at work on one worker, each with a store of its own."""
    from concurrent.futures import ThreadPoolExecutor

    xs, address = digits(20), cluster.scheduler_address
    stores = [tmp_path / f"{i}.zarr" for i in range(2)]
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(runs.run, LENET, xs, s, chunk=2, scheduler=address) for s in stores]
        assert [d.result().made for d in done] == [20, 20]
    assert_same_stores(*stores)


def test_nothing_stays_with_the_workers(tmp_path, cluster) -> None:
    """Models that are open, above all."""
    runs.run(LENET, digits(4), tmp_path / "a.zarr", scheduler=cluster.scheduler_address)
    left = {name for worker in cluster.workers.values() for name in worker.plugins}
    assert not [name for name in left if name.startswith("onnxlin")]
    assert not [name for name in cluster.scheduler.worker_plugins if name.startswith("onnxlin")]
