"""A slow and obvious twin of the engines: the layers of a map multiplied by hand."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from onnxlin import AffineMap
from onnxlin.layer import Layer

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
    maps = [op for layer in m.layers for _, op in layer.step.terms]
    roundings = sum(2 * max(op.fan_in, op.fan_out) + 6 for op in maps) + 4 * len(m.layers) + 4
    return ByHand(W, b, size, bias_size, roundings)


def _terms(layer: Layer, *, absolute: bool) -> list[tuple[str, sp.csr_array]]:
    """Matrices of a layer; absolute ones map by map, before anything in them cancels."""
    if not absolute:
        return list(layer.terms.items())
    return [(name, op.absolute().to_sparse(np.float64)) for name, op in layer.step.terms]


def _through(m: AffineMap, *, absolute: bool) -> tuple[Array, Array]:
    columns = len(m.x)
    W: dict[str, Array] = {name: np.eye(columns)[at] for name, at in m.columns_of.items()}
    b: dict[str, Array] = {name: np.zeros(len(W[name])) for name in W}
    for layer in m.layers:
        # A sparse array whose entries can be looked at, as DESIGN promises.
        assert all(sp.issparse(matrix) for matrix in layer.terms.values())
        terms = _terms(layer, absolute=absolute)
        bias = np.abs(layer.bias) if absolute else layer.bias
        W[layer.output] = sum((a @ W[n] for n, a in terms), np.zeros((bias.size, columns)))
        b[layer.output] = sum((a @ b[n] for n, a in terms), bias.astype(np.float64))
    for name, value in m.outputs.items():
        if name not in W:
            constant = value.ravel().astype(np.float64)
            W[name] = np.zeros((prod(value.shape), columns))
            b[name] = np.abs(constant) if absolute else constant
    return np.concatenate([W[n] for n in m.outputs]), np.concatenate([b[n] for n in m.outputs])
