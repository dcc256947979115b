"""What a run has found, as xarray."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from onnxlin.data.extra import needed
from onnxlin.data.store import DONE, Store
from onnxlin.errors import OptionError

READING = "Reading results"


def open_results(
    path: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> Any:
    """Open a store of results: an `xarray.Dataset` whose arrays are read when they are looked at.

    ``xarray.open_zarr(path)`` gives the same; here nodes have their names.

    Parameters
    ----------
    path : path
        As it was given to `onnxlin.data.run`.
    storage_options : dict, optional
        For an address: what fsspec needs beside it.

    Raises
    ------
    OptionError
        There is no store, or none that is begun.
    """
    xarray, store = needed("xarray", READING), Store(path, storage_options)
    if not store.about:
        raise OptionError(
            f"There is no store of results at {store.path!r}. Give the folder that "
            "`onnxlin run --out` has written."
        )
    found = xarray.open_zarr(
        store.path,
        zarr_format=3,
        consolidated=True,
        storage_options=None if store.is_local else store.options,
    ).drop_vars(DONE)
    if "ledger" in found:
        found = found.assign_coords(node=("node", found["ledger"].attrs["nodes"]))
    if "margins" in found:
        found = found.assign_coords(part=("part", found["margins"].attrs["parts"]))
    if "introduced" in found:
        tensors = found["introduced"].attrs["tensors"]
        found = found.assign_coords(tensor=("tensor", tensors))
    return found
