"""A slow and obvious twin of the engines: the layers of a map multiplied by hand."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from onnxlin import AffineMap

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ByHand:
    """W and b of all outputs, and what entered them.

    Parameters
    ----------
    W, b : array
    size : array like W
        Sum over all paths of the absolute products: what cancelled is not lost in it.
    bias_size : array like b
    roundings : int
        Of the longest sum of the longest path, generously.
    """

    W: Array
    b: Array
    size: Array
    bias_size: Array
    roundings: int

    @property
    def slack(self) -> Array:
        """What two ways of rounding the same sums may differ by in W, in float64."""
        return _gamma(self.roundings) * self.size

    @property
    def bias_slack(self) -> Array:
        """The same in b."""
        return _gamma(self.roundings) * self.bias_size


def _gamma(count: int) -> float:
    """Relative error of ``count`` roundings in float64 (Higham, section 3.1), for two results."""
    unit = np.finfo(np.float64).eps / 2
    return 2 * count * unit / (1 - count * unit)


def by_hand(m: AffineMap) -> ByHand:
    """Multiply the matrices of the layers in order, from the inputs on."""
    W, b = _through(m, absolute=False)
    size, bias_size = _through(m, absolute=True)
    terms = [matrix for layer in m.layers for matrix in layer.terms.values()]
    roundings = sum(2 * _fullest(matrix) + 6 for matrix in terms) + 4 * len(m.layers) + 4
    return ByHand(W, b, size, bias_size, roundings)


def _fullest(matrix: sp.csr_array) -> int:
    """Entries of the fullest row or column."""
    rows = np.diff(matrix.indptr).max(initial=0)
    return int(max(rows, np.bincount(matrix.indices).max(initial=0)))


def _through(m: AffineMap, *, absolute: bool) -> tuple[Array, Array]:
    columns = len(m.x)
    W: dict[str, Array] = {name: np.eye(columns)[at] for name, at in m.columns_of.items()}
    b: dict[str, Array] = {name: np.zeros(len(W[name])) for name in W}
    for layer in m.layers:
        # A sparse array whose entries can be looked at, as DESIGN promises.
        assert all(sp.issparse(matrix) for matrix in layer.terms.values())
        terms = {n: abs(a) if absolute else a for n, a in layer.terms.items()}
        bias = np.abs(layer.bias) if absolute else layer.bias
        W[layer.output] = sum((a @ W[n] for n, a in terms.items()), np.zeros((bias.size, columns)))
        b[layer.output] = sum((a @ b[n] for n, a in terms.items()), bias.astype(np.float64))
    for name, value in m.outputs.items():
        if name not in W:
            constant = value.ravel().astype(np.float64)
            W[name] = np.zeros((prod(value.shape), columns))
            b[name] = np.abs(constant) if absolute else constant
    return np.concatenate([W[n] for n in m.outputs]), np.concatenate([b[n] for n in m.outputs])
