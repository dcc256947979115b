"""Maps of a data set as lazy arrays: a block is linearised when its numbers are looked at."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from onnxlin.data.begun import notes
from onnxlin.data.extra import needed
from onnxlin.data.planned import planned
from onnxlin.data.sources.opening import source_of
from onnxlin.data.task import Done, Task
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer

LAZY = "Maps as lazy arrays"


def map_blocks(
    lin: Linearizer,
    data: Any,
    what: tuple[str, ...] | str = ("contributions",),
    rows: Any = "predicted",
    *,
    chunk: int | None = None,
    dtype: str | None = None,
    engine: str = "auto",
    labels: Any = None,
    maps: str | os.PathLike[str] | None = None,
    norm: str | None = None,
    storage_options: dict[str, Any] | None = None,
) -> Any:
    """Linearise a data set lazily: an `xarray.Dataset` on dask arrays, a block a chunk of samples.

    Its arrays are those of a store that `onnxlin.data.run` makes of the same. Blocks are made by
    whatever dask scheduler computes them, each once for all arrays that are computed together.

    Parameters
    ----------
    lin : Linearizer
    data, what, rows
        As for `run`.
    chunk : int, optional
        Samples of a block; by default about 8 MiB of results.
    dtype, engine, labels, maps, norm, storage_options
        As for `run`.

    Returns
    -------
    xarray.Dataset
        Dimensions ``sample``, ``output``, ``feature`` or ``channel, row, column``, ``node``;
        ``error`` says why a sample has no map. Attributes say model, data, mode and versions.

    Raises
    ------
    OptionError, RowsError, InputError
    """
    needed("xarray", LAZY)
    source = source_of(lin.graph, data, labels, storage_options)
    options = {"maps": None if maps is None else os.fspath(maps), "norm": norm}
    task = planned(
        lin,
        source,
        what=(what,) if isinstance(what, str) else tuple(what),
        rows=rows,
        chunk=chunk,
        dtype=dtype,
        limit=None,
        engine=engine,
        options={name: value for name, value in options.items() if value is not None},
    )
    return _dataset(task)


def _dataset(task: Task) -> Any:
    xarray, told, arrays = needed("xarray", LAZY), notes(task), _arrays(task)
    found = xarray.Dataset(
        {v.name: (("sample", *v.dims), arrays[v.name], {"about": v.about}) for v in task.variables},
        attrs=told["run"],
    )
    found["error"] = ("sample", arrays["error"])
    if "ledger" in found:
        found = found.assign_coords(node=("node", told["ledger"]["nodes"]))
    return found


def _arrays(task: Task) -> dict[str, Any]:
    """One lazy array for each variable, and one of the errors."""
    delayed = needed("dask", LAZY).delayed
    lazy = needed("dask.array", LAZY)
    whole = delayed(task, pure=True, name=f"onnxlin-{task.order.digest}")
    parts = task.order.slices()
    blocks = [delayed(_block)(whole, part) for part in parts]
    found = {}
    for v in task.variables:
        pieces = [
            lazy.from_delayed(block[v.name], (part.stop - part.start, *v.shape), v.dtype)
            for block, part in zip(blocks, parts, strict=True)
        ]
        found[v.name] = lazy.concatenate(pieces)
    texts = [
        lazy.from_delayed(block["error"], (part.stop - part.start,), object)
        for block, part in zip(blocks, parts, strict=True)
    ]
    return {**found, "error": lazy.concatenate(texts)}


def _block(task: Task, part: slice) -> dict[str, Array]:
    """Linearise a chunk."""
    done: Done = task(part)
    errors = np.full(part.stop - part.start, "", object)
    for i, text in done.errors.items():
        errors[i] = text
    return {**done.arrays, "error": errors}
