"""Guards: the affine functions of a node's inputs that decide on which piece of it x lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxlin.primitives import Array, Diagonal, LinearMap, Select, Shape, Sum, chain, identity


@dataclass(frozen=True, eq=False)
class Guard:
    """A piece holds while ``low <= sum over positions i of terms[i](x_i) <= high``.

    Parameters
    ----------
    terms : {input position: LinearMap}
        All of one output shape, that of the guards.
    low, high : array or float
        Broadcastable to that shape; infinite where there is no such kink. Both bounds are closed:
        on a kink the pieces of both sides hold, where the function is continuous.
    what : str
        What one guard belongs to, for reports: "unit", "window", "comparison", "order" ...
    rivals : int
        How many of the last axes count the guards of one unit.
    """

    terms: Mapping[int, LinearMap]
    low: Array | float
    high: Array | float
    what: str = "unit"
    rivals: int = 0

    @property
    def shape(self) -> Shape:
        """Shape of the guards."""
        return next(iter(self.terms.values())).out_shape

    def room(self, value: Array) -> Array:
        """How far a value of the function is from the nearer bound, for each unit: at least 0."""
        gap = np.abs(np.minimum(value - self.low, self.high - value))
        # Infinities of masks: where both sides are infinite nothing can come near.
        gap = np.where(np.isnan(gap), np.inf, gap)
        axes = tuple(range(gap.ndim - self.rivals, gap.ndim))
        return gap.min(axis=axes, initial=np.inf) if axes else gap


Interval = tuple[Array, Array]


def side(up: Array, kink: Array | float = 0.0) -> Interval:
    """``[kink, inf)`` where ``up``, else ``(-inf, kink]``."""
    return np.where(up, kink, -np.inf), np.where(up, np.inf, kink)


def sign_of(z: Array, kink: Array | float = 0.0) -> Interval:
    """The side of a kink that z lies on; on the kink that point alone."""
    low, high = side(z > kink, kink)
    return np.where(z == kink, kink, low), high


def cut_off(z: Array) -> Interval:
    """Where cutting off to a whole number, towards 0, gives what it gives at z."""
    whole = np.trunc(z.astype(np.float64))
    return whole - (whole <= 0), whole + (whole >= 0)


def entrywise(shape: Shape, interval: Interval, what: str = "unit") -> Guard:
    """Every entry of input 0 lies in an interval of its own."""
    return Guard({0: identity(shape)}, *interval, what)


def scaled(op: LinearMap, factor: float) -> LinearMap:
    """Multiply what a map gives."""
    return chain(op, Diagonal.of(op.out_shape, np.asarray(factor)))


def ahead(z: Array, first: Array, second: Array, sign: int = 1) -> LinearMap:
    """``sign * (z[first] - z[second])`` for flat positions, -1 reads 0."""
    read = [scaled(Select.of(z.shape, at), s) for at, s in ((first, sign), (second, -sign))]
    return Sum.of(*read)


def contest(z: Array, rivals: Array, winner: Array, sign: int = 1, what: str = "contest") -> Guard:
    """No rival overtakes the winner: ``sign * (z[winner] - z[rival]) >= 0``.

    Parameters
    ----------
    z : array
        Input 0.
    rivals : integer array (*units, n)
        Flat positions in z; -1 is no rival.
    winner : integer array (*units)
        Flat positions; a winner among its own rivals does not count.
    """
    first = np.broadcast_to(winner[..., None], rivals.shape)
    seen = np.append(z.ravel().astype(np.float64), 0)[rivals]
    # -inf stands for places outside of the input: it can overtake nobody.
    real = (rivals >= 0) & (first >= 0) & (rivals != first) & np.isfinite(seen)
    return Guard(
        {0: ahead(z, first, rivals, sign)}, np.where(real, 0.0, -np.inf), np.inf, what, rivals=1
    )


def margin(guards: Sequence[Guard], inputs: Mapping[int, Array]) -> Array:
    """Distance of every unit from its nearest kink, in units of what the guards look at."""
    found = []
    for guard in guards:
        # Wider than the runtime's numbers, so that a gap is never rounded to a tie.
        wide = ((op, inputs[i].astype(np.float64)) for i, op in guard.terms.items())
        with np.errstate(invalid="ignore"):
            value = sum(op.matvec(np.where(np.isnan(z), np.inf, z)[None])[0] for op, z in wide)
            found.append(guard.room(value))
    if not found:
        return np.full((), np.inf)
    if len({part.shape for part in found}) == 1:
        return np.min(found, axis=0)
    return np.concatenate([part.ravel() for part in found])


def nearest(*distances: Array) -> Array:
    """Distance to the nearest of several kinks."""
    return np.abs(np.stack(np.broadcast_arrays(*distances))).min(axis=0)


def lead(entries: Array) -> Array:
    """How far the largest entry of the last axis is ahead of the next one.

    ``(*shape, n) -> shape``; 0 where two are equal, infinite where there is no other entry.
    """
    if entries.shape[-1] < 2:
        return np.full(entries.shape[:-1], np.inf)
    # Wider than the runtime's numbers, so that a gap is never rounded to a tie.
    top = np.partition(entries, -2, axis=-1)[..., -2:].astype(np.float64)
    # -inf stands for places outside of the input: no rival, and no winner of its own.
    with np.errstate(invalid="ignore"):
        gap = np.where(top[..., 1] == top[..., 0], 0.0, top[..., 1] - top[..., 0])
    return np.where(np.isneginf(top[..., 0]), np.inf, gap)
