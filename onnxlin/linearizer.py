"""The way in: a model and an input -> an `AffineMap`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap, Origin
from onnxlin.build import Builder
from onnxlin.check import require_rules
from onnxlin.engines.job import Job, Progress
from onnxlin.engines.plan import memory_budget, plan, require_engine
from onnxlin.errors import OptionError, TraceError
from onnxlin.feeds import Instance, instances, make_feeds
from onnxlin.graph import Array
from onnxlin.load import Model, load
from onnxlin.rules import RULES
from onnxlin.section import make_section
from onnxlin.seeds import make_seeds
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
        linearised is held constant.
    mode : {"tangent", "frozen"}
        The reading of smooth operators; on piecewise-affine ones the two agree.
    memory : int or str, optional
        Bytes, or text such as "4GiB"; by default half of what is free when a map is computed.

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
        memory: int | str | None = None,
    ) -> None:
        if mode not in MODES:
            raise OptionError(f"mode={mode!r}; expected one of {list(MODES)}.")
        if memory is not None:
            memory_budget(memory)
        self.mode = mode
        self.memory = memory
        self.graph = load(model)
        self.section = make_section(self.graph, inputs, outputs)
        require_rules(self.section)
        nodes = ((n.name, RULES[n.domain, n.op_type].captures) for n in self.section.nodes)
        self._tracer = Tracer(self.section, {name: wanted for name, wanted in nodes if wanted})
        self._builder = Builder(self.section, self._tracer, mode)

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
        engine : {"auto", "explicit", "reverse", "forward"}
        dtype : float32 or float64, optional
            Of W; by default float64 for a float64 model, else float32.
        progress : callable, optional
            Called with (done, total) while W is computed.

        Raises
        ------
        InputError, RowsError, OptionError, TraceError, UnsupportedNodeError
        """
        require_engine(engine)
        values = self._trace(x)
        kind = self._dtype(dtype, values)
        outputs = {name: values[name] for name in self.section.outputs}
        # Before the rules: they would stumble over the same infinity, and say less.
        _require_finite(outputs)
        program = self._builder(values, kind)
        seeds = make_seeds(rows, program.rows)
        chosen, why = plan(program, len(seeds), engine)
        job = Job(program, seeds, memory_budget(self.memory), progress)
        return AffineMap(
            inputs={name: values[name] for name in self.section.inputs},
            outputs=outputs,
            rows=seeds,
            mode=self.mode,
            engine=chosen,
            plan=why,
            dtype=kind,
            origin=Origin(program, values, job),
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

    def _trace(self, x: Instance) -> dict[str, Array]:
        """Run at x: every tensor that the section touches."""
        held = set(self.graph.inputs) - set(self.section.inputs)
        return self._tracer(make_feeds(x, self.graph.inputs, held))

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
    engine: str = "auto",
    dtype: npt.DTypeLike | None = None,
    memory: int | str | None = None,
    progress: Progress | None = None,
) -> AffineMap:
    """Return the affine map F(x) = W x + b that a model is at x.

    The arguments are those of `Linearizer` and of its call. For many inputs of one model make a
    `Linearizer` once.
    """
    ready = Linearizer(model, inputs=inputs, outputs=outputs, mode=mode, memory=memory)
    return ready(x, rows, engine, dtype, progress=progress)
