"""Integrated Gradients: exact, and by sums over samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxlin.engines.job import Progress
from onnxlin.graph import Array
from onnxlin.program.rates import gamma
from onnxlin.readings.attributions.gradients import AT_ONCE, Attribution, Sum
from onnxlin.readings.checks import UNIT, allowed, chosen
from onnxlin.readings.path import PIECES, walk
from onnxlin.readings.question.question import Question, Reference, name_of
from onnxlin.section.options import one_of, whole

RULES = ("left", "right", "midpoint", "trapezoid")


def integrated_gradients(
    q: Question,
    baseline: Reference = "zero",
    *,
    pieces: int = PIECES,
    progress: Progress | None = None,
) -> Attribution:
    """Integrated Gradients from a baseline x0, exact: a sum over all pieces of the way.

    Parameters
    ----------
    q : Question
    baseline : see `Question.reference`
    pieces : int
        How many there may be.
    progress : callable, optional

    Returns
    -------
    Attribution
        Its sum is F(x) - F(x0), which is checked; less what a function that jumps jumps, at the
        ends, too.

    Raises
    ------
    RegionError
        The model is smooth, or has too many pieces on the way: see `sampled_gradients`.
    ResidualError

    Source: Sundararajan, Taly, Yan, Axiomatic Attribution, ICML 2017; exactly by Sotoudeh, Thakur,
    Computing Linear Restrictions of Neural Networks, NeurIPS 2019.
    """
    x0 = q.reference(baseline)
    how: dict[str, Any] = {"samples": (), "pieces": pieces, "progress": progress}
    path = walk(q.lin, q.fed(x0), q.feeds, rows=q.rows, integrate=0, **how)
    found = path.integrated
    assert found is not None
    jumps = float(path.jump[0])
    # Of a continuous model the jumps are roundings.
    what = "F(x) - F(x0)" + " - jumps" * (abs(jumps) > found.bound)
    values = found.attributions
    total = Sum(what, found.total - jumps, float(values.sum()), found.bound)
    asked = {"baseline": name_of(baseline), "pieces": len(path)}
    return Attribution("Integrated Gradients", values, q.name, q.m.shapes[0], asked, total)


def sampled_gradients(
    q: Question,
    baseline: Reference = "zero",
    *,
    samples: int = 50,
    rule: str = "midpoint",
) -> Attribution:
    """Integrated Gradients as most tools compute them: a mean over gradients on the way.

    Parameters
    ----------
    q : Question
    baseline : see `Question.reference`
    samples : int
        Gradients to compute; "trapezoid" needs two at least.
    rule : {"left", "right", "midpoint", "trapezoid"}
        Where on the way: at the beginnings, ends or middles of equal steps, or at both ends of
        all steps with half the weight for the first and the last.

    Returns
    -------
    Attribution
        ``sums.gap`` is what the samples miss of F(x) - F(x0).
    """
    t, weights = _points(samples, rule)
    x0 = q.reference(baseline)
    move, total = q.x - x0, np.zeros(len(q.x))
    most = max(AT_ONCE // max(len(q.x), 1), 1)
    for start in range(0, len(t), most):
        part = slice(start, start + most)
        total += weights[part] @ q.gradients(x0 + t[part, None] * move)
    values = total * move
    asked = {"baseline": name_of(baseline), "samples": len(t), "rule": rule}
    promised = Sum("F(x) - F(x0)", *_difference(q, x0, values))
    return Attribution(
        "sampled Integrated Gradients", values, q.name, q.m.shapes[0], asked, promised
    )


def _points(samples: int, rule: str) -> tuple[Array, Array]:
    """Parameters of the way, 0 at x0, and the weights that their gradients have."""
    one_of("rule", rule, RULES)
    whole("samples", samples, 2 if rule == "trapezoid" else 1)
    if rule == "trapezoid":
        weights = np.full(samples, 1.0)
        weights[[0, -1]] = 0.5
        return np.linspace(0, 1, samples), weights / (samples - 1)
    offset = {"left": 0.0, "right": 1.0, "midpoint": 0.5}[rule]
    return (np.arange(samples) + offset) / samples, np.full(samples, 1 / samples)


def _difference(q: Question, x0: Array, values: Array) -> tuple[float, float, float]:
    """F(x) - F(x0), the sum of values, and what rounding may put between two such numbers."""
    start = q.lin(q.fed(x0), q.rows, dtype=np.float64)
    bound = sum(float(allowed(m, chosen(m, None))[0]) for m in (q.m, start))
    bound += gamma(len(values) + 2, UNIT) * float(np.abs(values).sum())
    return q.y - float(start.y[0]), float(values.sum()), bound
