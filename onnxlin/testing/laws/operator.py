"""Two laws of one program: the operator without W, and the shares of b."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.engines.job import Job
from onnxlin.engines.reverse import charge
from onnxlin.engines.seeds import Seeds
from onnxlin.graph import Array
from onnxlin.program import LinearProgram
from onnxlin.program.roundoff import charges
from onnxlin.program.underflow import underflow
from onnxlin.testing.bounds.composing import MEMORY, at_nothing, of_directions
from onnxlin.testing.bounds.departures import inconsistent
from onnxlin.testing.laws.subject import Feeds, Subject
from onnxlin.testing.verdicts import LawError, worst

Shares = Mapping[str, Any]
EPS = float(np.finfo(np.float64).eps)
DRAWS = 2
POWERS = (0.25, 0.5, 1.0, 2.0, 4.0)


def operator(subject: Subject, feeds: Feeds, mode: str) -> None:
    """``<y, W x> = <W* y, x>``, and ``operator() @ x`` is W times x, within composing."""
    m = subject.map(feeds, mode, np.float64, "reverse")
    program = m.made_from("the law").program
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((DRAWS, len(m.x))), rng.standard_normal((DRAWS, len(m.rows)))
    op = m.operator()
    pushed, pulled = op @ x.T, op.H @ y.T
    allowed = 2 * of_directions(program, m.rows, x)
    # The dot products themselves, with columns and with rows, round in float64 too.
    allowed += 2 * (len(m.x) + len(m.rows)) * EPS * (np.abs(m.W) @ np.abs(x.T))
    allowed += 2 * len(m.x) * EPS * np.abs(pushed)
    left, right = np.sum(y.T * pushed, axis=0), np.sum(pulled * x.T, axis=0)
    dots = np.sum(np.abs(y.T) * allowed, axis=0)
    for expected, ours, theirs, room in (
        ("operator() @ v = W v", pushed, m.W @ x.T, allowed),
        ("<y, W x> = <W* y, x> for operator()", left, right, dots),
    ):
        if found := worst(ours, theirs, room):
            raise LawError("operator", mode, expected, found, inconsistent(program))


def ledger(subject: Subject, feeds: Feeds, mode: str) -> None:
    """The shares sum to b; weighted node by node they are what the weighted biases give.

    Weights are powers of two, which round nothing; they differ from node to node, so that what is
    entered under another node's name shows.
    """
    m = subject.map(feeds, mode, np.float64, "reverse")
    total = sum(m.bias_by_node.values(), start=np.zeros(len(m.rows)))
    if found := worst(m.b, total, np.zeros(len(m.rows))):
        raise LawError("ledger", mode, "b = the sum of bias_by_node", found, None)
    program = m.made_from("the law").program
    names = [step.node.name for step in program.steps] + [*program.constants]
    if unknown := sorted(set(m.bias_by_node) - set(names)):
        found = f"a share of b for {unknown[0]!r}, which is no node of the program"
        raise LawError("ledger", mode, "shares of b belong to nodes", found, None)
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        weights = dict(zip(names, rng.choice(POWERS, len(names)), strict=True))
        if found := _unlike(program, m.rows, m.bias_by_node, weights):
            expected = "shares of b, each times a weight = what the weighted biases give"
            node = inconsistent(program) or _wrong_share(m, program, names)
            raise LawError("ledger", mode, expected, found, node)


def _wrong_share(m: AffineMap, program: LinearProgram, names: Sequence[str]) -> str | None:
    """Name the first node whose share is not what its bias gives by itself."""
    for name in dict.fromkeys(names):
        alone = {other: float(other == name) for other in names}
        if found := _unlike(program, m.rows, m.bias_by_node, alone):
            return f"the share of b of node {name!r}, {found}"
    return None


def _unlike(program: LinearProgram, rows: Seeds, shares: Shares, weights: Shares) -> str | None:
    weighted = _weighted(program, weights)
    at = at_nothing(weighted)
    whole = rows.apply(weighted.output(at))
    parts = [weights[name] * share for name, share in shares.items()]
    total = sum(parts, start=np.zeros(len(rows)))
    errors = charges(weighted, at, native=False)
    allowed = charge(Job(program, rows, MEMORY), errors)[0] + underflow(weighted, at)
    size: Array = sum((np.abs(part) for part in parts), start=np.zeros(len(rows)))
    allowed += 2 * len(parts) * EPS * size
    return worst(total, whole, allowed)


def _weighted(program: LinearProgram, weights: Shares) -> LinearProgram:
    steps = tuple(
        step
        if step.bias is None
        else replace(
            step,
            bias=step.bias * weights[step.node.name],
            bias_size=None if step.bias_size is None else step.bias_size * weights[step.node.name],
        )
        for step in program.steps
    )
    constants = {name: value * weights[name] for name, value in program.constants.items()}
    return replace(program, steps=steps, constants=constants)
