"""``C += A B`` in place, on parts of larger arrays, without holding Python's lock.

NumPy's product cannot add to what is there, and SciPy's wrappers of BLAS copy and hold the lock.
The pointers that SciPy hands to Cython do neither; where these are not as expected, NumPy's product
is added.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from onnxlin.primitives import Array

_SIGNATURE = b"void (char *, char *, int *, int *, int *, "


@cache
def _pointer(kind: str) -> Any:
    """BLAS's product of matrices of a kind, "s" or "d"; None where it cannot be had."""
    try:
        from scipy.linalg import cython_blas  # noqa: PLC0415  # only for those who sweep live

        table: dict[str, Any] = dict(cython_blas.__pyx_capi__)
        capsule = table[f"{kind}gemm"]
        api = ctypes.pythonapi
        api.PyCapsule_GetName.restype = ctypes.c_char_p
        api.PyCapsule_GetName.argtypes = [ctypes.py_object]
        api.PyCapsule_GetPointer.restype = ctypes.c_void_p
        api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
        name = api.PyCapsule_GetName(capsule)
        if not name.startswith(_SIGNATURE):
            return None
        # No lock is held in a call of a plain C function.
        make = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)
        return make(api.PyCapsule_GetPointer(capsule, name))
    except (ImportError, AttributeError, KeyError):
        return None


@cache
def _threads() -> tuple[Any, Any] | None:
    """What asks OpenBLAS of SciPy's wheel for its number of threads, and what tells it."""
    folder = Path(scipy.__file__).parent
    for path in sorted(folder.with_name("scipy.libs").glob("libscipy_openblas*")):
        library = ctypes.CDLL(str(path))
        for end in ("", "64_"):
            with suppress(AttributeError):
                ask = getattr(library, f"scipy_openblas_get_num_threads{end}")
                return ask, getattr(library, f"scipy_openblas_set_num_threads{end}")
    return None


def cores() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1


_LOCK = threading.Lock()


@contextmanager
def alone() -> Iterator[None]:
    """Have each product computed by the thread that asks for it, while several threads ask.

    OpenBLAS else cuts every product up among threads of its own, one product after the other.
    """
    known = _threads()
    if known is None:
        yield
        return
    ask, tell = known
    with _LOCK:
        before = ask()
        tell(1)
        try:
            yield
        finally:
            tell(before)


def _apart(array: Array) -> int:
    """Entries from one line to the next; of a single line NumPy says anything, and BLAS minds."""
    return max(array.strides[0] // array.itemsize if len(array) > 1 else 1, array.shape[1], 1)


class Product:
    """Puts or adds products of matrices into parts of one array; one for each thread.

    Parameters
    ----------
    dtype : float32 or float64
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._gemm = _pointer({4: "s", 8: "d"}[dtype.itemsize])
        number = ctypes.c_float if dtype.itemsize == 4 else ctypes.c_double
        self._ints = [ctypes.c_int() for _ in range(6)]
        self._one, self._none = number(1), number(0)
        self._chars = [ctypes.c_char(c) for c in (b"N", b"T")]
        at = ctypes.addressof
        self._m, self._n, self._k, self._lda, self._ldb, self._ldc = map(at, self._ints)
        self._plain, self._turned = map(at, self._chars)
        self._unit, self._zero = at(self._one), at(self._none)

    def __call__(
        self, a: Array, b: Array, c: Array, *, turned: bool = False, fresh: bool = False
    ) -> None:
        """``c += a @ b``, or ``a.T @ b`` if turned; lines of all three are contiguous.

        Where c is fresh, the product is put there, whatever there was.
        """
        if self._gemm is None:
            made = (a.T if turned else a) @ b
            c[...] = made if fresh else c + made
            return
        # In BLAS's order of columns: c' += b' a'.
        m, n, k, lda, ldb, ldc = self._ints
        m.value, n.value, k.value = c.shape[1], c.shape[0], b.shape[0]
        lda.value, ldb.value, ldc.value = (_apart(array) for array in (b, a, c))
        self._gemm(
            self._plain, self._turned if turned else self._plain, self._m, self._n, self._k,
            self._unit, b.ctypes.data, self._lda, a.ctypes.data, self._ldb,
            self._zero if fresh else self._unit, c.ctypes.data, self._ldc,
        )  # fmt: skip
