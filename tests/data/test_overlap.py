"""What is computed does not wait for what is being written, and says so when it cannot be."""

from __future__ import annotations

import threading

import pytest

from onnxlin import data as runs
from onnxlin.data.store import Store
from onnxlin.data.work import Work
from onnxlin.errors import FileError
from tests.data.stores import LENET, PATIENCE, assert_same_stores, digits

for package in ("zarr", "distributed", "pyarrow"):
    pytest.importorskip(package)


def test_the_next_chunk_is_computed_while_one_is_written(tmp_path, monkeypatch) -> None:
    begun = threading.Event()
    compute, mark = Work.compute, Store.mark

    def computing(self, number):
        if number == 1:
            begun.set()
        return compute(self, number)

    def marking(self, number):
        assert number or begun.wait(PATIENCE), "the second chunk waits for the first to be kept"
        mark(self, number)

    xs = digits(9)
    runs.run(LENET, xs, tmp_path / "alone.zarr", chunk=3)
    monkeypatch.setattr(Work, "compute", computing)
    monkeypatch.setattr(Store, "mark", marking)
    runs.run(LENET, xs, tmp_path / "made.zarr", chunk=3)
    assert_same_stores(tmp_path / "made.zarr", tmp_path / "alone.zarr")


@pytest.mark.parametrize("last", [0, 1, 2])
def test_what_cannot_be_written_ends_a_run_and_marks_nothing(tmp_path, monkeypatch, last) -> None:
    """Of the first, of one in the middle, and of the last chunk, which no other comes after."""
    write, told = Store.write, []

    def failing(self, number, arrays):
        if number == last:
            raise FileError("No room.")
        write(self, number, arrays)

    monkeypatch.setattr(Store, "write", failing)
    with pytest.raises(FileError, match="No room"):
        runs.run(
            LENET, digits(9), tmp_path / "made.zarr", chunk=3,
            progress=lambda done, *_: told.append(done),
        )  # fmt: skip
    assert Store(tmp_path / "made.zarr").done().tolist() == [i < last for i in range(3)]
    assert told == [3 * (i + 1) for i in range(last)]
