"""The walls of a linear region: every guard of every node, its value at x, and its name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np

from onnxlin.engines.forward import tangents
from onnxlin.engines.reverse import gradients
from onnxlin.errors import RegionError
from onnxlin.primitives import Array, Shape
from onnxlin.program import Bounds, Decision, LinearProgram, Step
from onnxlin.program.sweep import reach, send_adjoint
from onnxlin.texts import counted, shown

CURVED = ("tangent", "frozen", "smooth", "straight-through")


@dataclass(frozen=True)
class Unit:
    """What binds: one unit, pool window or comparison of a node.

    Parameters
    ----------
    node, op_type : str
    what : str
        "unit", "window", "comparison", "order", "threshold" or "step".
    index : tuple of int
        Of the unit, in the node's output where the two have one shape.
    rival : int or None
        Which of the unit's rivals (the taps of a window, the entries of an axis).
    room : float
        How far its function is from the bound at x, in units of the node's input.
    """

    node: str
    op_type: str
    what: str
    index: tuple[int, ...]
    rival: int | None
    room: float

    def __str__(self) -> str:
        place = ",".join(str(i) for i in self.index)
        against = "" if self.rival is None else f" against rival {self.rival}"
        return shown(f"{self.what} [{place}] of {self.op_type} {self.node!r}{against}")

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Wall:
    """The guards of one node that are of one kind.

    Parameters
    ----------
    decision : Decision
    bounds : Bounds
    value : array of the bounds' shape
        Of the guards' functions at x.
    low, high : array
        Widened to ``value`` where the runtime, in its own precision, chose the piece beyond.
    """

    decision: Decision
    bounds: Bounds
    value: Array
    low: Array
    high: Array

    @property
    def room(self) -> Array:
        """Distance of every guard from its nearer bound."""
        gap = np.minimum(self.value - self.low, self.high - self.value)
        return np.where(np.isnan(gap), np.inf, gap)

    @property
    def widened(self) -> Array:
        """By how much x lies beyond a bound in exact arithmetic: closer to it than rounding."""
        beyond = np.maximum(self.bounds.low - self.value, self.value - self.bounds.high)
        return np.where(beyond > 0, beyond, 0.0)

    def holds(self, values: Mapping[str, Array]) -> bool:
        """Whether all guards hold at tensors of one point."""
        found = self.bounds(stacked(self.bounds, values))[0]
        return bool(((found >= self.low) & (found <= self.high) | np.isnan(found)).all())

    def exits(self, rates: Mapping[str, Array]) -> Array:
        """At which step along a direction every guard meets a bound; infinite for never."""
        rate = self.bounds(rates)[0]
        ahead = np.where(rate > 0, self.high - self.value, self.low - self.value)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(rate == 0, np.inf, ahead / rate)
        return np.where(np.isnan(step), np.inf, np.maximum(step, 0.0))

    def unit(self, flat: int) -> Unit:
        """Name a guard."""
        index = tuple(int(i) for i in np.unravel_index(flat, self.bounds.shape))
        own, rival = self._split(index)
        node = self.decision.node
        room = float(self.room.ravel()[flat])
        return Unit(node.name, node.op_type, self.bounds.what, own, rival, room)

    def _split(self, index: tuple[int, ...]) -> tuple[tuple[int, ...], int | None]:
        count = self.bounds.rivals
        if not count:
            return index, None
        shape: Shape = self.bounds.shape[-count:]
        return index[:-count], int(np.ravel_multi_index(index[-count:], shape))

    def pull(self, program: LinearProgram, flat: Array) -> Array:
        """Gradients of some guards' functions by the inputs: ``(len(flat), columns)``."""
        seeds = np.zeros((len(flat), prod(self.bounds.shape)), program.dtype)
        seeds[np.arange(len(flat)), flat] = 1
        seeds = seeds.reshape(len(flat), *self.bounds.shape)
        waiting: dict[str, Array] = {}
        for name, op in self.bounds.terms:
            send_adjoint(waiting, name, op, seeds)
        return gradients(program, waiting)

    def reach(self, sizes: Mapping[str, Array]) -> Array:
        """How far tensors that move by so much move the guards' functions: ``sum of |A| size``."""
        return reach(self.bounds.terms, sizes, self.bounds.shape)


