"""Threads of whatever computes: onnxruntime's, those of BLAS, and those of the live engine.

BLAS has one number for the whole process. While several ask for one, it has the smallest.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import scipy

from onnxlin.runtime.locks import ForkSafeLock
from onnxlin.runtime.share import sharing

T = TypeVar("T")


def confined(threads: int | None) -> AbstractContextManager[None]:
    """Have what a ``with`` block opens and computes use so many threads; None leaves all as it is.

    How sums are cut up among threads shows in their last bits.
    """
    return nullcontext() if threads is None else _confined(threads)


@contextmanager
def _confined(threads: int) -> Iterator[None]:
    with blas(threads), sharing(threads):
        yield


def each_confined(threads: int | None, parts: Iterable[T]) -> Iterator[T]:
    """Have each part made by so many threads; what is done with it between them is not."""
    if threads is None:
        yield from parts
        return
    coming = iter(parts)
    while True:
        with _confined(threads):
            try:
                part = next(coming)
            except StopIteration:
                return
        yield part


@cache
def threads_of_blas() -> tuple[tuple[Any, Any], ...]:
    """What asks OpenBLAS of NumPy's and SciPy's wheels for its number of threads, and tells it."""
    found = []
    for package in (np, scipy):
        folder = Path(str(package.__file__)).parent.with_name(f"{package.__name__}.libs")
        for path in sorted(folder.glob("libscipy_openblas*")):
            library = ctypes.CDLL(str(path))
            for end in ("", "64_"):
                with suppress(AttributeError):
                    ask = getattr(library, f"scipy_openblas_get_num_threads{end}")
                    found.append((ask, getattr(library, f"scipy_openblas_set_num_threads{end}")))
    return tuple(found)


class _Wishes:
    """What threads of this process want of BLAS, and what it is told once they want nothing."""

    def __init__(self) -> None:
        self.lock = ForkSafeLock()
        self.wished: list[int] = []
        self.before: list[tuple[Any, int]] = []

    def tell(self) -> None:
        """Tell BLAS the smallest number, or what it had."""
        least = min(self.wished, default=0)
        for tell, count in self.before:
            tell(least or count)
        if not least:
            self.before.clear()

    def forget(self) -> None:
        """In a forked child: blocks of its parent's are not left here."""
        self.wished.clear()


_WISHES = _Wishes()


@contextmanager
def blas(threads: int) -> Iterator[None]:
    """Have BLAS use so many threads, or fewer where another block wants fewer."""
    wishes = _WISHES
    with wishes.lock.held():
        if not wishes.before:
            wishes.before.extend((tell, ask()) for ask, tell in threads_of_blas())
        wishes.wished.append(threads)
        wishes.tell()
    try:
        yield
    finally:
        with wishes.lock.held():
            with suppress(ValueError):  # a forked child leaves a block of its parent's after all
                wishes.wished.remove(threads)
            wishes.tell()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_WISHES.forget)
