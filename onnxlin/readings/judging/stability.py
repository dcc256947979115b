"""Stability: how the map, the ledger and any attribution change near x."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.program import LinearProgram
from onnxlin.readings.attributions.gradients import Attribution
from onnxlin.readings.question.question import Question
from onnxlin.readings.region.walls import Wall, read_by, stacked, walls_of
from onnxlin.section.numbers import real
from onnxlin.section.options import number, whole

SHARES = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1)
RADIUS = 0.02


@dataclass(frozen=True, eq=False)
class Neighbour:
    """The map at ``x + t d`` beside that at x.

    Parameters
    ----------
    distance : float
        l2 distance from x, as the model's own precision has it.
    W : float
        ``|W' - W| / |W|``, l2.
    ledger : float
        ``sum over nodes of |b_n' - b_n| / sum of |b_n|``.
    contributions : float
        ``|W' x' - W x| / |W x|``, l2 over the features.
    flipped : {node name: int}
        Units that are on another piece than at x; nodes without any are left out.
    error : float
        ``|F(x') - (W x' + b)|``: what the map of x is off by.
    """

    distance: float
    W: float
    ledger: float
    contributions: float
    flipped: Mapping[str, int]
    error: float

    @property
    def flips(self) -> int:
        """Units that flipped, all nodes together."""
        return sum(self.flipped.values())


@dataclass(frozen=True, eq=False)
class Stability:
    """Neighbours at growing distances, a few directions at each.

    Parameters
    ----------
    neighbours : tuple of Neighbour
        In the order of the distances, all directions of one distance together.
    directions : int
    units : int
        Units, windows and comparisons that could flip.
    blind : tuple of str
        Nodes whose pieces nobody can tell apart by affine functions; they are not counted.
    """

    neighbours: tuple[Neighbour, ...]
    directions: int
    units: int
    blind: tuple[str, ...]

    @property
    def table(self) -> list[dict[str, float]]:
        """One row a distance: means over the directions, and the largest change of W."""
        rows = []
        for start in range(0, len(self.neighbours), self.directions):
            group = self.neighbours[start : start + self.directions]
            rows.append(
                {
                    "distance": _mean(n.distance for n in group),
                    "flips": _mean(n.flips for n in group),
                    "flipped_share": _mean(n.flips for n in group) / max(self.units, 1),
                    "W": _mean(n.W for n in group),
                    "W_largest": max(n.W for n in group),
                    "ledger": _mean(n.ledger for n in group),
                    "contributions": _mean(n.contributions for n in group),
                    "error": _mean(n.error for n in group),
                }
            )
        return rows


def stability(
    q: Question,
    *,
    shares: Sequence[float] = SHARES,
    directions: int = 3,
    seed: int = 0,
) -> Stability:
    """Linearise at growing distances from x and count the units that flip.

    Inside of the region of x nothing flips, and W and the ledger are the same; each flip is a step
    over the wall of one unit. In smooth models W changes without any.

    Parameters
    ----------
    q : Question
    shares : sequence of float
        Distances, relative to ``|x|`` (l2), or themselves where x is 0.
    directions : int
        Random directions, the same ones at every distance.
    seed : int
    """
    distances = real("shares", shares)
    if distances.ndim != 1 or not distances.size or distances.min() <= 0:
        raise OptionError(f"shares={shares!r}; expected positive distances, one or more.")
    whole("directions", directions, 1)
    rng = np.random.default_rng(whole("seed", seed))
    ways = rng.standard_normal((directions, len(q.x)))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    size = float(np.linalg.norm(q.x)) or 1.0
    pattern = Pattern(_decided(q.m), q.x)
    found = [_neighbour(q, pattern, q.x + share * size * way) for share in shares for way in ways]
    return Stability(tuple(found), directions, pattern.units, pattern.blind)


def _neighbour(q: Question, pattern: Pattern, x: Array) -> Neighbour:
    other = q.lin(q.fed(x), q.rows, dtype=np.float64)
    W, there = q.m.W[0], other.W[0]
    names = dict.fromkeys([*q.m.bias_by_node, *other.bias_by_node])
    shares = np.array([[float(m.bias_by_node.get(n, [0.0])[0]) for n in names]
                       for m in (q.m, other)])  # fmt: skip
    return Neighbour(
        distance=float(np.linalg.norm(other.x - q.x)),
        W=_relative(float(np.linalg.norm(there - W)), float(np.linalg.norm(W))),
        ledger=_relative(
            float(np.abs(np.diff(shares, axis=0)).sum()), float(np.abs(shares[0]).sum())
        ),
        contributions=_relative(
            float(np.linalg.norm(there * other.x - W * q.x)), float(np.linalg.norm(W * q.x))
        ),
        flipped=pattern.flipped(_decided(other), other.x),
        error=float(np.abs(other.y - q.m(other.x))[0]),
    )


def _relative(change: float, size: float) -> float:
    return change / size if size else float(change > 0)


def _mean(values: Iterator[float] | Iterator[int]) -> float:
    return float(np.mean([*values]))


def _decided(m: AffineMap) -> LinearProgram:
    made = m.made_from("stability()").decided
    assert made is not None, "maps with a program know how to make it in float64"
    return made()


class Pattern:
    """The piece that every unit is on at x.

    Parameters
    ----------
    program : LinearProgram
        At x, with its decisions.
    x : array (n_in,)
        A guard that the runtime has on the other side than float64 is moved to x, as in
        `onnxlin.readings.region.Region`.
    """

    def __init__(self, program: LinearProgram, x: Array) -> None:
        known = [d for d in program.decisions if not d.unknown]
        self.blind = tuple(d.node.name for d in program.decisions if d.unknown)
        self._walls = walls_of(program, known, x)
        finite = (_units(w, np.isfinite(w.low) | np.isfinite(w.high)) for w in self._walls)
        self.units = sum(int(units.sum()) for units in finite)

    def flipped(self, program: LinearProgram, x: Array) -> dict[str, int]:
        """Count units whose piece at x does not hold at another input, given its program."""
        values = program.forward(x, read_by(wall.bounds for wall in self._walls))
        found: dict[str, int] = {}
        for wall in self._walls:
            value = wall.bounds(stacked(wall.bounds, values))[0]
            beyond = int(_units(wall, (value < wall.low) | (value > wall.high)).sum())
            if beyond:
                node = wall.decision.node.name
                found[node] = found.get(node, 0) + beyond
        return found


def _units(wall: Wall, guards: Array) -> Array:
    """Whether any guard of a unit, such as those of the rivals in its window, is marked."""
    shape = wall.bounds.shape
    axes = tuple(range(len(shape) - wall.bounds.rivals, len(shape)))
    return np.asarray(np.broadcast_to(guards, shape).any(axis=axes))


def max_sensitivity(
    q: Question,
    explain: Callable[[Question], Attribution],
    *,
    radius: float = RADIUS,
    samples: int = 10,
    seed: int = 0,
) -> float:
    """Largest ``|explain(x') - explain(x)| / |explain(x)|`` (l2) among random x' near x.

    Parameters
    ----------
    q : Question
    explain : callable
        Such as `onnxlin.readings.attributions.gradients.gradient`.
    radius : float
        x' is drawn evenly from the box ``|x' - x| <= radius`` in every entry, in units of x.
    samples : int
    seed : int

    Source: Yeh et al., On the (In)fidelity and Sensitivity of Explanations, NeurIPS 2019.
    """
    if not number("radius", radius) > 0:
        raise OptionError(f"radius={radius}; expected a positive number.")
    whole("samples", samples, 1)
    rng, here = np.random.default_rng(whole("seed", seed)), explain(q).values
    changes = []
    for _ in range(samples):
        x = q.x + rng.uniform(-radius, radius, len(q.x))
        there = explain(Question(q.lin, q.fed(x), q.rows, geometry=q.geometry)).values
        changes.append(float(np.linalg.norm(there - here)))
    return _relative(max(changes), float(np.linalg.norm(here)))