def stacked(bounds: Bounds, values: Mapping[str, Array]) -> dict[str, Array]:
    """Tensors that bounds read, as stacks of one."""
    return {name: np.asarray(values[name])[None] for name, _ in bounds.terms}


def make_walls(program: LinearProgram, x: Array) -> list[Wall]:
    """Evaluate every guard at x, in float64.

    Raises
    ------
    RegionError
        Smooth nodes, or nodes that nobody can tell the pieces of.
    """
    require_region(program)
    return walls_of(program, program.decisions, x)


def walls_of(program: LinearProgram, decisions: Iterable[Decision], x: Array) -> list[Wall]:
    """Evaluate the guards of some nodes at x."""
    pairs = [(decision, bounds) for decision in decisions for bounds in decision.bounds()]
    values = program.forward(x, read_by(bounds for _, bounds in pairs))
    return [_wall(decision, bounds, values) for decision, bounds in pairs]


def read_by(several: Iterable[Bounds]) -> set[str]:
    """Tensors that guards are functions of."""
    return {name for bounds in several for name, _ in bounds.terms}


def _wall(decision: Decision, bounds: Bounds, values: Mapping[str, Array]) -> Wall:
    """Evaluate the guards of one kind at the tensors of x."""
    value = bounds(stacked(bounds, values))[0]
    low, high = np.fmin(bounds.low, value), np.fmax(bounds.high, value)
    return Wall(decision, bounds, value, low, high)


def require_region(program: LinearProgram) -> None:
    """Raise RegionError, with all nodes that stand in the way."""
    if reasons := reasons_of(program):
        shown = "\n".join(f"  {reason}" for reason in reasons[:20])
        more = f"\n  and {len(reasons) - 20} more" if len(reasons) > 20 else ""
        raise RegionError(
            "This map has no linear region around x that can be determined: "
            f"{counted(len(reasons), 'node')} smooth, or with jumps that can't be located.\n"
            f"{shown}{more}\nChoose inputs= or outputs= that leave them out; "
            "onnxlin.readings.region.drift says how far W moves instead."
        )


def reasons_of(program: LinearProgram) -> list[str]:
    """Nodes that leave a map without a linear region, and why."""
    curved = {step.node.name: step.node for step in curved_steps(program)}
    found = [f"{node.op_type} {name!r} is smooth" for name, node in curved.items()]
    unknown = (d for d in program.decisions if d.unknown)
    return found + [f"{d.node.op_type} {d.node.name!r}: {d.unknown}" for d in unknown]


def curved_steps(program: LinearProgram) -> list[Step]:
    """Steps of smooth nodes that x moves.

    Of a sigmoid or an attention weight that is held, the frozen map has no terms left; the node
    moves with x all the same.
    """
    moving, found = set(program.inputs), []
    for step in program.steps:
        read = {name for name, _ in step.terms}
        if step.status in CURVED and not moving.isdisjoint({*step.node.reads, *read}):
            found.append(step)
            moving.add(step.output)
        elif not moving.isdisjoint(read):
            moving.add(step.output)
    return found


def rates(program: LinearProgram, walls: Sequence[Wall], direction: Array) -> dict[str, Array]:
    """How what the walls read moves along a direction: one tangent sweep, stacks of one."""
    wanted = read_by(wall.bounds for wall in walls)
    return tangents(program, np.asarray(direction, program.dtype).reshape(1, -1), wanted)


def nearest(walls: Sequence[Wall], by: Sequence[Array], count: int) -> Iterator[tuple[int, int]]:
    """Places (wall, flat index) of the smallest numbers among arrays, one an wall, in order."""
    sizes = np.cumsum([0, *(array.size for array in by)])
    flat = np.concatenate([array.ravel() for array in by]) if walls else np.zeros(0)
    count = min(count, flat.size)
    few = np.argpartition(flat, count - 1)[:count] if 0 < count < flat.size else np.arange(count)
    for at in few[np.argsort(flat[few], kind="stable")]:
        wall = int(np.searchsorted(sizes, at, side="right")) - 1
        yield wall, int(at - sizes[wall])
