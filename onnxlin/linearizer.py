"""The way in: a model and an input -> an `AffineMap`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from onnxlin.affine_map import AffineMap, Origin
from onnxlin.build import Builder
from onnxlin.check import require_rules
from onnxlin.compiled import Runner, Shelf
from onnxlin.engines.heap import keep_freed_arrays
from onnxlin.engines.job import Job, Progress
from onnxlin.engines.plan import memory_budget, plan, require_engine, seconds
from onnxlin.errors import OptionError, TraceError
from onnxlin.feeds import Instance, instances, make_feeds
from onnxlin.graph import Array
from onnxlin.load import Model, load
from onnxlin.program import LinearProgram
from onnxlin.rules import rule_of
from onnxlin.section import STAIRCASE, make_section, require_rounding
from onnxlin.seeds import Seeds, is_single, make_seeds
from onnxlin.trace import Tracer

Names = Iterable[str] | str | None
MODES = ("tangent", "frozen")
DTYPES = (np.float32, np.float64)


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
        session_options: onnxruntime.SessionOptions | None = None,
    ) -> None:
        if mode not in MODES:
            raise OptionError(f"mode={mode!r}; expected one of {list(MODES)}.")
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
        kind = None if dtype is None else self._dtype(dtype, {})
        single = is_single(rows)
        runner = self._runner(feeds, engine, kind, single)
        if runner is not None:
            return self._by_graph(runner, feeds, rows, progress)
        values = self._tracer(feeds)
        kind = self._dtype(dtype, values)
        outputs = {name: values[name] for name in self.section.outputs}
        # Before the rules: they would stumble over the same infinity, and say less.
        _require_finite(outputs)
        program = self._builder(values, kind)
        seeds = make_seeds(rows, program.rows)
        chosen, why = plan(program, len(seeds), engine)
        if (engine, chosen) == ("auto", "reverse"):
            costs = seconds(program, len(seeds))
            better = self._shelf.worth_opening(feeds, kind, *costs, single=single)
            if better is not None:
                return self._by_graph(better, feeds, rows, progress)
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
        return (self(x, rows, engine, dtype) for x in instances(xs, self.graph.inputs))

    def _feeds(self, x: Instance) -> dict[str, Array]:
        held = set(self.graph.inputs) - set(self.section.inputs)
        return make_feeds(x, self.graph.inputs, held)

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
        self, runner: Runner, feeds: dict[str, Array], rows: Any, progress: Progress | None
    ) -> AffineMap:
        """Answer from a compiled graph: its forward pass, its W and b."""
        seeds = make_seeds(rows, runner.compiled.n_rows)
        found = runner(feeds, seeds, memory_budget(self.memory), progress)
        outputs = {name: found.values[name] for name in self.section.outputs}
        _require_finite(outputs)
        kind = runner.compiled.dtype

        return AffineMap(
            inputs={name: found.values[name] for name in self.section.inputs},
            outputs=outputs,
            rows=seeds,
            mode=self.mode,
            rounding=self.rounding,
            engine="compiled",
            plan="the model is compiled for these shapes",
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
        own = self.section
        section = make_section(self.graph, own.inputs, own.outputs, own.rounding, deciding=True)
        rules = [rule_of(self.graph, node, own.rounding) for node in section.nodes]
        opened = any(rule and rule.status in ("expanded", "unrolled") for rule in rules)
        if section.nodes == own.nodes and not opened:
            return self._builder
        require_rules(section)
        return Builder(section, Tracer, self.mode)

    def close(self) -> None:
        """Release the sessions of compiled graphs; they are opened again when needed."""
        self._shelf.clear()

    def _dtype(self, dtype: npt.DTypeLike | None, values: dict[str, Array]) -> np.dtype[Any]:
        if dtype is None:
            own = {values[name].dtype for name in self.section.inputs}
            return np.dtype(np.float64 if np.dtype(np.float64) in own else np.float32)
        try:
            asked = np.dtype(dtype)
        except TypeError:
            asked = None
        if asked not in DTYPES:
            raise OptionError(f"dtype={dtype!r}; expected float32 or float64.")
        return asked


def _require_finite(outputs: dict[str, Array]) -> None:
    for name, value in outputs.items():
        if not np.isfinite(value.astype(np.float64)).all():
            raise TraceError(
                f"Output {name!r} is NaN or infinite at this x, so no map can equal it. Scale the "
                "input as the model expects, or look for a division by zero."
            )


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
