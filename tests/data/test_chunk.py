"""The bytes of a chunk are those that zarr reads: of all dtypes, small and large, whole and not."""

from __future__ import annotations

import numpy as np
import pytest

from onnxlin.data import chunk
from onnxlin.data.chunk import compressors, encoded

zarr = pytest.importorskip("zarr")


def array(folder, shape, chunks, dtype, fill):
    return zarr.create_array(
        folder / "a.zarr",
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        fill_value=fill,
        compressors=compressors(chunks, dtype, "A test"),
    )


@pytest.mark.parametrize("worth", [1, 2**30], ids=["compressed", "as it is"])
@pytest.mark.parametrize(
    ("dtype", "fill"),
    [("float16", np.nan), ("float32", np.nan), ("float64", np.nan), ("int64", -1), ("uint8", 0),
     ("uint64", 0)],
)  # fmt: skip
def test_zarr_reads_what_is_written(tmp_path, monkeypatch, worth, dtype, fill) -> None:
    monkeypatch.setattr(chunk, "WORTH", worth)
    a = array(tmp_path, (7, 3, 2), (4, 3, 2), dtype, fill)
    assert bool(a.compressors) == (worth == 1)
    values = np.random.default_rng(0).integers(0, 200, a.shape).astype(dtype)
    for number, at in enumerate((slice(0, 4), slice(4, 7))):
        path = tmp_path / "a.zarr" / a.metadata.encode_chunk_key((number, 0, 0))
        path.parent.mkdir(parents=True)
        path.write_bytes(encoded(a, values[at]))
    found = zarr.open_array(tmp_path / "a.zarr", mode="r")[:]
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, values)


def test_what_has_another_byte_order_or_is_cut_out_is_the_same(tmp_path) -> None:
    a = array(tmp_path, (4, 3), (4, 3), "float64", np.nan)
    values = np.random.default_rng(0).random((4, 6))
    plain = bytes(encoded(a, np.ascontiguousarray(values[:, ::2])))
    assert bytes(encoded(a, values[:, ::2])) == plain
    assert bytes(encoded(a, values[:, ::2].astype(">f8"))) == plain
    assert len(plain) == 4 * 3 * 8


def test_chunks_of_the_store_are_compressed_where_they_are_large() -> None:
    assert compressors((64, 784), "float16", "A test") is None
    assert compressors((1024, 784), "float32", "A test").level == chunk.LEVEL
