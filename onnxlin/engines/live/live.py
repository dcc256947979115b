"""All rows of W at once, through live entries alone."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, inf

import numpy as np

from onnxlin.engines.costs import planning
from onnxlin.engines.job import Job, Solution
from onnxlin.engines.live.merging import KEPT
from onnxlin.engines.live.plan import MOST_ROWS, Plan
from onnxlin.engines.live.threads import touched
from onnxlin.engines.reverse import constant_shares, fits, needed, refuse
from onnxlin.primitives import Array

# Plans of one job that are kept: of its rows, and of a few of them.
FEW = 2
# Parts that rows are swept in, at most, for the sake of a smaller arena; rows that each has.
PARTS, FEWEST = 4, 200
# Bytes of local Jacobians that are kept where the budget holds no more.
TIGHT = 2**26
# In a second: bytes of lines that are copied, entries weighed with biases, fresh bytes touched.
COPIED, CHARGED, TOUCHED = 2e9, 3e9, 1e9


def live(job: Job) -> Solution:
    """Sweep blocks of rows back through the live entries of every tensor.

    Raises
    ------
    MemoryBudgetError
        W and a sweep of one row do not fit the budget.
    """
    program, seeds = job.program, job.seeds
    plan = _planned(job)
    if not fits(job, plan.least):
        refuse(job, plan.least)
    # Lines of cotangents are columns of W: it is kept that way round, and handed on as a view.
    turned = touched(np.zeros((program.columns, len(seeds)), program.dtype))
    bias: dict[str, Array] = {}
    block = _at_once(job, plan)
    arena = touched(np.empty(plan.schedule.lines * block, program.dtype))
    for start in range(0, len(seeds), block):
        rows = slice(start, min(start + block, len(seeds)))
        shares = plan.sweep(rows, turned[:, rows], arena)
        for name, share in (shares | constant_shares(program, seeds, rows)).items():
            bias.setdefault(name, np.zeros(len(seeds)))[rows] += share
        job.report(rows.stop, len(seeds))
    # What a plan keeps may be as large as the model.
    job.plans.clear()
    return Solution(turned.T, bias)


def estimate(job: Job) -> int:
    """Bytes that `live` takes in all, with what is there already."""
    asked, plan = bool(job.plans), _planned(job)
    if not asked:  # nobody is about to sweep
        job.plans.clear()
    return needed(job, plan.standing) + _at_once(job, plan) * plan.a_row


def seconds(job: Job) -> float:
    """Estimate how long `live` takes: a plan, products, lines that are copied and weighed, and W.

    The plan is there by now; but so it is at each further x, if this is who answers. Measured
    against nets: mostly within a quarter. Infinite where not even a row fits the budget.
    """
    plan = _planned(job)
    if not fits(job, plan.least):
        return inf
    return _seconds(job, plan) + planning(job.program)


def alive(job: Job) -> float:
    """Part of the multiplications of a sweep that live entries take.

    As far as their number on either side of each map tells: that is known before any plan.
    """
    plan = _of(job)
    part = {name: float(mark.mean()) for name, mark in plan.marks.items()}
    each = [
        (op.nnz, part.get(name, 0) * part.get(link.output, 0))
        for link in plan.chain
        for name, op in link.terms
    ]
    return sum(nnz * share for nnz, share in each) / max(sum(nnz for nnz, _ in each), 1)


def _planned(job: Job) -> Plan:
    """The plan; nothing is merged where the budget does not hold what that takes, or few rows."""
    plan = _of(job)
    if plan.merged is None:
        return plan
    tried = []
    for kept in (KEPT, TIGHT, 0):
        other = plan if kept == plan.merging else _with(plan, kept)
        if fits(job, other.least) or not kept:
            tried.append(other)
            if _most(job, other) == min(len(job.seeds), MOST_ROWS):
                break
    return min(tried, key=lambda each: _seconds(job, each))


def _with(plan: Plan, kept: int) -> Plan:
    """The plan with so many bytes of local Jacobians; what takes long to find is the same."""
    other = replace(plan, merging=kept)
    vars(other).update({name: vars(plan)[name] for name in ("chain", "places", "each")})
    merged = plan.merged
    vars(other)["merged"] = replace(merged, kept=kept) if kept and merged is not None else None
    return other


def _of(job: Job) -> Plan:
    """The plan of a job's rows, made once for all who ask until W is there."""
    key = id(job.program), id(job.seeds)  # both live as long as the plan: no other has their ids
    if key not in job.plans:
        while len(job.plans) >= FEW:
            del job.plans[next(iter(job.plans))]
        job.plans[key] = Plan(job.program, job.seeds)
    found: Plan = job.plans[key]
    return found


def _seconds(job: Job, plan: Plan) -> float:
    rows, item = len(job.seeds), job.program.dtype.itemsize
    moved = plan.schedule.copied * item / COPIED + plan.schedule.charged / CHARGED
    own = moved + job.program.columns * item / TOUCHED
    return _swept(job, plan, _at_once(job, plan)) + rows * own


def _swept(job: Job, plan: Plan, block: int) -> float:
    """Seconds of all products, so many rows at once, and of the first touch of their arena."""
    each = sum(step.seconds(block) for _, terms in plan.pulls for _, step in terms)
    arena = plan.schedule.lines * block * job.program.dtype.itemsize
    return ceil(len(job.seeds) / block) * each + arena / TOUCHED


def _at_once(job: Job, plan: Plan) -> int:
    """Rows of one sweep: of those numbers that the budget lets it, the quickest.

    The more rows, the fewer products, and the more memory that is touched for the first time.
    """
    rows = max(len(job.seeds), 1)
    least = ceil(rows / _most(job, plan))
    blocks = [ceil(rows / parts) for parts in range(least, least + PARTS)]
    some = [blocks[0], *(block for block in blocks[1:] if block >= FEWEST)]
    return min(some, key=lambda block: _swept(job, plan, block))


def _most(job: Job, plan: Plan) -> int:
    """As many rows as the budget lets one sweep take."""
    left = job.memory - needed(job, plan.standing)
    return max(min(left // max(plan.a_row, 1), len(job.seeds), MOST_ROWS), 1)
