"""The way in: a model and an input -> an `AffineMap`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap, Origin
from onnxlin.engines.compiled import Answer, Runner, Shelf
from onnxlin.engines.job import Job, Progress
from onnxlin.engines.memory import keep_freed_arrays, memory_budget
from onnxlin.engines.plan import plan, require_engine, seconds
from onnxlin.engines.seeds import Seeds, is_single, make_seeds
from onnxlin.errors import MemoryBudgetError, OptionError, TraceError
from onnxlin.graph import Array
from onnxlin.load import Model, load
from onnxlin.program import LinearProgram
from onnxlin.program.builder import Builder, deciding
from onnxlin.program.check import require_rules
from onnxlin.runtime.session import SessionOptions
from onnxlin.section import STAIRCASE, make_section, require_mode, require_rounding
from onnxlin.section.feeds import (
    Instance,
    instances,
    make_feeds,
    read_dtype,
    require_finite,
    stack_feeds,
)
from onnxlin.section.trace import Tracer

Names = Iterable[str] | str | None
# Instances that a compiled graph takes at once, the largest number that is at least half full:
# more make it no faster. Fewer instances than these few are not worth another graph, if "compiled"
# is asked for or if nothing is.
AT_ONCE, FEWEST, WORTH_OPENING = (64, 16, 8), 4, 32


class Linearizer:
    """A model, loaded and checked once, ready to be linearised at any number of inputs.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
    inputs, outputs : tensor names, optional
        Any tensors of the graph; by default its float inputs and float outputs. What is not
        linearised is held constant. A model without float inputs starts at the first float tensors
        that follow them (embeddings). ``outputs="logits"`` ends before a softmax or sigmoid at
        the end. What was chosen stands in the map's ``notes``.
    mode : {"tangent", "frozen"}
        The reading of smooth operators; on piecewise-affine ones the two agree.
    rounding : {"staircase", "straight-through"}
        The reading of rounding, in quantised graphs above all. A staircase is locally constant, so
        dependence on x ends there. Straight-through counts rounding as the identity plus an offset
        captured at x, and saturation as Clip; F(x) = W x + b holds all the same.
    memory : int or str, optional
        Bytes, or text such as "4GiB"; by default half of what is free when a map is computed.
    session_options : onnxruntime.SessionOptions, optional
        Threads and the like of the compiled engine's sessions; by default onnxruntime's own.

    Raises
    ------
    ModelError, TensorNameError, MissingRuleError, OptionError
    """

    def __init__(
        self,
        model: Model,
        *,
        inputs: Names = None,
        outputs: Names = None,
        mode: str = "tangent",
        rounding: str = STAIRCASE,
        memory: int | str | None = None,
        session_options: SessionOptions | None = None,
    ) -> None:
        require_mode(mode)
        require_rounding(rounding)
        if memory is not None:
            memory_budget(memory)
        keep_freed_arrays()
        self.mode = mode
        self.rounding = rounding
        self.memory = memory
        self.graph = load(model)
        self.section = make_section(self.graph, inputs, outputs, rounding)
        require_rules(self.section)
        self._held = set(self.graph.inputs) - set(self.section.inputs)
        self._builder = Builder(self.section, Tracer, mode)
        self._tracer = self._builder.tracer
        self._shelf = Shelf(self.section, mode, session_options)

    def run(self, x: Instance) -> dict[str, Array]:
        """Run the model once: ``{output name: array}`` for the outputs to be linearised."""
        values = self._trace(x)
        return {name: values[name] for name in self.section.outputs}

    def __call__(
        self,
        x: Instance,
        rows: Any = None,
        engine: str = "auto",
        dtype: npt.DTypeLike | None = None,
        *,
        progress: Progress | None = None,
    ) -> AffineMap:
        """Linearise at x.

        Parameters
        ----------
        x : array, or {input name: array}
            Of the model's own input shapes. Numbers are rounded to the model's dtype; the map's
            ``x`` holds what the model saw.
        rows : indices (K,) or combinations (K, n_out), optional
            Rows of W to compute; by default all.
        engine : {"auto", "explicit", "reverse", "forward", "compiled"}
        dtype : float32 or float64, optional
            Of W; by default float64 for a float64 model, else float32.
        progress : callable, optional
            Called with (done, total) while W is computed.

        Raises
        ------
        InputError, RowsError, OptionError, TraceError, UnsupportedNodeError
        """
        require_engine(engine)
        feeds = self._feeds(x)
        kind = None if dtype is None else read_dtype(dtype)
        single = is_single(rows)
        runner = self._runner(feeds, engine, kind, single)
        if runner is not None:
            found = self._by_graph(runner, feeds, rows, progress, engine)
            if found is not None:
                return found
        values = self._tracer(feeds)
        kind = self._dtype(dtype, values)
        outputs = {name: values[name] for name in self.section.outputs}
        # First: the rules would stumble over the same infinity, and say less.
        require_finite(outputs)
        program = self._builder(values, kind)
        seeds = make_seeds(rows, program.rows)
        chosen, why = plan(program, len(seeds), engine)
        if (engine, chosen) == ("auto", "reverse"):
            costs = seconds(program, len(seeds))
            better = self._shelf.worth_opening(feeds, kind, *costs, single=single)
            if better is not None:
                found = self._by_graph(better, feeds, rows, progress, engine)
                if found is not None:
                    return found
        job = Job(program, seeds, memory_budget(self.memory), progress)
        return AffineMap(
            inputs={name: values[name] for name in self.section.inputs},
            outputs=outputs,
            rows=seeds,
            mode=self.mode,
            rounding=self.rounding,
            engine=chosen,
            plan=why,
            dtype=kind,
            origin=Origin(program, values, job, lambda: self._decided(feeds)),
            notes=self.section.notes,
        )

    def map(
        self,
        xs: Instance,
        rows: Any = None,
        engine: str = "auto",
        dtype: npt.DTypeLike | None = None,
    ) -> Iterator[AffineMap]:
        """Linearise N instances stacked on axis 0, one `AffineMap` each.

        A leading batch axis of 1 is dropped in the stack: digits of a model that takes
        ``(1, 1, 28, 28)`` come as ``(N, 1, 28, 28)``.
        """
        require_engine(engine)
        apart = instances(xs, self.graph.inputs)
        fewest = {"compiled": FEWEST, "auto": WORTH_OPENING}.get(engine, np.inf)
        if len(apart) < fewest:
            return (self(x, rows, engine, dtype) for x in apart)
        at_once = next(n for n in AT_ONCE if n <= 2 * len(apart))
        return self._stacks(apart, at_once, rows, engine, dtype)

    def _stacks(
        self,
        apart: Sequence[Instance],
        at_once: int,
        rows: Any,
        engine: str,
        dtype: npt.DTypeLike | None,
    ) -> Iterator[AffineMap]:
        """Linearise many instances at once, or one by one where that cannot be done."""
        first = self._feeds(apart[0])
        kind = None if dtype is None else read_dtype(dtype)
        memory = memory_budget(self.memory)
        runner = self._shelf.many(first, lambda: self._tracer(first), at_once, memory)
        if runner is None or not (kind is None or kind == runner.dtype):
            yield from (self(x, rows, engine, dtype) for x in apart)
            return
        seeds = make_seeds(rows, runner.n_rows)
        for start in range(0, len(apart), at_once):
            some = apart[start : start + at_once]
            feeds = stack_feeds(some, self.graph.inputs, self._held)
            try:
                answers = runner(feeds, seeds, memory)
            except (TraceError, MemoryBudgetError):
                yield from (self(x, rows, engine, dtype) for x in some)
                continue
            why = f"{at_once} instances at once in a graph compiled for them"
            yield from (self._map_of(found, seeds, runner.dtype, why) for found in answers)

    def _feeds(self, x: Instance) -> dict[str, Array]:
        return make_feeds(x, self.graph.inputs, self._held)

    def _trace(self, x: Instance) -> dict[str, Array]:
        """Run at x: every tensor that the section touches."""
        return self._tracer(self._feeds(x))

    def _runner(
        self, feeds: dict[str, Array], engine: str, dtype: np.dtype[Any] | None, single: bool
    ) -> Runner | None:
        """Return the compiled graph if that is the engine, or is ready and serves as well."""
        if engine == "compiled":
            runner = self._shelf.require(feeds, single=single)
            if not runner.serves(dtype):
                raise OptionError(
                    f"engine='compiled' computes in the model's own {runner.compiled.dtype}; "
                    f"dtype={dtype} was asked for. Use engine='reverse'."
                )
            return runner
        ready = self._shelf.ready(feeds, single=single) if engine == "auto" else None
        return ready if ready is not None and ready.serves(dtype) else None

    def _by_graph(
        self,
        runner: Runner,
        feeds: dict[str, Array],
        rows: Any,
        progress: Progress | None,
        engine: str,
    ) -> AffineMap | None:
        """Answer from a compiled graph; None where it cannot and another engine may."""
        try:
            return self._from_graph(runner, feeds, rows, progress)
        except (TraceError, MemoryBudgetError):
            if engine == "compiled":
                raise
            return None

    def _from_graph(
        self, runner: Runner, feeds: dict[str, Array], rows: Any, progress: Progress | None
    ) -> AffineMap:
        """Answer from a compiled graph: its forward pass, its W and b."""
        seeds = make_seeds(rows, runner.compiled.n_rows)
        memory = memory_budget(self.memory)
        found = runner(feeds, seeds, memory, progress)
        why = runner.why(len(seeds), memory)
        return self._map_of(found, seeds, runner.compiled.dtype, why)

    def _map_of(self, found: Answer, seeds: Seeds, kind: np.dtype[Any], why: str) -> AffineMap:
        """Make a map of what a compiled graph has found."""
        feeds = {name: found.values[name] for name in self.graph.inputs}
        outputs = {name: found.values[name] for name in self.section.outputs}
        require_finite(outputs)
        return AffineMap(
            inputs={name: found.values[name] for name in self.section.inputs},
            outputs=outputs,
            rows=seeds,
            mode=self.mode,
            rounding=self.rounding,
            engine="compiled",
            plan=why,
            dtype=kind,
            origin=lambda: self._origin(feeds, kind, seeds),
            solution=found.solution,
            notes=self.section.notes,
        )

    def _origin(self, feeds: dict[str, Array], dtype: np.dtype[Any], seeds: Seeds) -> Origin:
        """Build what a map from a compiled graph is asked for beyond W and b."""
        values = self._tracer(feeds)
        program = self._builder(values, dtype)
        job = Job(program, seeds, memory_budget(self.memory))
        return Origin(program, values, job, lambda: self._decided(feeds))

    def _decided(self, feeds: dict[str, Array]) -> LinearProgram:
        """Build the program at x in float64, with all that decides where its pieces hold."""
        return self.decider(self.decider.tracer(feeds), np.dtype(np.float64))

    @cached_property
    def decider(self) -> Builder:
        """Builder of programs that hold every decision; see `onnxlin.section.Section`."""
        return deciding(self._builder)

    def close(self) -> None:
        """Release the sessions of compiled graphs; they are opened again when needed."""
        self._shelf.clear()

    def _dtype(self, dtype: npt.DTypeLike | None, values: dict[str, Array]) -> np.dtype[Any]:
        if dtype is None:
            own = {values[name].dtype for name in self.section.inputs}
            return np.dtype(np.float64 if np.dtype(np.float64) in own else np.float32)
        return read_dtype(dtype)


def linearize(
    model: Model,
    x: Instance,
    *,
    inputs: Names = None,
    outputs: Names = None,
    rows: Any = None,
    mode: str = "tangent",
    rounding: str = STAIRCASE,
    engine: str = "auto",
    dtype: npt.DTypeLike | None = None,
    memory: int | str | None = None,
    progress: Progress | None = None,
) -> AffineMap:
    """Return the affine map F(x) = W x + b that a model is at x.

    The arguments are those of `Linearizer` and of its call. For many inputs of one model make a
    `Linearizer` once.
    """
    ready = Linearizer(
        model, inputs=inputs, outputs=outputs, mode=mode, rounding=rounding, memory=memory
    )
    return ready(x, rows, engine, dtype, progress=progress)
