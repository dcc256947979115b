"""What an attribution adds up to, and what rounding allows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.engines.forward import tangents
from onnxlin.engines.reverse import charge
from onnxlin.graph import Array
from onnxlin.program.rates import gamma, unit_roundoff
from onnxlin.program.roundoff import charges
from onnxlin.program.underflow import underflow
from onnxlin.readings.attributions.gradients import Sum
from onnxlin.readings.audit.map import Foreign
from onnxlin.readings.checks import UNIT, allowed, chosen
from onnxlin.readings.question.question import Question

SETTLED = ("exact", "constant", "expanded", "unrolled")


def sums_of(
    q: Question, foreign: Foreign, x0: Array, *, relative: bool
) -> tuple[tuple[Sum, ...], float]:
    """Compare the sum of a map with all that attributions add up to.

    Returns
    -------
    sums : tuple of Sum
        F(x), W x, F(x) - F(x0) and, if ``relative``, W (x - x0).
    made_here : float
        What rounding made of W x + b here, in the precision that the map may have had, and a
        rounding of every number.
    """
    total, size = float(foreign.values.sum()), float(np.abs(foreign.values).sum())
    m, start = (_at(q, feeds, foreign) for feeds in (q.feeds, q.fed(x0)))
    # Its numbers were rounded when they were written; here they are added up.
    own = (foreign.unit + gamma(len(foreign.values), UNIT)) * size
    here, there = (float(allowed(each, chosen(each, None))[0]) for each in (m, start))
    W = q.m.W[0].astype(np.float64)
    difference = q.y - float(start.y[0])
    found = [
        Sum("F(x)", q.y, total, own + here),
        Sum("W x", float(q.m.Wx[0]), total, own + _composing(m, q.x)),
        Sum("F(x) - F(x0)", difference, total, own + here + there),
    ]
    if relative:
        move = q.x - x0
        found.append(Sum("W (x - x0)", float(W @ move), total, own + _composing(m, move)))
    gaps = abs(float(m.Wx[0] - q.m.Wx[0])), abs(float(m.y[0] - m.Wx[0] - m.b[0]))
    numbers = unit_roundoff(m.dtype) * (size + abs(q.y) + float(m.scale[0]))
    return tuple(found), max(gaps) + numbers


def _at(q: Question, feeds: Mapping[str, Array], foreign: Foreign) -> AffineMap:
    """Return the map of the row, composed in the precision that the foreign one may have had.

    Tools compute gradients in the model's own, whatever they are written in.
    """
    double = foreign.unit <= UNIT and all(q.feeds[n].dtype == np.float64 for n in q.m.inputs)
    return q.lin(dict(feeds), q.rows, "reverse", np.float64 if double else np.float32)


def _composing(m: AffineMap, move: Array) -> float:
    """What rounding may make of ``W move`` where W is composed in the precision of m.

    As in docs/exactness.md, for a move in place of x: tensors are those that the move makes.
    Where a node is smooth its slope depends on the run, which rounds as well.
    """
    origin = m.made_from("audit()")
    program = origin.program
    if any(step.status not in SETTLED for step in program.steps):
        return float(allowed(m, chosen(m, None))[0])
    moved = tangents(program, move[None].astype(program.dtype))
    values = {name: value[0] for name, value in moved.items()}
    found = charge(origin.job, charges(program, values, native=False))[0, 0]
    adding = gamma(len(move) + 2, UNIT) * float(np.abs(m.W[0].astype(np.float64)) @ np.abs(move))
    return float(found) + underflow(program, values) + adding
