"""What every position brings to a row, read at every depth of a model: ``F = W_h h + b_h``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap, Verdict
from onnxlin.affine_map.verdict import judge
from onnxlin.engines.reverse import constant_shares
from onnxlin.engines.seeds import Seeds
from onnxlin.graph import Array
from onnxlin.program import Step
from onnxlin.readings.checks import chosen, row_names
from onnxlin.readings.stream.find import EMBEDDING, HEAD, KINDS, Place, Stream, find_stream
from onnxlin.readings.stream.sweep import Cut, Sweep, proved


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
    stream, seeds = find_stream(m.made_from("depths()").program), chosen(m, rows)
    read = _Reading(m, stream, seeds)
    at, cuts = read.found()
    names = [f"{depth.label!r}, {depth.tensor!r}" for depth in at]
    proof = proved(m, seeds, cuts, names, prod(stream.shape))
    values, rest = np.stack([cut.values for cut in cuts]), np.stack([cut.rest for cut in cuts])
    places = {place: read.places[place] for place in sorted(read.places, key=_in_order)}
    return Depths(
        at, values, rest, proof.y, proof.scale, proof.error_bound, proof.output_size,
        row_names(m, seeds), places, seeds.apply(m.b), _notes(stream, at),
    )  # fmt: skip


class _Reading:
    """The sweep of a stream, with b by place."""

    def __init__(self, m: AffineMap, stream: Stream, seeds: Seeds) -> None:
        self.m, self.stream = m, stream
        self.places: dict[Place, Array] = {}
        self.swept = Sweep(m, seeds, dict.fromkeys(stream.tensors, self._fold), inputs=True)
        count, program = len(seeds), self.swept.program
        constant = constant_shares(program, self.swept.job.seeds, slice(None))
        if constant:
            self.places[stream.constants] = sum(constant.values(), start=np.zeros(count))
        self.swept.run(self._see)

    def _fold(self, each: Array) -> Array:
        found: Array = each.reshape(len(each), self.stream.positions, -1).sum(axis=-1)
        return found

    def _see(self, step: Step, rows: slice, share: Array) -> None:
        count = len(self.swept.seeds)
        self.places.setdefault(self.stream.place(step), np.zeros(count))[rows] += share

    def found(self) -> tuple[tuple[Depth, ...], list[Cut]]:
        """Put the depths together, x first where it has the positions of the stream."""
        cuts, depths = [], []
        own = self._x()
        if own is not None:
            cuts, depths = [own], [Depth(" + ".join(self.m.inputs), "x")]
        for name, label in zip(self.stream.tensors, self.stream.labels, strict=True):
            if name in self.swept.cuts:
                cuts.append(self.swept.cuts[name])
                depths.append(Depth(name, label))
        return tuple(depths), cuts

    def _x(self) -> Cut | None:
        """What x brings, by position; None where it has none."""
        positions, m = self.stream.positions, self.m
        if any(len(v.shape) < 2 or prod(v.shape[:-1]) != positions for v in m.inputs.values()):
            return None

        def fold(each: Array) -> Array:
            values = np.zeros((len(each), positions))
            for at in m.columns_of.values():
                values += self._fold(each[:, at])
            return values

        return self.swept.at_inputs(fold)


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
