"""Scales and masks between a tensor that others read too and a convolution, folded into its kernel.

In a DenseNet each layer reads all that came before through a batch-norm and a ReLU. Cotangents of
these are as large as what came before: products that scale and mask their columns add to that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from onnxlin.engines.live.links import Link, Term
from onnxlin.primitives import Array, Chain, Conv, Diagonal, LinearMap, Reshape


def fold(chain: Sequence[Link], kept: Container[str]) -> list[Link]:
    """Have convolutions read through diagonals that nobody else reads.

    Such a convolution becomes a ``Chain`` of a `Diagonal` and a `Conv`; biases on the way are
    pushed through it.

    Parameters
    ----------
    chain : sequence of Link
        In order.
    kept : container of str
        Outputs of the program: their cotangents do not come from links alone.
    """
    readers = Counter(name for link in chain for name, _ in link.terms)
    alone = {
        link.output: link
        for link in chain
        if readers[link.output] == 1
        and link.output not in kept
        and len(link.terms) == 1
        and _scale(link.terms[0][1]) is not None
    }
    found, gone = [], set[str]()
    for link in chain:
        terms: list[Term] = []
        others = link.others
        for name, op in link.terms:
            way = None
            if isinstance(op, Conv) and op.group == 1 and readers[_start(name, alone)] > 1:
                way = _way(name, op, alone)
            if way is None:
                terms.append((name, op))
                continue
            terms.append((way.start, way.op))
            others += way.biases
            gone.update(way.passed)
        found.append(replace(link, terms=tuple(terms), others=others))
    return [link for link in found if link.output not in gone]


@dataclass(frozen=True, eq=False)
class _Way:
    """What a convolution reads through diagonals: from where, how, past what, with what biases."""

    start: str
    op: Chain
    passed: tuple[str, ...]
    biases: tuple[tuple[str, Array], ...]


def _start(name: str, alone: Mapping[str, Link]) -> str:
    """The tensor that diagonals before a convolution read."""
    while name in alone:
        ((name, _),) = alone[name].terms
    return name


def _way(name: str, op: Conv, alone: Mapping[str, Link]) -> _Way | None:
    """Go back from what a convolution reads; None where its kernel cannot take that up."""
    scale: Array = np.ones((1,) * len(op.in_shape), op.weight.dtype)
    passed, scaled = [], []
    while name in alone:
        link = alone[name]
        ((before, diagonal),) = link.terms
        scaled += [(node, scale * bias) for node, bias in link.charges]
        scale = scale * _scale(diagonal)
        passed.append(name)
        name = before
    whole = Diagonal.of(op.in_shape, scale)
    if not passed or by_channel(whole) is None:
        return None
    biases = []
    for node, bias in scaled:
        given = np.broadcast_to(bias, op.in_shape).astype(np.float64)
        biases.append((node, op.matvec(given[None])[0]))
    through = Chain(op.in_shape, op.out_shape, (whole, op))
    return _Way(name, through, tuple(passed), tuple(biases))


def _scale(op: LinearMap) -> Array | None:
    """What every entry is scaled by; None where the map is anything else."""
    if isinstance(op, Reshape) and op.in_shape == op.out_shape:
        return np.ones((1,) * len(op.in_shape), np.float32)
    return op.scale if isinstance(op, Diagonal) else None


def by_channel(op: Diagonal) -> Array | None:
    """The factor of each channel, ``(C,)``, where all its entries have that one or 0; else None."""
    scale = np.moveaxis(np.broadcast_to(op.scale, op.in_shape), 1, 0).reshape(op.in_shape[1], -1)
    if not scale.size:
        return None
    largest = np.argmax(np.abs(scale), axis=1)[:, None]
    factor = np.take_along_axis(scale, largest, axis=1)
    return factor[:, 0] if ((scale == 0) | (scale == factor)).all() else None
