"""The live share: the part of a sweep's multiplications that touch live entries on both sides.

Counted are the products of convolutions and of matrices; where a kernel hangs over the edge there
is none. A time of ``floor x share`` would be that of an engine which computes what is live as fast
as a dense forward pass computes everything: the limit of the count.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from onnxlin.engines.live.plan import Plan
from onnxlin.primitives import Adjoint, Chain, Conv, LinearMap, MatMul

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Count:
    """Multiplications of one row's sweep."""

    live: int
    dense: int

    @property
    def share(self) -> float:
        """Their quotient; 1 where there is nothing to multiply."""
        return self.live / self.dense if self.dense else 1.0


def count(plan: Plan) -> Count:
    """Count the multiplications of all maps of a plan."""
    live = dense = 0
    for link in plan.chain:
        outs = marked(plan, link.output, link.shape)
        for name, op in link.terms:
            ins = marked(plan, name, op.in_shape)
            live += products(op, ins, outs)
            dense += products(op, np.ones_like(ins), np.ones_like(outs))
    return Count(live, dense)


def marked(plan: Plan, name: str, shape: tuple[int, ...]) -> Array:
    """Mark the live entries of a tensor."""
    found = np.zeros(prod(shape), bool)
    if name in plan.places:
        found[plan.places[name].flat] = True
    return found.reshape(shape)


def products(op: LinearMap, ins: Array, outs: Array) -> int:
    """Multiplications between marked inputs and marked outputs of one map."""
    if isinstance(op, Adjoint):
        return products(op.base, outs, ins)
    if isinstance(op, Chain):  # a convolution that reads through a mask
        first, last = op.maps[0], op.maps[-1]
        return products(
            last, ins & first.matvec(ins[None].astype(np.float32))[0].astype(bool), outs
        )
    if isinstance(op, Conv):
        return _windows(op, ins.reshape(op.in_shape), outs.reshape(op.out_shape))
    if isinstance(op, MatMul):
        return _lines(op, ins.reshape(op.in_shape), outs.reshape(op.out_shape))
    return 0


def _windows(op: Conv, ins: Array, outs: Array) -> int:
    """Tap by tap: what the pixels that meet hold, a group of channels at a time."""
    n, g = op.in_shape[0], op.group
    inside, outside = (
        a.reshape(n, g, -1, *a.shape[2:]).sum(axis=2, dtype=np.int64) for a in (ins, outs)
    )
    ends = zip(op.begin, op.end, strict=True)
    padded = np.pad(inside, [(0, 0), (0, 0), *ends])
    found = 0
    for tap in np.ndindex(*op.weight.shape[2:]):
        steps = zip(tap, op.dilations, op.strides, op.out_shape[2:], strict=True)
        box = tuple(slice(t * d, t * d + (m - 1) * s + 1, s) for t, d, s, m in steps)
        found += int((padded[(slice(None), slice(None), *box)] * outside).sum())
    return found


def _lines(op: MatMul, ins: Array, outs: Array) -> int:
    """Every line of x meets every entry of its line of y."""
    axis = -2 if op.left else -1
    batch = op.out_shape[:-2]
    aligned = ins.reshape((1,) * (outs.ndim - ins.ndim) + ins.shape)
    read = aligned.sum(axis=axis, dtype=np.int64)
    made = outs.sum(axis=axis, dtype=np.int64)
    return int((np.broadcast_to(read, (*batch, read.shape[-1])) * made).sum())
