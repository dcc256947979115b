"""The way in: a model and an input -> an `AffineMap`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy.typing as npt

from onnxlin.affine_map import AffineMap, required_name
from onnxlin.engines.compiled import Loop, runs_beside
from onnxlin.engines.confined import confined, each_confined
from onnxlin.engines.job import Progress
from onnxlin.engines.memory import keep_freed_arrays, memory_budget
from onnxlin.engines.plan import require_engine
from onnxlin.graph import Array
from onnxlin.linearizer.ask import Ask, asked_dtype
from onnxlin.linearizer.by_graph import by_graph
from onnxlin.linearizer.by_program import by_program
from onnxlin.linearizer.described import Described
from onnxlin.linearizer.many import one_by_one, require_each, stacks, together
from onnxlin.linearizer.ready import make_ready
from onnxlin.linearizer.renamed import naming
from onnxlin.load import Model, Path, exported, load
from onnxlin.runtime.providers import Asked, asked_providers
from onnxlin.runtime.session import SessionOptions
from onnxlin.section import STAIRCASE, make_section, require_mode, require_rounding
from onnxlin.section.ends import listed
from onnxlin.section.feeds import Instance, instances, named_beside
from onnxlin.section.gates import HALVES, Choice
from onnxlin.section.options import whole

Names = Iterable[str] | str | None


class Linearizer(Described):
    """A model, loaded and checked once, ready to be linearised at any number of inputs.

    Parameters
    ----------
    model : path, bytes, onnx.ModelProto, or what `onnxlin.export_model` takes
    inputs, outputs : tensor names, optional
        Any tensors of the graph; by default its float inputs and float outputs. What is not
        linearised is held constant. Token ids and categories become what they look up: see
        docs/tokens.md. ``outputs="logits"`` ends before a softmax or sigmoid at the end. The map's
        ``notes`` say what was chosen.
    mode : {"tangent", "frozen"}
        The reading of smooth operators; on piecewise-affine ones the two agree.
    rounding : {"staircase", "straight-through"}
        A staircase is locally constant, so dependence on x ends there. Straight-through counts it
        as the identity plus an offset captured at x, saturation as Clip; F(x) = W x + b holds too.
    gates : {"halves", "held"} or {node name: one of them}
        The reading of gated products, ``act(a) * b``, in frozen mode: half of each term of the
        product rule, or the activation held at x and b linear. In a mapping ``"*"`` stands for
        all products that it does not name, which else take halves.
    memory : int or str, optional
        Bytes, or text such as "4GiB"; by default half of what is free when a map is computed.
    session_options : onnxruntime.SessionOptions, optional
        Of the compiled engine's sessions; by default onnxruntime's own.
    threads : int, optional
        Of all sessions, of the live engine, and of the process's BLAS while a map or its bound is
        computed; by default as many as each takes. They show in last bits.
    providers : sequence of names or (name, options), optional
        Execution providers of the model's own run and of compiled graphs, as onnxruntime takes
        them; by default the CPU's. ``notes`` say what each ran. See docs/providers.md.
    base_dir : path, optional
        Of the files of weights beside a model; by default the folder of its path, if it has one.
    example : x, optional; a model of a framework is exported at it

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
        gates: Choice = HALVES,
        memory: int | str | None = None,
        session_options: SessionOptions | None = None,
        threads: int | None = None,
        providers: Sequence[Asked] | None = None,
        base_dir: Path | None = None,
        example: Any = None,
    ) -> None:
        require_mode(mode)
        require_rounding(rounding)
        memory_budget(memory)
        threads = None if threads is None else whole("threads", threads, 1)
        chosen = asked_providers(providers)
        keep_freed_arrays()
        inputs, model = listed(inputs), exported(model, example)
        with confined(threads):
            graph = load(model, inputs or (), base_dir)
            section = make_section(graph, inputs, outputs, rounding, gates=gates)
            # Pickled it holds the model and no session: whoever gets it opens those when asked.
            self._ready = make_ready(
                section, mode, memory, session_options, threads, providers=chosen
            )
        self._others: dict[frozenset[str], Linearizer] = {}
        self._loop: Loop | None = None

    def serving(self, x: Instance) -> Linearizer:
        """Return the linearizer that takes this x: itself, unless x gives initialisers.

        Initialisers that are inputs, too, are constants until x names them; then they are held at
        what x has for them, or linearised where ``inputs=`` names them.
        """
        names = named_beside(x, self.graph) if self.graph.optional else None
        if not names:
            return self
        if names not in self._others:
            other = copy(self)
            other._ready = naming(self._ready, names)
            self._others[names] = other
        return self._others[names]

    def feeds(self, x: Instance) -> dict[str, Array]:
        """Check x and bring it to the model's own dtypes: ``{input name: array}``."""
        return self.serving(x)._ready.feeds(x)

    def run(self, x: Instance) -> dict[str, Array]:
        """Run the model once: ``{output name: array}`` for the outputs to be linearised."""
        with confined(self.threads):
            return self.serving(x)._ready.own(self.feeds(x))

    def trace(self, x: Instance) -> dict[str, Array]:
        """Run the model once: ``{tensor name: array}`` for all that is read or made on the way."""
        with confined(self.threads):
            return self.serving(x)._ready.trace(self.feeds(x))

    def __call__(
        self,
        x: Instance,
        rows: Any = None,
        engine: str = "auto",
        dtype: npt.DTypeLike | None = None,
        *,
        progress: Progress | None = None,
        save: Path | None = None,
    ) -> AffineMap:
        """Linearise at x.

        Parameters
        ----------
        x : array, or {input name: array}
            Of the model's own input shapes. Numbers are rounded to the model's dtype; the map's
            ``x`` holds what the model saw.
        rows : indices (K,) or combinations (K, n_out), optional
            Rows of W to compute; by default all.
        engine : {"auto", "explicit", "reverse", "forward", "live", "cut", "compiled"}
        dtype : float32 or float64, optional
            Of W; by default float64 for a float64 model, else float32.
        progress : callable, optional
            Called with (done, total) while W is computed; with ``save`` while its bound is, too.
        save : path, optional
            A file for a W that is larger than memory. It is computed a block of rows at a time,
            each written at once; the map's W then is a read-only `numpy.memmap` of the file, which
            is that of `AffineMap.save`, with its bound, and there when this returns.

        Raises
        ------
        InputError, RowsError, OptionError, TraceError, UnsupportedNodeError, MemoryBudgetError
        FileError
            ``save`` cannot be written; what was there before is there still.
        """
        loop = self._loop
        again = self._ready.shelf.again if loop is None or loop.graphs_alone else None
        if again is not None and dtype is None and progress is None and save is None:
            known: AffineMap | None = again(self._ready, x, rows, engine)
            if known is not None:
                return known
        require_engine(engine)
        save = None if save is None else required_name("save=", save)
        with confined(self.threads):
            ready = self.serving(x)._ready
            ask = Ask(ready.feeds(x), rows, engine, asked_dtype(dtype), progress, save, loop)
            found = by_graph(ready, ask)
            found = by_program(ready, ask) if found is None else found
        if loop is not None:
            loop.engines.setdefault(ask.kind, found.engine)
        return found

    def steady(self, calls: int) -> Linearizer:
        """Return the same model for a loop of calls whose maps are compared.

        ``engine="auto"`` chooses once, by how many calls are to come, and what answers the first of
        a kind answers all. Graphs and sessions are shared with this linearizer, and its choices.
        """
        other, outer = copy(self), self._loop
        other._loop = Loop(calls) if outer is None else replace(outer, calls=calls)
        return other

    def map(
        self,
        xs: Instance,
        rows: Any = None,
        engine: str = "auto",
        dtype: npt.DTypeLike | None = None,
        *,
        each: Sequence[int] | None = None,
    ) -> Iterator[AffineMap]:
        """Linearise N instances stacked on axis 0, one `AffineMap` each.

        A leading batch axis of 1 is dropped in the stack: digits of a model that takes
        ``(1, 1, 28, 28)`` come as ``(N, 1, 28, 28)``. One engine is chosen for all; see `steady`.
        ``each`` gives every instance one row of its own, such as that of its label.
        """
        require_engine(engine)
        apart = instances(xs, self.graph.inputs, self.graph.features)
        require_each(each, rows, len(apart))
        with confined(self.threads):
            runs = runs_beside(self._ready.shelf.options)
        # Of a part of a steady loop what comes after counts, too: it is as if all came at once.
        calls = len(apart) if self._loop is None else max(len(apart), self._loop.calls)
        at_once = together(calls, engine, runs)
        steady = self.steady(calls)

        def one(i: int, x: Instance) -> AffineMap:
            return steady(x, rows if each is None else [each[i]], engine, dtype)

        if at_once is None:
            return one_by_one(apart, one)
        ready = self.serving(apart[0])._ready
        made = stacks(ready, apart, at_once, rows=rows, dtype=dtype, one=one, each=each)
        return each_confined(self.threads, made)

    def within(self, memory: int | str | None) -> Linearizer:
        """Return the same model with another budget, and with graphs and sessions of its own."""
        other = copy(self)
        other._ready, other._others = self._ready.within(memory), {}
        return other

    def map_blocks(self, xs: Any, *args: Any, **options: Any) -> Any:
        """Linearise a data set lazily: see `onnxlin.data.map_blocks` (extra ``onnxlin[data]``)."""
        return import_module("onnxlin.data").map_blocks(self, xs, *args, **options)  # a room above

    def close(self) -> None:
        """Release the sessions of compiled graphs; they are opened again when needed."""
        self._ready.shelf.clear()
