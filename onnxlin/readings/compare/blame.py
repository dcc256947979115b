"""Which node of the other model moved a row: the change of a row, shared out over tensors, exactly.

A tensor that both models have differs by ``D_t``. B's nodes, fed what A's are fed, make something
else by ``e_t``: that they have introduced. What is left of ``D_t`` A's own nodes have made of what
they read: linearly ``J_t D``, and beside that by ``n_t``, where a unit is on the other side of its
kink, or a smooth node bends. With ``g_t`` the row of A's map from the tensor on,

    row (F_B - F_A) = sum over tensors of g_t (e_t + n_t)

whatever the models are: ``e_t + n_t = D_t - J_t D``, and the row of a tensor is the sum of the rows
of its readers, each through its own map, so that all but the outputs' own differences cancel out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnxlin.errors import InputError, OptionError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.load import Model
from onnxlin.program import LinearProgram, finite, slices
from onnxlin.program.sweep import applied, back
from onnxlin.readings.compare.agree import by_values
from onnxlin.readings.compare.align import Aligned, align
from onnxlin.readings.compare.names import Match, match
from onnxlin.readings.compare.nodes import MADE, on_values_of_b, readable
from onnxlin.readings.compare.sides import Side
from onnxlin.section import STAIRCASE
from onnxlin.section.feeds import Instance
from onnxlin.section.numbers import as_array

Feeds = Mapping[str, Array]
Pair = tuple[Side, Side]
SHAPES = 8
"""Shapes of tensors for which a model that is cut open stays open."""


@dataclass(frozen=True, eq=False)
class Blame:
    """The change of one row from A to B at x, shared out over the T tensors that both have.

    Parameters
    ----------
    tensors : tuple of str
        Names in A, in the order in which it makes them; its inputs first.
    introduced : array (T,)
        What B's nodes that make this tensor have brought in by themselves.
    bent : array (T,)
        What A's nodes there do not pass on linearly: units on the other side of a kink at B's
        values, the curve of smooth nodes, and all of an output that x moves by decisions alone.
    values : (float, float)
        The row of F(x), in A and in B.
    """

    tensors: tuple[str, ...]
    introduced: Array
    bent: Array
    values: tuple[float, float]

    @property
    def change(self) -> float:
        """The row in B less the row in A."""
        return self.values[1] - self.values[0]

    @property
    def shares(self) -> Array:
        """What each tensor's nodes make of the change, ``(T,)``: introduced + bent."""
        return self.introduced + self.bent

    @property
    def rest(self) -> float:
        """The change less the sum of the shares: rounding, where all numbers are finite."""
        return self.change - float(self.shares.sum())

    @property
    def first(self) -> str | None:
        """The tensor whose share moves the row furthest the way it went, if it moved."""
        if not self.change or not self.tensors:
            return None
        return self.tensors[int(np.argmax(self.shares * np.sign(self.change)))]

    def __str__(self) -> str:
        """List the shares, the largest first."""
        lines = [f"{self.values[0]:.6g} in A, {self.values[1]:.6g} in B: {self.change:+.4g}"]
        order = np.argsort(-np.abs(self.shares), kind="stable")
        for i in order[self.shares[order] != 0]:
            own, other = self.introduced[i], self.bent[i]
            lines.append(f"  {self.tensors[i]}: {own:+.4g} introduced, {other:+.4g} bent")
        return "\n".join(lines)


def blame(
    a: Linearizer | Model,
    b: Linearizer | Model,
    x: Instance,
    row: Any,
    *,
    mode: str = "tangent",
    rounding: str = STAIRCASE,
) -> Blame:
    """Share out, over the tensors that both models have, what moves one row from A to B.

    Parameters
    ----------
    a, b : Linearizer or what it takes
        Matched as `compare` matches them.
    x : array, or {input name of A: array}
    row : int or array (n_out,)
        An output of A, or a combination: 1 at a class and -1 at another is a margin.
    mode, rounding
        For models that are not linearizers yet. Roundings are read straight through here, whatever
        it is, except in models that hold a node which only a staircase can say.

    Returns
    -------
    Blame
        The shares add up to the change exactly, but for the rounding of the float64 in which they
        are computed. Which of two neighbouring tensors has a share depends on which tensors both
        models have.

    Raises
    ------
    InputError, OptionError, and what a `Linearizer` raises
    """
    first, second = (
        m if isinstance(m, Linearizer) else Linearizer(m, mode=mode, rounding=rounding, example=x)
        for m in (a, b)
    )
    together = align(first, second, x)
    return Blaming.of(first, second, together)(together.feeds, _combination(row, together))


def _combination(row: Any, together: Aligned) -> Array:
    size = len(together.order)
    found = as_array("row", row)
    if found.ndim == 0 and found.dtype.kind in "iu" and -size <= found < size:
        return np.eye(size)[int(found)]
    if found.shape != (size,) or found.dtype.kind not in "iuf" or np.isnan(found).any():
        raise OptionError(
            f"row={row!r}; expected an output of 0 to {size - 1}, or {size} numbers that combine "
            "them."
        )
    return found.astype(np.float64)


