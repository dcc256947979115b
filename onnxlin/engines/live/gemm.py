"""``C += A B`` in place, on parts of larger arrays, without holding Python's lock.

NumPy's product cannot add to what is there, and SciPy's wrappers of BLAS copy and hold the lock.
The pointers that SciPy hands to Cython do neither; where these are not as expected, NumPy's product
is added.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from onnxlin.engines.confined import blas
from onnxlin.primitives import Array
from onnxlin.runtime.locks import ForkSafeLock

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


_LOCK = ForkSafeLock()


@contextmanager
def alone() -> Iterator[None]:
    """Have each product computed by the thread that asks for it, while several threads ask.

    OpenBLAS else cuts every product up among threads of its own, one product after the other.
    """
    with _LOCK.held(), blas(1):
        yield


class Product:
    """Products of matrices with lines of one array, put or added into lines of another.

    One for each thread. Addresses are counted here: asking NumPy for them would take as long as
    many a product.

    Parameters
    ----------
    G, out : array (lines, K), (other lines, K)
        Of one dtype, float32 or float64; their lines are contiguous.
    """

    def __init__(self, G: Array, out: Array) -> None:
        item, k = G.itemsize, max(G.shape[1], 1)
        self._G, self._out = G, out
        self._gemm = _pointer({4: "s", 8: "d"}[item])
        # Of a single line NumPy gives any stride, and BLAS minds.
        self._step, self._pace = (
            array.strides[0] if len(array) > 1 else k * item for array in (G, out)
        )
        self._from, self._to = (array.ctypes.data for array in (G, out))
        number = ctypes.c_float if item == 4 else ctypes.c_double
        self._sizes = [ctypes.c_int() for _ in range(3)]
        given = (G.shape[1], self._step // item, self._pace // item)
        self._kept: list[Any] = [*map(ctypes.c_int, given), number(0), number(1)]
        self._kept += map(ctypes.c_char, (b"N", b"T"))
        self._n, self._k, self._ld = (ctypes.addressof(size) for size in self._sizes)
        places = (ctypes.addressof(value) for value in self._kept)
        self._m, self._ldg, self._ldo, self._zero, self._one, self._plain, self._turned = places

    def __call__(
        self, matrix: Array, first: int, last: int, low: int, high: int,
        *, fresh: bool = False, ld: int | None = None,
    ) -> None:  # fmt: skip
        """``out[low:high] += matrix.T @ G[first:last]``.

        The matrix is contiguous, or its rows are ``ld`` entries apart. Where the lines are fresh,
        the product is put there, whatever there was.
        """
        if self._gemm is None:
            made = matrix.T @ self._G[first:last]
            self._out[low:high] = made if fresh else self._out[low:high] + made
            return
        # In BLAS's order of columns: out' += G' matrix.
        n, k, leading = self._sizes
        n.value = high - low
        k.value = last - first
        leading.value = n.value if ld is None else ld
        self._gemm(
            self._plain, self._turned, self._m, self._n, self._k,
            self._one, self._from + first * self._step, self._ldg,
            matrix.__array_interface__["data"][0], self._ld,
            self._zero if fresh else self._one, self._to + low * self._pace, self._ldo,
        )  # fmt: skip
