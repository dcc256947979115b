"""Every engine gives the same W and b."""

from __future__ import annotations

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.engines.costs import A_NODE, A_PRODUCT, A_STEP, interpreted, opening
from onnxlin.engines.explicit import estimate
from onnxlin.errors import MemoryBudgetError, OptionError
from onnxlin.graph import Array
from onnxlin.program import LinearProgram
from onnxlin.testing.bounds.composing import made_anew, of_biases, of_directions, of_joining
from onnxlin.testing.bounds.departures import inconsistent
from onnxlin.testing.laws.alone import lowered_wrongly
from onnxlin.testing.laws.subject import Feeds, Subject
from onnxlin.testing.verdicts import LawError, NotApplicable, worst

EPS = float(np.finfo(np.float64).eps)
# What is affordable: bytes and entries of matrices, seconds by the planner's estimates.
EXPLICIT_BYTES, EXPLICIT_ENTRIES, SECONDS = 2**28, 20_000_000, 2.0
# Seconds, likewise.
COMPILING = 10.0
# Of each sort of directions.
COLUMNS = 2

OTHERS = ("explicit", "forward", "live", "cut")
"""Engines that interpret the program as ``reverse`` does."""


def engines(subject: Subject, feeds: Feeds, mode: str) -> None:
    """W and b of ``reverse`` and of each engine that is affordable, within composing twice.

    Compared are the columns in which the two differ most, some others, and for what sweeps from the
    outputs also W times random vectors. ``compiled`` must besides have the F(x) of the model's own
    run, as its y and as its W x + b. That is all it is held to where the model has operators that
    are opened into bodies (LSTM, attention): it computes the gates inside of them anew, other
    roundings give other coefficients, and no bound for these has been derived.
    """
    m = subject.map(feeds, mode, np.float64, "reverse")
    program = m.made_from("the law").program
    others = [name for name in OTHERS if _affordable(name, program, len(m.rows))]
    for name in others:
        _assert_same(m, subject.map(feeds, mode, np.float64, name), mode, program)
    compiled = _compiled(subject, feeds, mode, len(program.steps))
    if isinstance(compiled, AffineMap):
        try:
            _assert_compiled(compiled, subject.map(feeds, mode, compiled.dtype, "reverse"), mode)
        except LawError as error:
            node = error.node or lowered_wrongly(subject, feeds, mode)
            raise LawError("engines", mode, error.expected, error.found, node) from error
    elif not others:
        raise NotApplicable(f"no second engine is affordable: {compiled}")


def _affordable(engine: str, program: LinearProgram, rows: int) -> bool:
    if engine == "explicit":
        small = estimate(program, rows) <= EXPLICIT_BYTES
        return small and program.nnz <= EXPLICIT_ENTRIES
    if engine in ("live", "cut"):
        return interpreted(program, rows) + opening(program) <= SECONDS
    columns = program.columns + len(program.steps)
    sweeps = -(-columns // 64)
    return A_PRODUCT * columns * program.nnz + A_STEP * sweeps * len(program.steps) <= SECONDS


def _compiled(subject: Subject, feeds: Feeds, mode: str, steps: int) -> AffineMap | str:
    """Return the map of the compiled engine, or why there is none."""
    if steps * A_NODE > COMPILING:
        return f"compiling {steps} nodes takes too long"
    try:
        return subject.map(feeds, mode, engine="compiled")
    except (OptionError, MemoryBudgetError) as error:
        return str(error)


def _assert_compiled(m: AffineMap, near: AffineMap, mode: str) -> None:
    """W x + b and y of the compiled graph are the model's own F(x); W and b are those of sweeps."""
    found = worst(m.Wx + m.b, m.own_y, m.bound * m.scale)
    expected = "W x + b, from the compiled graph, = F(x) of the model's own run"
    if not found:
        found = worst(m.y, m.own_y, 2 * m.bound * m.scale)
        expected = "y of the compiled graph = F(x) of the model's own run"
    if found:
        raise LawError("engines", mode, expected, found, m.first_departure())
    made = near.made_from("the law")
    if not any(step.inner and step.varies for step in made.program.steps):
        _assert_same(near, m, mode, made_anew(made.program, made.values))


def _assert_same(m: AffineMap, other: AffineMap, mode: str, sized: LinearProgram) -> None:
    """``m`` is the one by adjoint sweeps."""
    program = m.made_from("the law").program
    gap = other.W.astype(np.float64) - m.W.astype(np.float64)
    directions = telling_directions(gap, np.abs(m.W), random=other.engine != "forward")
    allowed = 2 * of_directions(program, m.rows, directions, sized)
    allowed += 2 * len(m.x) * EPS * (np.abs(m.W) @ np.abs(directions.T))
    biases = 2 * of_biases(program, m.rows, sized)
    if other.engine == "cut":
        joined = of_joining(program, m.rows, directions)
        allowed, biases = allowed + joined[0], biases + joined[1]
    expected = "{} of engine='" + other.engine + "' = {} of engine='reverse'"
    for what, ours, theirs, room in (
        ("W v", other.W @ directions.T, m.W @ directions.T, allowed),
        ("b", other.b, m.b, biases),
    ):
        if found := worst(ours.astype(np.float64), theirs.astype(np.float64), room):
            node = inconsistent(program)
            raise LawError("engines", mode, expected.format(what, what), found, node)


def telling_directions(gap: Array, size: Array, *, random: bool) -> Array:
    """Columns in which two matrices differ most, others, and random vectors: ``(k, columns)``."""
    columns = gap.shape[1]
    rng = np.random.default_rng(0)
    most = np.abs(gap).max(axis=0, initial=0) if len(gap) else np.zeros(columns)
    share = most / (size.max(axis=0, initial=0) + np.finfo(np.float64).tiny)
    chosen = [*np.argsort(-most)[:COLUMNS], *np.argsort(-share)[:COLUMNS]]
    chosen += [*rng.integers(0, columns, COLUMNS)] if columns else []
    units = np.zeros((len(dict.fromkeys(chosen)), columns))
    units[np.arange(len(units)), [*dict.fromkeys(chosen)]] = 1
    many = rng.standard_normal((COLUMNS if random else 0, columns))
    return np.concatenate([units, many])