@dataclass(frozen=True, eq=False)
class Blaming:
    """Two models, opened once, whose rows are shared out at any number of x.

    Parameters
    ----------
    sides : (Side, Side)
        At some x.
    outputs : {output of A: that of B}
    names : Match
    cuts : tuple of str
        Tensors of A at which it is cut: what B has there A can read.
    """

    sides: Pair
    outputs: Mapping[str, str]
    names: Match
    cuts: tuple[str, ...]
    opened: dict[Any, Side]

    @classmethod
    def of(
        cls,
        a: Linearizer,
        b: Linearizer,
        together: Aligned,
        known: tuple[Match, tuple[str, ...]] | None = None,
    ) -> Blaming:
        """Open the models; ``known`` are the names and cuts that another x has told."""
        first, second = (
            Side.of(lin, feeds) for lin, feeds in zip((a, b), together.feeds, strict=True)
        )
        if known is not None:
            return cls((first, second), together.outputs, *known, {})
        found = match(first.section, second.section, together.inputs | together.outputs)
        names = by_values(found, first, second)
        cut = readable(first, second, names)
        listed = tuple(name for name in names.tensors if name in cut)
        return cls((first, second), together.outputs, names, listed, {})

    @property
    def tensors(self) -> tuple[str, ...]:
        """Those over which rows are shared out."""
        return tuple(dict.fromkeys((*self.cuts, *self.sides[0].section.outputs)))

    def at(self, feeds: tuple[Feeds, ...]) -> Pair:
        """Take both models to another x."""
        a, b = (replace(side, feeds=own) for side, own in zip(self.sides, feeds, strict=True))
        return a, b

    def __call__(self, feeds: tuple[Feeds, ...], row: Array) -> Blame:
        """Share out a row ``(n_out,)`` of A at x."""
        return self.shared(self.at(feeds), row)

    def shared(self, sides: Pair, row: Array) -> Blame:
        """Share out a row of A between models that are at x."""
        a, _ = sides
        change, own = self._differences(sides)
        bent = _bends(a.program, change, own)
        arrived = _arrived(a.program, row, self.tensors)
        parts = [[_dot(arrived.get(n), p.get(n)) for n in self.tensors] for p in (own, bent)]
        ours, theirs = self._outputs(sides)
        values = float(row @ ours), float(row @ theirs)
        return Blame(self.tensors, np.array(parts[0]), np.array(parts[1]), values)

    def _differences(self, sides: Pair) -> tuple[dict[str, Array], dict[str, Array]]:
        """What B has less what A has, and less what A's nodes make of what B's were fed."""
        a, b = sides
        given = {n: v for n, v in readable(a, b, self.names).items() if n in self.cuts}
        made, change, own = self._made(a, given), dict[str, Array](), dict[str, Array]()
        theirs = {n: v.astype(np.float64) for n, v in given.items()}
        ends = {n: b.tensor(other) for n, other in self.outputs.items()}
        theirs |= {n: v for n, v in ends.items() if v is not None}
        for name, value in theirs.items():
            ours = a.tensor(name)
            if ours is None or ours.shape != value.shape:
                raise InputError(f"{name!r} has other shapes in A and in B at this x.")
            change[name] = _less(value, ours)
            spelt = name + MADE if name in given else name
            if name in a.section.inputs:
                own[name] = change[name]
            elif name in a.section.live and (fed := made.tensor(spelt)) is not None:
                own[name] = _less(value, fed)
            else:  # x moves it by what is decided, if at all: no map leads there
                own[name] = np.zeros(value.shape)
        return change, own

    def _made(self, a: Side, given: Mapping[str, Array]) -> Side:
        """A on what B has at the cuts."""
        key = tuple((name, value.shape) for name, value in given.items())
        if key not in self.opened:
            if len(self.opened) >= SHAPES:
                self.opened.pop(next(iter(self.opened)))
            self.opened[key] = on_values_of_b(a, given)
        own = {name: value for name, value in a.feeds.items() if name not in given}
        opened = self.opened[key]
        fed = {**own, **given} if opened.section is not a.section else dict(a.feeds)
        return replace(opened, feeds=fed)

    def _outputs(self, sides: Pair) -> tuple[Array, Array]:
        """All outputs of A, flattened, and what B has in their places."""
        a, b = sides
        ours = [a.values[name].astype(np.float64).ravel() for name in a.section.outputs]
        theirs = [b.values[self.outputs[n]].astype(np.float64).ravel() for n in a.section.outputs]
        return np.concatenate(ours), np.concatenate(theirs)


def _bends(
    program: LinearProgram, change: Mapping[str, Array], own: Mapping[str, Array]
) -> dict[str, Array]:
    """What A's nodes make of differences beside what their maps do, tensor by tensor."""
    moved = {
        name: change.get(name, np.zeros(shape))[None] for name, shape in program.inputs.items()
    }
    found = {}
    for step in program.steps:
        whole = (1, *step.shape)
        made = np.broadcast_to(applied(step.terms, moved, read=finite), whole)
        if step.output in change:
            bend = change[step.output] - own[step.output] - made[0]
            found[step.output] = bend
            made = change[step.output][None]
        moved[step.output] = made
    # Outputs to which no map leads.
    return found | {n: change[n] - own[n] for n in program.constants if n in change}


def _arrived(program: LinearProgram, row: Array, wanted: tuple[str, ...]) -> dict[str, Array]:
    """The row of the map from each tensor on."""
    shapes = program.outputs
    waiting = {name: row[at].reshape(1, *shapes[name]) for name, at in slices(shapes)}
    found = {step.output: value for step, value in back(program.steps, waiting)}
    return {name: value for name, value in {**waiting, **found}.items() if name in wanted}


def _dot(cotangent: Array | None, value: Array | None) -> float:
    if cotangent is None or value is None:
        return 0.0
    return float(np.vdot(finite(cotangent), finite(value)))


def _less(value: Array, other: Array) -> Array:
    """``value - other``, where infinities that are the same are 0 apart."""
    with np.errstate(invalid="ignore"):
        found: Array = np.where(value == other, 0.0, value - other)
    return found
