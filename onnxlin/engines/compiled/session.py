"""A compiled section opened by onnxruntime, and rows of W from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import onnx

from onnxlin.engines.blocks import block_of
from onnxlin.engines.compiled.compile import Compiled
from onnxlin.engines.compiled.dropped import drop_output
from onnxlin.engines.job import Columns, Progress, Solution
from onnxlin.engines.memory import enough, mib, or_save
from onnxlin.engines.seeds import Seeds
from onnxlin.errors import MemoryBudgetError
from onnxlin.graph import Array
from onnxlin.graph.weights import MOST_INSIDE, fed, filled
from onnxlin.load import NEWEST_RUNNABLE
from onnxlin.lowering import NotStaticError
from onnxlin.runtime import session as door
from onnxlin.runtime.providers import DEFAULT, Providers
from onnxlin.runtime.referring import opened
from onnxlin.section.widened import wide

# Times what rows take, where many are swept at once: onnxruntime's arena is not filled closely.
HOLES = 1.25
# Most rows at once: more make the products no faster, and fall out of the cache.
MOST_ROWS = 64
# Multiplications at a node below which a second thread costs more than it helps; a graph for any
# number of rows is judged by those of this many.
WORTH_A_THREAD, SOME_ROWS = 2**16, 16
# Entries of cotangents that are worth keeping from one call to the next.
FEW = 2**14


class Answer(NamedTuple):
    """What one x gave.

    Parameters
    ----------
    solution : Solution
    values : {tensor name: array}
        The section's inputs and outputs as the graph has them.
    """

    solution: Solution
    values: Mapping[str, Array]


class Raw(NamedTuple):
    """W and shares of all rows asked, and the section's ends."""

    W: Array
    shares: Array
    values: Mapping[str, Array]


