"""Stores and data in object stores: what is there is to the bit what a folder would hold.

By fsspec's file system in memory, and over S3's own protocol by a server of moto's on loopback.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from contextlib import suppress

import numpy as np
import pytest

import onnxlin
from onnxlin import data as runs
from onnxlin.data import addresses
from onnxlin.errors import DataError, FileError, InputError, OnnxlinError, OptionError
from tests.data.stores import (
    LENET,
    PATIENCE,
    command,
    digits,
    files_of,
    kill_group,
    started,
    with_kills,
)

for package in ("zarr", "xarray", "distributed", "pyarrow", "fsspec"):
    pytest.importorskip(package)
import fsspec  # noqa: E402
import pandas  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # loops and sockets of others
WHAT = ("contributions", "ledger")
BUCKET = "results"
SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def s3():
    """Storage options of a server that speaks S3, with a bucket."""
    for package in ("s3fs", "moto", "flask", "flask_cors"):
        pytest.importorskip(package, reason=f"no server of S3 without {package}")
    import subprocess

    own = {"AWS_ACCESS_KEY_ID": "one", "AWS_SECRET_ACCESS_KEY": "two"}
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER], env={**os.environ, **own},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        port = int(server.stdout.readline())
        options = {
            "key": "one",
            "secret": "two",
            "client_kwargs": {"endpoint_url": f"http://127.0.0.1:{port}"},
        }
        fsspec.filesystem("s3", **options).mkdir(BUCKET)
        yield options
    finally:
        server.kill()
        server.communicate()


@pytest.fixture
def memory():
    """fsspec's file system in memory, empty."""
    fs = fsspec.filesystem("memory")
    yield fs
    for path in fs.find("/"):
        fs.rm(path)


def objects_of(address, options=None):
    """Every object of a store, by its name in it."""
    fs, path = addresses.files_of(address, options)
    fs.invalidate_cache()
    return {name[len(path) :].lstrip("/"): fs.cat_file(name) for name in fs.find(path)}


def assert_as_the_folder(address, folder, options=None) -> None:
    ours, theirs = objects_of(address, options), files_of(folder)
    assert ours.keys() == theirs.keys()
    for name, found in ours.items():
        assert found == theirs[name], f"{name} differs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store in a folder, of 40 digits that lie beside it as ``xs.npy``."""
    at = tmp_path_factory.mktemp("folder")
    np.save(at / "xs.npy", digits(40))
    runs.run(LENET, at / "xs.npy", at / "made.zarr", WHAT, chunk=4)
    return at


def stop_after(samples):
    def stop(done, total, text):
        if done >= samples:
            raise KeyboardInterrupt

    return stop


def test_a_store_in_memory_is_that_of_a_folder(folder, memory) -> None:
    out = "memory://runs/made.zarr"
    with pytest.raises(KeyboardInterrupt):
        runs.run(LENET, folder / "xs.npy", out, WHAT, chunk=4, progress=stop_after(12))
    with pytest.raises(OptionError, match="is there already"):
        runs.run(LENET, folder / "xs.npy", out, WHAT, chunk=4)
    assert runs.run(LENET, folder / "xs.npy", out, WHAT, chunk=4, resume=True).made == 28
    assert_as_the_folder(out, folder / "made.zarr")
    mine, other = runs.open(out + "/"), runs.open(f"file://{folder}/made.zarr")
    assert mine.identical(other)
    assert mine.contributions.shape == (40, 1, 28, 28)


def test_what_is_no_store_is_left_alone(folder, memory) -> None:
    memory.pipe_file("/runs/made.zarr/letter.txt", b"dear")
    for how in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(OptionError, match=r"is there already|no store of results"):
            runs.run(LENET, folder / "xs.npy", "memory://runs/made.zarr", **how)
    assert memory.cat_file("/runs/made.zarr/letter.txt") == b"dear"
    with pytest.raises(OptionError, match="There is no store of results"):
        runs.open("memory://runs/none.zarr")


def test_memory_is_seen_by_no_worker(folder, memory) -> None:
    with pytest.raises(OptionError, match="no worker sees it"):
        runs.run(LENET, folder / "xs.npy", "memory://runs/made.zarr", workers=2)


def test_a_put_that_fails_is_told_of_and_can_be_gone_on_from(folder, memory, monkeypatch) -> None:
    out = "memory://runs/made.zarr"
    kind, right = type(memory), type(memory).pipe_file

    def full(self, path, value, **more):
        if "contributions/c/5" in path:
            raise OSError(28, "No space left on device")
        return right(self, path, value, **more)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "pipe_file", full)
        with pytest.raises(FileError, match=r"No space left on device.*--resume"):
            runs.run(LENET, folder / "xs.npy", out, WHAT, chunk=4)
    assert runs.run(LENET, folder / "xs.npy", out, WHAT, chunk=4, resume=True).made == 20
    assert_as_the_folder(out, folder / "made.zarr")


def put_all(fs, at, xs) -> None:
    """The same digits as zarr, .npy and .parquet."""
    import zarr

    address, options = at
    group = zarr.open_group(
        addresses.zarr_of(f"{address}/xs.zarr", options), mode="w", zarr_format=3
    )
    group.create_array("input", data=xs, chunks=(16, 1, 28, 28))
    stream = io.BytesIO()
    np.save(stream, xs)
    fs.pipe_file(f"{address}/xs.npy", stream.getvalue())
    stream = io.BytesIO()
    columns = {f"p{i}": xs.reshape(len(xs), -1)[:, i] for i in range(784)}
    pandas.DataFrame(columns).to_parquet(stream, row_group_size=16)
    fs.pipe_file(f"{address}/xs.parquet", stream.getvalue())


