"""How chunks are gone over, whatever is done to them."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypedDict

from onnxlin.engines.confined import confined
from onnxlin.linearizer import Linearizer

Progress = Callable[[int, int, str], None]


class Way(TypedDict, total=False):
    """Further arguments of a reading over a data set, by keyword.

    Parameters
    ----------
    workers : int
        Processes of this machine. Without it the work is done in this one, by as many threads as it
        takes anyway.
    scheduler : str
        Address of a dask cluster, see `onnxlin.data.How`.
    threads : int
        Of each worker, by default those of a `Linearizer` that has some, or 1; where the work is
        done in this process, of it, by default as many as it takes anyway. Sums depend on it, in
        their last bits.
    chunk : int
        Samples that are read and done at once.
    limit : int
        The first samples only.
    store : path
        A store, such as ``results.zarr`` or an address that fsspec knows, that keeps what is found
        of every sample.
    resume, overwrite : bool
        Go on with a store that is there, or begin it anew.
    storage_options : dict
        For addresses, of the store and of the data: what fsspec needs beside them.
    patience : float
        See `onnxlin.data.How`.
    progress : callable
        Called with (done, total, text).
    """

    workers: int | None
    scheduler: str | None
    threads: int | None
    chunk: int | None
    limit: int | None
    store: str | os.PathLike[str] | None
    resume: bool
    overwrite: bool
    storage_options: dict[str, Any] | None
    patience: float | None
    progress: Progress | None


def threads_of(lin: Linearizer, way: Way) -> int | None:
    """How many threads work is confined to; None where it goes on here as it is."""
    apart = way.get("workers") is not None or way.get("scheduler") is not None
    return way.get("threads") or lin.threads or (1 if apart else None)


def confining(lin: Linearizer, way: Way) -> AbstractContextManager[None]:
    """Have a ``with`` block use no more threads than a worker."""
    return confined(threads_of(lin, way))