class Runner:
    """An open session of a compiled section.

    Parameters
    ----------
    compiled : Compiled
    options : onnxruntime.SessionOptions, optional
        Threads and the like; by default onnxruntime's own.
    threads : int
        Without options, where a node is worth some; 0 for onnxruntime's own number.
    providers : Providers

    Attributes
    ----------
    notes : tuple of str
        What the providers took, where some were asked for.
    standing : int
        Bytes that it takes for as long as it is open.

    Raises
    ------
    NotStaticError
        onnxruntime has no kernel for something in the graph.
    """

    def __init__(
        self,
        compiled: Compiled,
        options: door.SessionOptions | None = None,
        threads: int = 0,
        providers: Providers = DEFAULT,
    ) -> None:
        self.compiled = compiled
        ends = (*compiled.outputs, *compiled.further)
        # An output that is an input is not asked for: some onnxruntimes answer with its memory.
        self._given = [name for name in ends if name in compiled.feeds]
        self._ends = [name for name in ends if name not in compiled.feeds]
        self._wanted = [*self._ends, compiled.rows, *([compiled.shares] if compiled.nodes else [])]
        size = compiled.size
        self._each = compiled.row_bytes if size is None else size.row
        self.standing = 0 if size is None else size.standing
        self._line = compiled.columns * compiled.dtype.itemsize
        # What the latest call has asked and what it took, for the next one.
        self._asked: tuple[Seeds | None, Array] = None, np.zeros(0)
        self._planned: tuple[Any, tuple[str, int]] = None, ("", 0)
        model: Any = compiled.model
        if not compiled.nodes:
            # Of no biases there are no shares: some runtimes fail at tensors of no entries.
            model = onnx.ModelProto.FromString(model.SerializeToString())
            drop_output(model.graph, compiled.shares)
        self._fed: Mapping[str, Array] = {}
        # What a run is fed is copied by no optimiser; but to a provider's own memory, in each run.
        fewer = compiled.lean if providers.on_cpu else ()
        lean = {n: a for n, a in compiled.weights.items() if n in fewer}
        inside = {n: a for n, a in compiled.weights.items() if n not in lean}
        if lean:
            aligned = {n: np.require(array, requirements="A") for n, array in lean.items()}
            model, self._fed = fed(model, lean), aligned
        # Options of the caller's may serve other sessions as well: nothing is added to them.
        theirs = options is not None and sum(a.nbytes for a in inside.values()) <= MOST_INSIDE
        options = options or _options(compiled, threads)
        try:
            if theirs:
                whole = partial(filled, model, inside)
                self._session = door.opened(whole, options, providers, rounds=compiled.rounds)
            else:
                self._session = opened(model, options, inside, providers, rounds=compiled.rounds)
        except (*door.MESSAGES, ValueError) as error:
            raise NotStaticError(
                f"onnxruntime cannot open the compiled graph: {door.said(error)} (onnxruntime "
                f"{door.VERSION}, operator set {NEWEST_RUNNABLE})"
            ) from error
        ran = providers.ran(self._session)
        self.notes = () if ran is None else (ran.said("the compiled graph"),)

    def __call__(
        self,
        feeds: Mapping[str, Array],
        seeds: Seeds,
        memory: int,
        progress: Progress | None = None,
    ) -> Answer:
        """Compute the rows at one x, so many at once as memory allows."""
        W, shares, values = self.raw(feeds, seeds, memory, progress)
        bias = Columns(self.compiled.nodes, shares.astype(np.float64))
        return Answer(Solution(W, bias), {**feeds, **values})

    def raw(
        self,
        feeds: Mapping[str, Array],
        seeds: Seeds,
        memory: int,
        progress: Progress | None = None,
    ) -> Raw:
        """Return what the graph makes, its rows put together."""
        dtype, total = self.compiled.dtype, len(seeds)
        size = self._chunk(memory - self._beside(total), total)
        if 0 < total <= size:
            found = self.once(feeds, self._dense(seeds))
            if progress is not None:
                progress(total, total)
            return found
        # Of equal sizes, so that each finds the memory of the one before.
        size = -(-total // -(-total // size)) if total else size
        values: dict[str, Array] = {}
        for start in range(0, max(total, 1), size):
            at = slice(start, min(start + size, total))
            asked = seeds.dense(at, dtype)
            if not total:  # some kernels take no empty stack: one row is asked for and left out
                asked = np.zeros((1, asked.shape[1]), dtype)
            found = self.once(feeds, asked)
            values |= found.values
            if start == 0:
                parts = found.W, found.shares
                W, shares = (np.empty((total, *part.shape[1:]), dtype) for part in parts)
            W[at], shares[at] = found.W[:total], found.shares[:total]
            if progress is not None:
                progress(at.stop, total)
        return Raw(W, shares, values)

    def once(self, feeds: Mapping[str, Array], asked: Array) -> Raw:
        """Run once, with rows as cotangents ``(k, n_out)``; see `at_once`."""
        compiled = self.compiled
        # As short as it can be: after a run little of Python is in the processor's caches.
        feeds = wide(feeds) if compiled.widened else feeds
        given = {**feeds, **self._fed, compiled.seeds: asked}
        found = door.run(self._session, self._wanted, given)
        values = dict(zip(self._ends, found, strict=False))
        for name in self._given:
            values[name] = feeds[name]
        if not compiled.nodes:
            found.append(np.zeros((len(asked), 0), compiled.dtype))
        return Raw(found[-2].reshape(len(asked), compiled.columns), found[-1], values)

    def at_once(self, seeds: Seeds, memory: int) -> Array | None:
        """Return rows as cotangents that one run takes; None where they are many."""
        total = len(seeds)
        if not 0 < total <= self._chunk(memory - self._beside(total), total):
            return None
        found = self._dense(seeds)
        return found if self._asked[0] is seeds else None

    def _dense(self, seeds: Seeds) -> Array:
        """All of the rows as cotangents; few of them are kept for a call that asks the same."""
        kept, asked = self._asked
        if kept is not seeds:
            asked = seeds.dense(slice(None), self.compiled.dtype)
            if asked.size <= FEW:
                self._asked = seeds, asked
        return asked

    def plan(self, total: int, memory: int) -> tuple[str, int]:
        """Say what this graph is and what so many rows will take; and the bytes of it all."""
        key = total, memory
        known, found = self._planned
        if known != key:  # free memory is looked at twice a second
            at_once = min(self._chunk(memory - self._beside(total), total), max(total, 1))
            why = (
                f"the model is compiled for these shapes; {at_once} rows at once, "
                f"{self._each / 2**20:,.1f} MiB each, beside {mib(self._beside(total))}"
            )
            found = why, self._beside(total) + at_once * self._each
            self._planned = key, found
        return found

    def least(self, total: int) -> int:
        """Bytes that so many rows take if they are swept one by one."""
        return self._beside(total) + self._each

    def block(self, total: int, memory: int) -> int:
        """Rows of W, of so many, to have in memory at once where they go to a file."""
        left = memory - self.standing
        fits = lambda rows: self.least(rows) <= memory
        return block_of(total, left, self._line, MOST_ROWS, fits)

    def serves(self, dtype: np.dtype[Any] | None) -> bool:
        """Whether W comes in this precision."""
        # NumPy takes None for float64 when it compares types.
        return dtype is None or dtype == self.compiled.dtype

    def _beside(self, total: int) -> int:
        """Bytes that do not depend on how many rows are swept at once: of W and of the session."""
        return self.standing + total * self._line

    def _chunk(self, memory: int, total: int) -> int:
        """Rows at once, of so many."""
        need = self._each
        if need > memory:
            budget = memory + self._beside(total)
            save = or_save(self._beside(1) + need, budget)
            raise MemoryBudgetError(
                f"engine='compiled' needs about {mib(need)} for a row beside W and what stands "
                f"({self.compiled.size}); memory={mib(budget)} leaves {mib(max(memory, 0))}. Ask "
                f"for fewer rows=, {save}or raise memory= to {enough(budget - memory + need)}.",
                budget - memory + need,
            )
        rows = max(int(memory / HOLES) // max(need, 1), 1)
        return 1 if self.compiled.single else min(rows, MOST_ROWS)


def _options(compiled: Compiled, threads: int) -> door.SessionOptions:
    little = compiled.work * (1 if compiled.single else SOME_ROWS) < WORTH_A_THREAD
    return door.for_compiled(threads=1 if little else threads, little=little)
