"""The map of x is the model at every other x' inside its activation pattern."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.errors import (
    MissingRuleError,
    RegionError,
    RowsError,
    TraceError,
    UnsupportedNodeError,
)
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.program import LinearProgram, Step
from onnxlin.program.carried import carried
from onnxlin.program.sweep import reach
from onnxlin.readings.region import Region
from onnxlin.readings.region.walls import Wall, stacked
from onnxlin.testing.bounds.departures import described
from onnxlin.testing.laws.subject import Feeds, Subject
from onnxlin.testing.verdicts import LawError, NotApplicable, worst

EXPECTED = "F(x') = W x' + b, with the W and b of x, at x' inside its pattern"
# Directions tried until so many of them have said something.
TRIED, ENOUGH = 6, 2
# Where between x and the border, or the length of x, x' lies.
FRACTIONS = (0.5, 0.9)


def inside(subject: Subject, feeds: Feeds, mode: str) -> None:
    """At x' in the region of x: same pattern, same W and b, and F(x') = W x' + b.

    x' lies part of `Region.step` away along random directions; F(x') is onnxruntime's own run.
    Where its arithmetic puts a unit on the other side of a kink, that unit must be nearer to the
    kink than rounding can carry it; such an x' says nothing more. Smooth nodes leave no region:
    their tangent and their frozen map equal F at x alone, so the law has nothing to say.
    """
    lin, at = subject.movable(feeds, mode)
    rows = subject.rows(feeds, mode)
    m = lin(at, rows, "reverse", np.float64)
    try:
        region = Region(m)
    except RegionError as error:
        raise NotApplicable(f"no region: {_first_reason(error)}") from error
    except (MissingRuleError, UnsupportedNodeError) as error:
        why = " ".join(str(error).split())
        raise NotApplicable(f"no region: what decides can't be determined: {why}") from error
    said = 0
    for other in _inside(region, at):
        said += _holds_at(Point(lin, m, region, mode), other, rows)
        if said == ENOUGH:
            return
    if not said:
        ties = f"; x lies on {region.ties} kinks" if region.ties else ""
        raise NotApplicable(f"a kink is nearer to x than rounding, in every direction tried{ties}")


def _first_reason(error: RegionError) -> str:
    lines = [line.strip() for line in str(error).splitlines()[1:-1]]
    return lines[0] + (f" and {len(lines) - 1} more" if len(lines) > 1 else "")


def _inside(region: Region, feeds: Feeds) -> Iterator[dict[str, Array]]:
    """Feeds of points inside, as numbers of the model's own types."""
    x, rng = region.map.x, np.random.default_rng(0)
    length = float(np.abs(x).max(initial=0.0)) or 1.0
    for i in range(TRIED):
        direction = length * rng.standard_normal(len(x))
        reach = min(region.step(direction).step, 1.0) * FRACTIONS[i % len(FRACTIONS)]
        other = moved(region.map, feeds, reach * direction)
        flat = np.concatenate([other[n].astype(np.float64).ravel() for n in region.map.inputs])
        if (flat != x).any() and flat in region:
            yield other


def moved(m: AffineMap, feeds: Feeds, by: Array) -> dict[str, Array]:
    """Feeds at x + by, rounded to the model's own types."""
    found = dict(feeds)
    for name, at in m.columns_of.items():
        wide = feeds[name].astype(np.float64) + by[at].reshape(feeds[name].shape)
        found[name] = np.asarray(wide).astype(feeds[name].dtype)
    return found


@dataclass(frozen=True, eq=False)
class Point:
    """The map at x, and its region."""

    lin: Linearizer
    m: AffineMap
    region: Region
    mode: str


def _holds_at(point: Point, feeds: Feeds, rows: object) -> bool:
    """Hold the law at one x'; False where rounding decided on another pattern there."""
    m = point.m
    try:
        other = point.lin(feeds, rows, "reverse", np.float64)
    except (TraceError, RowsError) as error:
        found = f"no such run there: {error}"
        raise LawError("inside", point.mode, EXPECTED, found) from error
    if other.shapes != m.shapes:
        found = f"outputs of the shapes {other.shapes[1]}, where x has {m.shapes[1]}"
        raise LawError("inside", point.mode, EXPECTED, found)
    values = point.lin.decider.tracer(feeds)
    program = point.lin.decider(values, np.dtype(np.float64))
    if program.pattern_key() != point.region.key:
        _rounding_decided(point, other.x, program, values)
        return False
    for what, ours, theirs in (("W", m.W, other.W), ("b", m.b, other.b)):
        if unlike := worst(theirs, ours, np.zeros(ours.shape)):
            expected = f"the same {what} at x' as at x: the pattern is the same"
            raise LawError("inside", point.mode, expected, unlike, other.first_departure())
    if apart := worst(m(other.x), other.y, other.bound * other.scale):
        node = other.first_departure()
        raise LawError("inside", point.mode, EXPECTED, apart, node)
    return True


def _rounding_decided(
    point: Point, x: Array, program: LinearProgram, values: Mapping[str, Array]
) -> None:
    """Raise unless the first node that took another piece at x' was within rounding of a kink."""
    step = _first_unlike(point.region.program, program)
    node = described(step)
    walls = [wall for wall in point.region.walls if wall.decision.node.name == step.node.name]
    reads = {name for wall in walls for name, _ in wall.bounds.terms}
    exact = point.region.program.forward(x, reads)
    errors = carried(program, values)
    crossed = [c for wall in walls if (c := _crossing(wall, exact, values, errors))]
    if not crossed:
        found = "another piece at x', though every guard of the node holds there"
        raise LawError("inside", point.mode, EXPECTED, found, node)
    if far := [text for text, explained in crossed if not explained]:
        raise LawError("inside", point.mode, EXPECTED, f"another pattern at x': {far[0]}", node)


def _first_unlike(one: LinearProgram, other: LinearProgram) -> Step:
    pairs = zip(one.steps, other.steps, strict=True)
    return next(a for a, b in pairs if _key(one, a) != _key(other, b))


def _key(program: LinearProgram, step: Step) -> str:
    return replace(program, steps=(step,), constants={}).pattern_key()


def _crossing(
    wall: Wall, exact: Mapping[str, Array], values: Mapping[str, Array], errors: Mapping[str, Array]
) -> tuple[str, bool] | None:
    """Say how far beyond a bound the runtime had a guard, and whether rounding explains that."""
    wide = {n: values[n].astype(np.float64) for n, _ in wall.bounds.terms}
    ran = wall.bounds(stacked(wall.bounds, wide))[0]
    ours = wall.bounds(stacked(wall.bounds, exact))[0]
    beyond = ~((ran >= wall.low) & (ran <= wall.high) | np.isnan(ran))
    # On the border itself the runtime may take either piece.
    beyond |= (ran == wall.low) | (ran == wall.high)
    if not beyond.any():
        return None
    doubt = reach(wall.bounds.terms, errors, wall.bounds.shape)
    room = np.minimum(ours - wall.low, wall.high - ours)
    excess = np.where(beyond, room - doubt, -np.inf)
    flat = int(np.argmax(excess))
    unit = wall.unit(flat)
    text = (
        f"{unit} has room {room.ravel()[flat]:.3g} in float64 and lies at "
        f"{ran.ravel()[flat]:.9g} in the run, where rounding carries it {doubt.ravel()[flat]:.3g}"
    )
    return text, bool(excess.ravel()[flat] <= 0)