def assert_sources(fs, address, options, folder) -> None:
    put_all(fs, (address, options), digits(40))
    lin = onnxlin.Linearizer(LENET)
    for name in ("xs.zarr", "xs.npy", "xs.parquet"):
        source = runs.open_source(f"{address}/{name}", lin.graph.inputs, storage_options=options)
        assert len(source) == 40
        np.testing.assert_array_equal(
            next(iter(source[13:37].stacks.values())).reshape(24, 784),
            digits(40)[13:37].reshape(24, 784),
        )
        assert (
            source.digest
            == runs.open_source(
                f"{address}/{name}", lin.graph.inputs, storage_options=options
            ).digest
        )


def test_sources_in_memory(folder, memory) -> None:
    assert_sources(memory, "memory://data", None, folder)
    inputs = onnxlin.Linearizer(LENET).graph.inputs
    with pytest.raises(InputError, match=r"from an address zarr, .npy and .parquet are read"):
        runs.open_source("memory://data/xs.csv", inputs)
    with pytest.raises(DataError, match="cannot be read"):
        runs.open_source("memory://data/none.npy", inputs)
    memory.pipe_file("/data/bad.npy", b"\x93NUMPY and no more")
    with pytest.raises(InputError, match="no readable file of arrays"):
        runs.open_source("memory://data/bad.npy", inputs)
    stream = io.BytesIO()
    np.save(stream, np.asfortranarray(digits(4)))
    memory.pipe_file("/data/columns.npy", stream.getvalue())
    with pytest.raises(InputError, match="ascontiguousarray"):
        runs.open_source("memory://data/columns.npy", inputs)


@pytest.mark.parametrize("name", ["xs.zarr", "xs.npy", "xs.parquet"])
def test_objects_that_are_put_anew_are_refused(memory, name) -> None:
    put_all(memory, ("memory://data", None), digits(40))
    source = runs.open_source(f"memory://data/{name}", onnxlin.Linearizer(LENET).graph.inputs)
    assert source.digest
    time.sleep(0.01)  # a clock's tick
    put_all(memory, ("memory://data", None), digits(40, seed=1))
    with pytest.raises(DataError, match="has changed since the run began"):
        source[0:4]
    memory.rm(f"/data/{name}", recursive=True)
    with pytest.raises(DataError):
        source[0:4]


def test_addresses_that_nobody_knows(folder, monkeypatch) -> None:
    with pytest.raises(OptionError, match=r"gopher.*Give an address that fsspec knows"):
        runs.run(LENET, folder / "xs.npy", "gopher://made.zarr")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    from fsspec.registry import _registry as opened_before

    for kind in ("s3", "s3a"):
        monkeypatch.delitem(opened_before, kind, raising=False)
    with pytest.raises(OnnxlinError, match=r"s3:// need a package more. Install s3fs"):
        runs.run(LENET, folder / "xs.npy", "s3://results/made.zarr")


def test_storage_options_are_read() -> None:
    assert addresses.options_of(
        ["anon=true", "client_kwargs.endpoint_url=http://h:9", "key=x=y", '{"a": {"b": 1}}']
    ) == {"anon": True, "client_kwargs": {"endpoint_url": "http://h:9"}, "key": "x=y",
          "a": {"b": 1}}  # fmt: skip
    for wrong in ("anon", "=1", "a..b=1"):
        with pytest.raises(OptionError, match="expected KEY=VALUE"):
            addresses.options_of([wrong])


@with_kills
def test_s3_with_workers_that_are_killed(folder, s3) -> None:
    """One run by two workers as a command: its group is killed, then it goes on."""
    out, endpoint = f"s3://{BUCKET}/made.zarr", s3["client_kwargs"]["endpoint_url"]
    words = ["run", LENET, folder / "xs.npy", "--out", out, "--what", ",".join(WHAT), "--chunk", 4,
             "--workers", 2, "--storage-option", "key=one", "--storage-option", "secret=two",
             "--storage-option", f"client_kwargs.endpoint_url={endpoint}", "--json"]  # fmt: skip
    process = started(command(*words))
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with suppress(Exception):  # it is being made
            if runs.store.Store(out, s3).done().any():
                break
        time.sleep(0.02)
    kill_group(process)
    assert process.returncode in (-signal.SIGKILL, 0)
    done = runs.run(LENET, folder / "xs.npy", out, WHAT, chunk=4, resume=True, storage_options=s3)
    assert done.made <= 36
    assert_as_the_folder(out, folder / "made.zarr", s3)
    assert runs.open(out, s3).identical(runs.open(folder / "made.zarr"))


def test_s3_sources(folder, s3) -> None:
    assert_sources(fsspec.filesystem("s3", **s3), f"s3://{BUCKET}/data", s3, folder)


def test_s3_says_what_is_wrong(folder, s3) -> None:
    with pytest.raises(FileError, match=r"no_such_bucket.*storage options"):
        runs.run(LENET, folder / "xs.npy", "s3://no_such_bucket/made.zarr", storage_options=s3)
    away = {**s3, "client_kwargs": {"endpoint_url": "http://127.0.0.1:9"}, "max_concurrency": 1,
            "config_kwargs": {"retries": {"max_attempts": 0}, "connect_timeout": 1}}  # fmt: skip
    with pytest.raises(FileError, match=r"made.zarr.*storage options"):
        runs.run(LENET, folder / "xs.npy", f"s3://{BUCKET}/made.zarr", storage_options=away)
