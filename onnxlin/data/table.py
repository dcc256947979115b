"""A line for each sample, as parquet: a part for each chunk, put together at the end."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np

from onnxlin.data.extra import needed
from onnxlin.data.store import Store
from onnxlin.data.task import Done
from onnxlin.files import remove, writing
from onnxlin.graph import Array

TABLE, PARTS = "samples.parquet", "parts"
WRITING = "Writing a table of samples"
TOGETHER = 64
"""Objects that are asked for at once."""


def lines(done: Done, at: slice, labels: Array | None, names: Sequence[str]) -> Any:
    """Make the lines of one chunk.

    Parameters
    ----------
    labels : array (N,) or None
        Of all samples.
    names : sequence of str
        Of all samples; empty if they have none.
    """
    n, arrays = at.stop - at.start, done.arrays
    bad = arrays["failed"].astype(bool)
    columns: dict[str, Any] = {"sample": np.arange(at.start, at.stop)}
    if len(names):
        columns["name"] = [str(names[i]) for i in range(at.start, at.stop)]
    if labels is not None:
        columns["label"] = labels[at]
    columns["predicted"], columns["margin"] = _decided(done.outputs, bad)
    if "explained" in arrays:
        columns["explained"] = arrays["explained"]
    residual = arrays["residual"].reshape(n, -1)
    columns["residual"] = np.where(bad, np.nan, residual.max(axis=1, initial=0.0))
    alone = [name for name in arrays if name.startswith(("region_", "certificate", "audit_"))]
    columns |= {name: arrays[name] for name in alone}
    columns["error"] = [done.errors.get(i) for i in range(n)]
    pa = needed("pyarrow", WRITING)
    made = [_texts(pa, c) if isinstance(c, list) else _column(pa, c) for c in columns.values()]
    return pa.Table.from_arrays(made, names=list(columns))


def _column(pa: Any, values: Array) -> Any:
    """Make a column of numbers of their buffers.

    Given arrays or lists pyarrow imports pandas to look whether they are its own, which takes every
    worker 47 MiB and half a second.
    """
    if values.dtype.kind not in "iuf":
        return pa.array(values)
    plain = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    kind = pa.from_numpy_dtype(plain.dtype)
    return pa.Array.from_buffers(kind, len(plain), [None, pa.py_buffer(plain)])


def _texts(pa: Any, texts: Sequence[str | None]) -> Any:
    data = [(text or "").encode() for text in texts]
    ends = np.cumsum([0, *map(len, data)], dtype=np.int64).astype(np.int32)
    there = np.packbits([text is not None for text in texts], bitorder="little")
    parts = [pa.py_buffer(part) for part in (there, ends, b"".join(data))]
    return pa.Array.from_buffers(pa.string(), len(texts), parts)


def _decided(outputs: Array, bad: Array) -> tuple[Array, Array]:
    """The largest output of each sample, and by how much it is larger than the next."""
    known = np.where(bad[:, None], 0.0, outputs)
    predicted = np.where(bad, -1, known.argmax(axis=1)).astype(np.int64)
    if outputs.shape[1] < 2:
        return predicted, np.full(len(outputs), np.nan)
    two = np.partition(known, -2, axis=1)[:, -2:]
    return predicted, np.where(bad, np.nan, two[:, 1] - two[:, 0])


def write_part(store: Store, number: int, part: Any) -> None:
    """Write the lines of one chunk.

    Raises
    ------
    FileError
    """
    buffer = io.BytesIO()
    needed("pyarrow.parquet", WRITING).write_table(part, buffer)
    store.put({f"{PARTS}/{number:08d}.parquet": buffer.getvalue()})


def join(store: Store, count: int) -> None:
    """Put the parts together, in their order.

    Raises
    ------
    FileError
    """
    whole = f"{store.path}/{TABLE}"
    with store.writing():
        if store.is_local:
            with writing(whole) as stream:
                _joined(store, count, stream)
        else:
            buffer = io.BytesIO()
            _joined(store, count, buffer)
            _files(store).pipe_file(whole, buffer.getvalue())


def clear(store: Store) -> None:
    """Remove the parts, which are in the table by now, and what killed writers have left of such.

    Whoever was killed amid this left some: it is done again, whenever a run has nothing to do.

    Raises
    ------
    FileError
    """
    folder = f"{store.path}/{PARTS}"
    with store.writing():
        if store.is_local:
            names = os.listdir(folder) if os.path.isdir(folder) else []
            for name in names:
                remove(os.path.join(folder, name))
        elif _files(store).exists(folder):
            _files(store).rm(folder, recursive=True)


def is_joined(store: Store) -> bool:
    """Whether the table is there."""
    whole = f"{store.path}/{TABLE}"
    return os.path.exists(whole) if store.is_local else bool(_files(store).exists(whole))


def _joined(store: Store, count: int, stream: IO[bytes]) -> None:
    parquet, writer = needed("pyarrow.parquet", WRITING), None
    for data in _parts(store, count):
        part = parquet.read_table(data, partitioning=None)
        if writer is None:
            writer = parquet.ParquetWriter(stream, part.schema)
        writer.write_table(part)
    if writer is not None:
        writer.close()


def _parts(store: Store, count: int) -> Iterator[Any]:
    """Files of the parts, in order; of an object store some are asked for together."""
    if store.is_local:
        yield from (_part(store, number) for number in range(count))
        return
    fs, path = store.files
    inside = [f"{path}/{PARTS}/{number:08d}.parquet" for number in range(count)]
    for start in range(0, count, TOGETHER):
        some = inside[start : start + TOGETHER]
        found = fs.cat(some)
        found = {some[0]: found} if isinstance(found, bytes) else found  # one comes as it is
        yield from (io.BytesIO(found[path]) for path in some)


def together(slices: Sequence[slice]) -> Iterator[slice]:
    """Chunks side by side, which zarr asks a store for at the same time."""
    for i in range(0, len(slices), TOGETHER):
        some = slices[i : i + TOGETHER]
        yield slice(some[0].start, some[-1].stop)


def failures(store: Store, most: int) -> list[dict[str, Any]]:
    """Return the first samples that have no map: ``sample``, ``name`` if it has one, ``error``."""
    whole = f"{store.path}/{TABLE}"
    data: Any = whole if store.is_local else io.BytesIO(_files(store).cat_file(whole))
    found: list[dict[str, Any]] = []
    file = needed("pyarrow.parquet", WRITING).ParquetFile(data)
    names = [name for name in ("sample", "name", "error") if name in file.schema_arrow.names]
    for batch in file.iter_batches(columns=names):
        found += [line for line in batch.to_pylist() if line["error"] is not None]
        if len(found) >= most:
            break
    return found[:most]


def _part(store: Store, number: int) -> str:
    return f"{store.path}/{PARTS}/{number:08d}.parquet"


def _files(store: Store) -> Any:
    """Fsspec's file system of an address, which asks the store anew what is there."""
    fs = store.files[0]
    fs.invalidate_cache()
    return fs
