"""What is the same for all rows: which entries are live, and how cotangents go between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from onnxlin.engines.live.apart import apart
from onnxlin.engines.live.dense import Dense
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
from onnxlin.engines.seeds import Seeds
from onnxlin.primitives import Array, Chain, Conv, LinearMap
from onnxlin.program import LinearProgram, slices

# More rows make the products no faster.
MOST_ROWS = 1024


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
    def marks(self) -> dict[str, Array]:
        """The live entries of each tensor that has any, as masks."""
        taken = self.seeds.taken
        seeded = {
            name: taken[at].reshape(self.program.outputs[name])
            for name, at in slices(self.program.outputs)
        }
        marks = live_entries(self.chain, self.program.inputs, seeded)
        marks = widened(self.chain, marks, {*self.program.inputs, *seeded})
        return {name: mark for name, mark in marks.items() if mark.any()}

    @cached_property
    def places(self) -> dict[str, Places]:
        """Where the live entries of each tensor that has any are kept."""
        ranks = {len(op.in_shape) for link in self.chain for _, op in link.terms if _windowed(op)}
        return {n: Places.of(mark, pixels=mark.ndim in ranks) for n, mark in self.marks.items()}

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
        # Of each line its entry and its code, of each entry its line, and its mark.
        index = sum(16 * len(at) + 9 * prod(at.shape) for at in self.places.values())
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

        dtype = self.program.dtype
        for name, at in slices(self.program.outputs):
            if name in schedule.begins:
                seeded = self.seeds.lines(rows, at.start + places[name].flat, dtype)
                of(schedule.begins[name])[...] = seeded
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
    # What was gathered, or made, before it is added.
    own = 0 if into is None or isinstance(step, Windows | Moved | Masked) else into.lines
    return max(own, step.most) if isinstance(step, Groups | Dense) else own


def _windowed(op: LinearMap) -> bool:
    op = op.maps[-1] if isinstance(op, Chain) else op
    return isinstance(getattr(op, "base", op), Conv)
