"""All rows of W at once, through live entries alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, inf, prod

import numpy as np

from onnxlin.engines.job import Job, Solution
from onnxlin.engines.live.apart import apart
from onnxlin.engines.live.ends import charge, copied, put, sent
from onnxlin.engines.live.fold import fold
from onnxlin.engines.live.grouped import Groups
from onnxlin.engines.live.lines import Blocks
from onnxlin.engines.live.links import Link, links
from onnxlin.engines.live.liveness import live_entries, widened
from onnxlin.engines.live.merging import KEPT, Merged, best, merged_in
from onnxlin.engines.live.places import Places
from onnxlin.engines.live.pulls import Masked, Moved, Pull, Sparse, pull
from onnxlin.engines.live.schedule import Buffer, Schedule
from onnxlin.engines.live.windows import Windows
from onnxlin.engines.reverse import constant_shares, fits, needed, refuse
from onnxlin.engines.seeds import Seeds
from onnxlin.primitives import Array, Chain, Conv, LinearMap
from onnxlin.program import LinearProgram, slices

# More rows make the products no faster.
MOST_ROWS = 1024
# Plans of one job that are kept: of its rows, and of a few of them.
FEW = 2
# Bytes of local Jacobians that are kept where the budget holds no more.
TIGHT = 2**26
# In a second: bytes of lines that are copied, entries weighed with biases, fresh bytes of W.
COPIED, CHARGED, TOUCHED = 2e9, 1.5e9, 1.5e9


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
    turned = np.zeros((program.columns, len(seeds)), program.dtype)
    bias: dict[str, Array] = {}
    block = _at_once(job, plan)
    arena = np.empty(plan.schedule.lines * block, program.dtype)
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
    """Estimate how long `live` takes: products, lines that are copied and weighed, and W.

    Without the plan, which is there. Measured against nets: mostly within a quarter. Infinite where
    not even a row fits the budget.
    """
    plan = _planned(job)
    if not fits(job, plan.least):
        return inf
    return _seconds(job, plan)


def alive(job: Job) -> float:
    """Part of the multiplications of a sweep that live entries take.

    As far as their number on either side of each map tells: that is known before any plan.
    """
    plan = _of(job)
    part = {name: len(at) / max(prod(at.shape), 1) for name, at in plan.places.items()}
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
            if _at_once(job, other) == min(len(job.seeds), MOST_ROWS):
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
    block, rows, schedule = _at_once(job, plan), len(job.seeds), plan.schedule
    each = sum(step.seconds(block) for _, terms in plan.pulls for _, step in terms)
    item = job.program.dtype.itemsize
    moved = schedule.copied * item / COPIED + schedule.charged / CHARGED
    return ceil(rows / block) * each + rows * (moved + job.program.columns * item / TOUCHED)


def _at_once(job: Job, plan: Plan) -> int:
    """Rows of one sweep: as many as the budget lets it."""
    left = job.memory - needed(job, plan.standing)
    return max(min(left // max(plan.a_row, 1), len(job.seeds), MOST_ROWS), 1)


@dataclass(frozen=True, eq=False)
class Plan:
    """What is the same for all rows: the live entries, and how cotangents go between them.

    Parameters
    ----------
    program : LinearProgram
    seeds : Seeds
    merging : int
        Bytes of local Jacobians that a merge may keep at once; 0 for none.
    """

    program: LinearProgram
    seeds: Seeds
    merging: int = KEPT

    @cached_property
    def chain(self) -> list[Link]:
        """The program's maps, one by one."""
        return fold(apart(links(self.program)), self.program.outputs)

    @cached_property
    def places(self) -> dict[str, Places]:
        """Where the live entries of each tensor that has any are kept."""
        taken = self.seeds.taken
        seeded = {
            name: taken[at].reshape(self.program.outputs[name])
            for name, at in slices(self.program.outputs)
        }
        marks = live_entries(self.chain, self.program.inputs, seeded)
        marks = widened(self.chain, marks, {*self.program.inputs, *seeded})
        ranks = {len(op.in_shape) for link in self.chain for _, op in link.terms if _windowed(op)}
        return {
            name: Places.of(mark, pixels=mark.ndim in ranks)
            for name, mark in marks.items()
            if mark.any()
        }

    @cached_property
    def merged(self) -> Merged | None:
        """The stretch that is merged."""
        rows = min(len(self.seeds), MOST_ROWS)
        if not self.merging:
            return None
        program, columns = self.program, dict(slices(self.program.inputs))
        each, places, outputs = self.each, self.places, program.outputs
        found = best(each, places, columns, outputs, dtype=program.dtype, rows=rows)
        return None if found is None else replace(found, kept=self.merging)

    @cached_property
    def pulls(self) -> list[tuple[Link, list[tuple[str, Pull]]]]:
        """Last link first: where its cotangents go."""
        return self.each if self.merged is None else merged_in(self.each, self.merged)

    @cached_property
    def each(self) -> list[tuple[Link, list[tuple[str, Pull]]]]:
        """Every link by itself."""
        places, found = self.places, []
        rows = min(len(self.seeds), MOST_ROWS)
        for link in reversed(self.chain):
            if link.output in places:
                source = places[link.output]
                terms = [
                    (name, pull(op, source, places[name], self.program.dtype, rows))
                    for name, op in link.terms
                    if name in places
                ]
                found.append((link, terms))
        return found

    @cached_property
    def standing(self) -> int:
        """Bytes of what says where lines are, and of tables of kernels."""
        # Of each line its entry and its code, of each entry its line.
        index = sum(16 * len(at) + 8 * prod(at.shape) for at in self.places.values())
        boxes = 0 if self.merged is None else self.merged.bytes
        tables = (
            step.table_bytes
            for _, terms in self.pulls
            for _, step in terms
            if isinstance(step, Windows | Groups | Sparse | Blocks)
        )
        return index + boxes + sum(tables)

    @property
    def least(self) -> int:
        """Bytes without which there is not even one row."""
        return self.standing + self.a_row

    @cached_property
    def schedule(self) -> Schedule:
        """Where cotangents lie while a sweep goes on."""
        return Schedule(self.pulls, self.places, self.program.outputs)

    @cached_property
    def a_row(self) -> int:
        """Bytes that one row of a sweep needs at its widest."""
        inside = 0
        for turn in self.schedule.turns:
            for send in turn.sends:
                inside = max(inside, _inside(send.step, send.into))
        return (self.schedule.lines + inside) * self.program.dtype.itemsize

    def sweep(self, rows: slice, out: Array, arena: Array) -> dict[str, Array]:
        """Sweep some rows; put W', ``(columns, k)``, into ``out`` and return shares of b.

        Parameters
        ----------
        arena : array (lines of the schedule * k or more,)
            With anything in it.
        """
        places, schedule, k = self.places, self.schedule, out.shape[1]

        def of(buffer: Buffer) -> Array:
            part = arena[buffer.start * k : (buffer.start + buffer.lines) * k]
            return part.reshape(buffer.lines, k)

        dense = self.seeds.dense(rows, self.program.dtype)
        for name, at in slices(self.program.outputs):
            if name in schedule.begins:
                of(schedule.begins[name])[...] = dense[:, at].T[places[name].flat]
        shares: dict[str, Array] = {}
        for turn in schedule.turns:
            arrived = of(turn.arrived)
            charge(turn.link, places[turn.link.output], arrived, shares)
            for send in turn.sends:
                into = out if send.into is None else of(send.into)
                if send.copied is not None:
                    copied(of(send.copied), into)
                sent(send.step, arrived, into, shares, fresh=send.fresh)
        for name, at in slices(self.program.inputs):
            if name in schedule.ends:
                lines = of(schedule.ends[name])
                put(out[at], places[name].flat, lines, add=self.merged is not None)
        return shares


def _inside(step: Pull, into: Buffer | None) -> int:
    """Lines that a pull holds beside those that it reads and writes."""
    if isinstance(step, Merged):
        return step.lines
    if isinstance(step, Groups):
        return step.most
    # What was gathered, or made, before it is added.
    return 0 if into is None or isinstance(step, Windows | Moved | Masked) else into.lines


def _windowed(op: LinearMap) -> bool:
    last = op.maps[-1] if isinstance(op, Chain) else op
    return isinstance(getattr(last, "base", last), Conv)
