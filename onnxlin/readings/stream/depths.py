"""What every position brings to a row, read at every depth of a model: ``F = W_h h + b_h``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from onnxlin.affine_map import TINY, AffineMap, Verdict
from onnxlin.affine_map.verdict import judge
from onnxlin.engines.job import Job, dot
from onnxlin.engines.reverse import charging, constant_shares
from onnxlin.graph import Array
from onnxlin.program import Step
from onnxlin.program.roundoff import Charges, gamma, smallest, unit_roundoff
from onnxlin.readings.checks import UNIT, chosen, of_outputs, require_equal, row_names, size_of
from onnxlin.readings.stream.find import EMBEDDING, HEAD, KINDS, Place, Stream, find_stream


@dataclass(frozen=True)
class Depth:
    """A place at which a model is cut.

    Parameters
    ----------
    tensor : str
        The hidden tensor; of the first depth the inputs of the map, with ``+`` between them.
    label : str
        Which it is: "x", "embedded", "attention 1", "MLP 1": behind what it stands.
    """

    tensor: str
    label: str


@dataclass(frozen=True, eq=False)
class Depths:
    """``values[d].sum(axis=1) + rest[d] = F(x)`` at every depth d, row by row.

    Parameters
    ----------
    depths : tuple of Depth (D)
        From x on.
    values : array (D, K, positions)
        What each position brings: ``W_h h`` added up over the width.
    rest : array (D, K)
        ``b_h``: biases behind that depth. At x it is b.
    y : array (K,)
        F(x) as onnxruntime computed it.
    scale, error_bound : array (D, K)
        What adds up to a row, ``|W_h| |h| + sum of |bias contributions|``, and what rounding alone
        may put between F(x) and that sum, in units of the outputs.
    output_size : array (K,)
        See `onnxlin.AffineMap.output_size`.
    rows : tuple of str (K)
        Names of the rows.
    places : {Place: array (K,)}
        Shares of b by layer and kind; they add up to b.
    b : array (K,)
    notes : tuple of str
        What was found, in words.
    """

    depths: tuple[Depth, ...]
    values: Array
    rest: Array
    y: Array
    scale: Array
    error_bound: Array
    output_size: Array
    rows: tuple[str, ...]
    places: Mapping[Place, Array]
    b: Array
    notes: tuple[str, ...]

    @property
    def error(self) -> Array:
        """``|F(x) - (W_h h + b_h)|`` at every depth, in units of the outputs, ``(D, K)``."""
        found: Array = np.abs(self.y - (self.values.sum(axis=2) + self.rest))
        return found

    @property
    def residual(self) -> Array:
        """The same relative to `scale`."""
        return self.error / self.scale

    @property
    def bound(self) -> Array:
        """`error_bound` relative to `scale`: what rounding alone may make of `residual`."""
        return self.error_bound / self.scale

    @property
    def verdicts(self) -> tuple[tuple[Verdict, ...], ...]:
        """What is decided of every row at every depth: see `onnxlin.Verdict`."""
        pairs = zip(self.error, self.error_bound, strict=True)
        return tuple(tuple(judge(*pair, self.output_size)) for pair in pairs)

    @property
    def by_kind(self) -> dict[str, Array]:
        """Shares of b by kind alone, ``{kind: (K,)}``, in the order of a layer."""
        kinds = [kind for kind in KINDS if any(place.kind == kind for place in self.places)]
        return {
            kind: np.sum([v for place, v in self.places.items() if place.kind == kind], axis=0)
            for kind in kinds
        }


def depths(m: AffineMap, rows: Any = None) -> Depths:
    """Read a map at every depth of its stream: before each layer, and behind attention and MLP.

    The stream is found on the graph of the map: tensors of positions by width through which every
    path goes, and that blocks with weights read and add to. Cut there the map is that of the hidden
    tensor, ``F = W_h h + b_h``. All depths come out of one adjoint sweep.

    Parameters
    ----------
    m : AffineMap
    rows : positions (K,) or combinations (K, rows of m), optional
        Of the rows of m; by default all.

    Returns
    -------
    Depths
        Exact at x, in the reading of the map. Where x itself has as many positions as the stream
        the first depth is x; else, as for a picture, it is where the positions begin.

    Raises
    ------
    OptionError
        There is no stream.
    RowsError, DetachedError
    ResidualError
        A depth misses F(x) by more than rounding allows.

    Source: the map of every layer, Golden, Equivalent Linear Mappings of Large Language Models,
    TMLR 2025, there without biases.
    """
    origin = m.made_from("depths()")
    stream, seeds = find_stream(origin.program), chosen(m, rows)
    outputs = of_outputs(m, seeds)
    job = Job(origin.program, outputs, origin.job.memory, threads=origin.job.threads)
    read = _Reading(stream, {n: np.asarray(origin.values[n], np.float64) for n in stream.tensors})
    read.sweep(job, Charges(origin.program, origin.values))
    found = read.found(m)
    scale = found.scale + TINY
    # Adding up the entries, then the positions and the nodes, in float64.
    terms = prod(stream.shape) + len(origin.program.steps) + 4
    summing = gamma(terms, UNIT) * scale
    sure = found.bound + summing
    y, total = seeds.apply(m.own_y), found.values.sum(axis=2) + found.rest
    size = size_of(seeds, m.output_size)
    limit = sure
    if not (sure <= size).all():
        likely = size_of(seeds, m.error_bound) + summing
        limit = np.where(np.abs(total - y) <= likely, np.minimum(sure, likely), sure)
    for depth, one, most in zip(found.depths, total, limit, strict=True):
        require_equal(f"W_h h + b_h at {depth.label!r}, {depth.tensor!r}", one, y, most)
    least = smallest(m.dtype) / unit_roundoff(m.dtype)
    return Depths(
        found.depths, found.values, found.rest, y, scale, limit, np.maximum(size, least),
        row_names(m, seeds), found.places, seeds.apply(m.b), _notes(stream, found.depths),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Found:
    """What a sweep has found, by depth."""

    depths: tuple[Depth, ...]
    values: Array
    rest: Array
    scale: Array
    bound: Array
    places: Mapping[Place, Array]


class _Reading:
    """What one sweep adds up on its way from the outputs to x."""

    def __init__(self, stream: Stream, hidden: Mapping[str, Array]) -> None:
        self.stream, self.hidden = stream, hidden
        self.by_depth: dict[str, tuple[Array, Array, Array, Array]] = {}
        self.places: dict[Place, Array] = {}

    def sweep(self, job: Job, errors: Charges) -> None:
        """Sweep all rows."""
        count, program = len(job.seeds), job.program
        constant = constant_shares(program, job.seeds, slice(None))
        shares = sum(constant.values(), start=np.zeros(count))
        if constant:
            self.places[self.stream.constants] = shares.copy()
        sizes, bound = np.abs(shares), np.zeros(count)
        self.W = np.zeros((count, program.columns), program.dtype)
        swept = charging(job, lambda step: errors(step)[:1], 1, self.W)
        for rows, step, cotangent, charged in swept:
            if step.output in self.hidden:
                self._cut(step.output, rows, cotangent, (shares, sizes, bound))
            bound[rows] += charged[0]
            if step.bias is not None:
                self._add(step, rows, dot(cotangent, step.bias), (shares, sizes))
        self.ends = shares, sizes, np.nan_to_num(bound, nan=np.inf, posinf=np.inf)

    def _cut(self, name: str, rows: slice, cotangent: Array, so_far: tuple[Array, ...]) -> None:
        """Keep what stands at a tensor of the stream, and what has been added up behind it."""
        if name not in self.by_depth:
            count = len(so_far[0])
            values = np.zeros((count, self.stream.positions))
            self.by_depth[name] = (values, *np.zeros((3, count)))
        values, *sums = self.by_depth[name]
        each = cotangent.astype(np.float64) * self.hidden[name]
        values[rows] = each.reshape(*values[rows].shape, -1).sum(axis=-1)
        for kept, total in zip(sums, so_far, strict=True):
            kept[rows] = total[rows]
        sums[1][rows] += np.abs(each).reshape(len(each), -1).sum(axis=1)

    def _add(self, step: Step, rows: slice, share: Array, sums: tuple[Array, Array]) -> None:
        shares, sizes = sums
        shares[rows] += share
        sizes[rows] += np.abs(share)
        place = self.stream.place(step)
        self.places.setdefault(place, np.zeros(len(shares)))[rows] += share

    def found(self, m: AffineMap) -> _Found:
        """Put the depths together, x first where it has the positions of the stream."""
        parts, depths = [], []
        own = self._x(m)
        if own is not None:
            parts, depths = [own], [Depth(" + ".join(m.inputs), "x")]
        for name, label in zip(self.stream.tensors, self.stream.labels, strict=True):
            if name in self.by_depth:
                parts.append(self.by_depth[name])
                depths.append(Depth(name, label))
        values, rest, scale, bound = (np.stack(part) for part in zip(*parts, strict=True))
        places = {place: self.places[place] for place in sorted(self.places, key=_in_order)}
        bound = np.nan_to_num(bound, nan=np.inf, posinf=np.inf)
        return _Found(tuple(depths), values, rest, scale, bound, places)

    def _x(self, m: AffineMap) -> tuple[Array, Array, Array, Array] | None:
        """What x brings, by position; None where it has none."""
        positions = self.stream.positions
        if any(len(v.shape) < 2 or prod(v.shape[:-1]) != positions for v in m.inputs.values()):
            return None
        each = self.W.astype(np.float64) * m.x
        values = np.zeros((len(each), positions))
        for at in m.columns_of.values():
            values += each[:, at].reshape(len(each), positions, -1).sum(axis=2)
        shares, sizes, bound = self.ends
        return values, shares, sizes + np.abs(each).sum(axis=1), bound


def _in_order(place: Place) -> tuple[int, int]:
    return place.layer, KINDS.index(place.kind)


def _notes(stream: Stream, found: tuple[Depth, ...]) -> tuple[str, ...]:
    """Say what was found, and where the positions begin."""
    blocks, layers = len(stream.blocks), stream.blocks[-1].layer
    notes = [
        f"stream of {stream.positions} positions by {stream.shape[-1]}: {blocks} blocks in "
        f"{layers} layers, from {stream.tensors[0]!r} to {stream.tensors[-1]!r}"
    ]
    if found[0].label != "x":
        notes.append(f"x has no such positions: the first depth is {found[0].tensor!r}")
    return tuple(notes)


def told(place: Place, last: int) -> str:
    """Name a place for people: "attention 2", "norm before the head".

    Parameters
    ----------
    last : int
        The last layer.
    """
    if place.kind in (EMBEDDING, HEAD):
        return place.kind
    return f"{place.kind} {place.layer}" if place.layer <= last else f"{place.kind} before the head"
