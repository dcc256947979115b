"""A slow and obvious twin of the engines: the layers of a map multiplied by hand."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from onnxlin import AffineMap
from onnxlin.affine_map.layer import Layer
from onnxlin.primitives import Diagonal, LinearMap
from onnxlin.program.rates import unit_roundoff
from onnxlin.program.sizes import sizes

Array = npt.NDArray[Any]
Terms = list[tuple[str, sp.csr_array]]


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
    unit : float
        Unit roundoff of the map.
    """

    W: Array
    b: Array
    size: Array
    bias_size: Array
    roundings: int
    unit: float

    @property
    def slack(self) -> Array:
        """What two ways of rounding the same sums may differ by in W."""
        return _gamma(self.roundings, self.unit) * self.size

    @property
    def bias_slack(self) -> Array:
        """The same in b."""
        return _gamma(self.roundings, self.unit) * self.bias_size


def _gamma(count: int, unit: float) -> float:
    """Relative error of ``count`` roundings (Higham, section 3.1), for two results."""
    return 2 * count * unit / (1 - count * unit)


def by_hand(m: AffineMap, *, apart: bool = False) -> ByHand:
    """Multiply the matrices of the layers in order, from the inputs on.

    Parameters
    ----------
    apart : bool
        Whether the slack is to hold for an engine that computes the coefficients anew, by other
        kernels, and not only combines the same ones.
    """
    W, b = _through(m, absolute=False)
    size, bias_size = _through(m, absolute=True, apart=apart)
    maps = [op for layer in m.layers for _, op in layer.step.terms]
    roundings = sum(2 * max(op.fan_in, op.fan_out) + 6 for op in maps) + 4 * len(m.layers) + 4
    if apart:
        roundings += sum(2 * layer.step.roundings for layer in m.layers)
    return ByHand(W, b, size, bias_size, roundings, unit_roundoff(m.dtype))


def _terms(m: AffineMap, layer: Layer, *, absolute: bool, apart: bool) -> Terms:
    """Matrices of a layer; absolute ones map by map, before anything in them cancels."""
    if not absolute:
        return list(layer.terms.items())
    smooth = apart and layer.status in ("tangent", "frozen")
    return [
        (name, (_formed(m, name, op) if smooth else op.absolute()).to_sparse(np.float64))
        for name, op in layer.step.terms
    ]


def _formed(m: AffineMap, name: str, op: LinearMap) -> LinearMap:
    """What a slope is formed of: its formula has terms up to ``1 + |z|``, as ``1 - tanh(z)**2``."""
    if not isinstance(op, Diagonal):
        return op.absolute()
    z = np.abs(m.made_from("values").values[name].astype(np.float64))
    return Diagonal.of(op.in_shape, np.abs(op.scale) + 1 + z)


def _bias(m: AffineMap, layer: Layer, *, absolute: bool, apart: bool) -> Array:
    """Bias of a layer; apart, the size of what its formula adds up: ``f(z) - slope z``."""
    if apart:
        return sizes(layer.step, m.made_from("values").values).ravel()
    return np.abs(layer.bias) if absolute else layer.bias


def _through(m: AffineMap, *, absolute: bool, apart: bool = False) -> tuple[Array, Array]:
    columns = len(m.x)
    W: dict[str, Array] = {name: np.eye(columns)[at] for name, at in m.columns_of.items()}
    b: dict[str, Array] = {name: np.zeros(len(W[name])) for name in W}
    for layer in m.layers:
        # A sparse array whose entries can be looked at, as DESIGN promises.
        assert all(sp.issparse(matrix) for matrix in layer.terms.values())
        bias, terms = (part(m, layer, absolute=absolute, apart=apart) for part in (_bias, _terms))
        W[layer.output] = sum((a @ W[n] for n, a in terms), np.zeros((bias.size, columns)))
        b[layer.output] = sum((a @ b[n] for n, a in terms), bias.astype(np.float64))
    for name, value in m.outputs.items():
        if name not in W:
            constant = value.ravel().astype(np.float64)
            W[name] = np.zeros((prod(value.shape), columns))
            b[name] = np.abs(constant) if absolute else constant
    return np.concatenate([W[n] for n in m.outputs]), np.concatenate([b[n] for n in m.outputs])
