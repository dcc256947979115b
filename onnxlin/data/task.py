"""What is done to one chunk: its samples are read and linearised, and become arrays.

The same to the bit, whoever does it and however often: the engine, the batches and the number of
threads are the run's, and nothing that is left from another chunk counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin import archives
from onnxlin.affine_map import AffineMap
from onnxlin.data.chunked import Chunked, Done, require_length
from onnxlin.data.kept import Samples, Variable, audit, plain, region, variables
from onnxlin.data.order import ALL, LABELS, PREDICTED
from onnxlin.data.source import Part
from onnxlin.engines.memory import WORTH_IT, hand_back
from onnxlin.errors import InputError, OnnxlinError
from onnxlin.graph import Array
from onnxlin.readings.checks import allowed, chosen, require_equal
from onnxlin.readings.data.floor import least_charge

EACH_ITS_OWN = (PREDICTED, LABELS)
"""Choices of ``rows`` that give each sample one row of its own."""


@dataclass(frozen=True, eq=False)
class Task(Chunked):
    """Maps of the samples of any chunk, and what is kept of them.

    Parameters
    ----------
    floors : {engine: float}
        The least that rounding is charged with, of the map that the run was planned by: to find it
        out takes a run with its pieces, which a worker would have no other use for.
    tight : bool
        Whether there is no room for a proof beside what makes maps.
    """

    floors: dict[str, float] = field(default_factory=dict)
    tight: bool = False

    def __call__(self, at: slice) -> Done:
        """See `Chunked`."""
        try:
            return Chunk(self, at, self.source[at])()
        finally:
            self.hand_back()
            if "audit" in self.order.what:
                archives.let_go(self.maps)

    def hand_back(self) -> None:
        """Let the system have what is free, where memory was given: holes between arrays add up."""
        if self.lin.memory is not None:
            hand_back(WORTH_IT)

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """The arrays that are made."""
        stored = self.order.dtype or self.layout.kind
        return variables(self.layout, self.order.what, stored)

    @cached_property
    def maps(self) -> Array:
        """Those that are audited."""
        return audit.maps_of(self.options["maps"], self.order.count)

    def rows_of(self, y: Array, i: int) -> Array:
        """Outputs whose rows are wanted of sample i, whose outputs are y."""
        if self.layout.rows is not None:
            return np.array(self.layout.rows, np.int64)
        if self.order.rows == PREDICTED:
            return np.array([y.argmax()], np.int64)
        assert self.labels is not None
        return self.labels[i : i + 1]

    @property
    def dtype(self) -> npt.DTypeLike | None:
        """What W is asked for in."""
        return None if self.order.dtype in (None, "float16") else self.order.dtype


class Chunk:
    """One chunk at work."""

    def __init__(self, task: Task, at: slice, part: Part) -> None:
        self.task, self.start, self.part = task, at.start, part
        self.count = at.stop - at.start
        require_length(part, at)
        self.samples = Samples.empty(task.layout, self.count)
        self.errors = {int(i): text for i, text in part.errors.items()}
        self.beside: dict[str, Array] = {
            v.name: np.full((self.count, *v.shape), v.fill, v.dtype)
            for v in task.variables
            if v.name.startswith(("region_", "audit_", "certificate"))
        }

    def __call__(self) -> Done:
        """Do all of it."""
        good = [i for i in range(self.count) if self._run(i)]
        self.task.hand_back()
        self._take_all(good)
        return self._done()

    def _feeds(self, i: int) -> dict[str, Array]:
        return {name: stack[i] for name, stack in self.part.stacks.items()}

    def _failed(self, i: int, error: OnnxlinError) -> None:
        self.errors[i] = f"{type(error).__name__}: {error}"

    def _run(self, i: int) -> bool:
        """Run the model itself at one sample; whether it has outputs there."""
        if i in self.errors:
            return False
        try:
            ends = self.task.lin.run(self._given([i])[0])
            y = np.concatenate([np.ravel(value).astype(np.float64) for value in ends.values()])
            if y.size != self.task.layout.outputs:
                raise InputError(f"{y.size} outputs, where others have {self.samples.y.shape[1]}.")
        except OnnxlinError as error:
            self._failed(i, error)
            return False
        self.samples.y[i] = y
        self.samples.rows[i] = self.task.rows_of(y, self.start + i)
        return True

    def _given(self, some: list[int]) -> list[dict[str, Array]]:
        """Instances as a linearizer takes them."""
        kinds = self.task.lin.graph.inputs
        found = []
        for i in some:
            feeds = self._feeds(i)
            for name, value in feeds.items():
                shape = kinds[name].shape if name in kinds else None
                if shape is not None and np.ndim(value) + 1 == len(shape):
                    feeds[name] = value[None]
            found.append(feeds)
        return found

    def _maps(self, good: list[int]) -> Iterator[tuple[int, AffineMap, Array]]:
        """Linearise the samples that can be run: which, its map, and its rows among the map's."""
        layout, lin, dtype = self.task.layout, self.task.lin, self.task.dtype
        if not layout.together:
            for i in good:
                rows = self.samples.rows[i]
                try:
                    m = lin(self._given([i])[0], rows, layout.engine, dtype)
                except OnnxlinError as error:
                    self._failed(i, error)
                    continue
                yield i, m, np.arange(len(rows))
            return
        wanted = None if layout.rows is None else np.array(layout.rows, np.int64)
        places = np.arange(layout.count)
        while good:
            stacks = {n: stack[good] for n, stack in self.part.stacks.items()}
            each = self.samples.rows[good, 0].tolist() if wanted is None else None
            maps = lin.map(stacks, wanted, layout.engine, dtype, each=each)
            done = 0
            try:
                for i, m in zip(good, maps, strict=True):
                    yield i, m, places
                    done += 1
            except OnnxlinError as error:
                self._failed(good[done], error)
                done += 1
            good = good[done:]

    def _take_all(self, good: list[int]) -> None:
        """By itself, so that no map is left, with its session's memory, while others are proved."""
        for i, m, places in self._maps(good):
            try:
                self._take(i, m, places)
            except OnnxlinError as error:
                self._failed(i, error)

    def _take(self, i: int, m: AffineMap, places: Array) -> None:
        task = self.task
        self.samples.take(i, m, places)
        if m.engine not in task.floors:
            task.floors[m.engine] = least_charge(m)
        found: dict[str, Any] = {}
        if "region" in task.order.what:
            found |= region.of_map(m, task.layout, task.options)
        if "audit" in task.order.what:
            row, given = int(self.samples.rows[i, 0]), task.maps[self.start + i]
            found |= audit.of_sample(task.lin, self._given([i])[0], row, given)
        for name, value in found.items():
            self.beside[name][i] = value

    def _done(self) -> Done:
        """Hold every map against its run, and put the arrays together."""
        arrays, scale = plain.arrays_of(self.samples, self.task.order.what)
        Wx, b = (arrays[name].reshape(self.count, -1) for name in ("Wx", "b"))
        gap = np.abs(self.samples.taken - (Wx + b))
        floor = min(self.task.floors.values(), default=0.0)
        for i in np.flatnonzero(~(gap <= floor * scale).all(axis=1)).tolist():
            if i not in self.errors:
                self._prove(i, Wx[i] + b[i])
        failed = np.zeros(self.count, np.uint8)
        failed[sorted(self.errors)] = 1
        found = {**arrays, **self.beside, "failed": failed}
        bad = failed.astype(bool)
        made = {}
        for v in self.task.variables:
            array = found[v.name].reshape(self.count, *v.shape)
            if v.name != "failed" and bad.any():
                array = array.copy()
                array[bad] = v.fill
            with np.errstate(over="ignore"):  # a narrower type may have no room for it
                made[v.name] = array.astype(v.dtype, copy=False)
        return Done(made, dict(sorted(self.errors.items())), self.samples.y)

    def _prove(self, i: int, total: Array) -> None:
        """Compute the whole bound of a map whose residual is past what comes for nothing."""
        task, rows = self.task, self.samples.rows[i]
        try:
            m = task.lin(self._given([i])[0], rows, task.layout.engine, task.dtype)
            own = self.samples.taken[i]
            if task.tight:
                m.hold()
                task.lin.close()
                task.hand_back()
            require_equal("W x + b against F(x)", total, own, allowed(m, chosen(m, None)))
        except OnnxlinError as error:
            self._failed(i, error)


__all__ = ["ALL", "EACH_ITS_OWN", "Done", "Task"]
