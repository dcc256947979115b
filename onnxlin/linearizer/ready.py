"""What is loaded and checked once, and serves every x."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from onnxlin.affine_map import Names, Origin
from onnxlin.engines.compiled import Shelf
from onnxlin.engines.confined import confined
from onnxlin.engines.job import Job, Progress
from onnxlin.engines.memory import A_NODE, hand_back, memory_budget, size_of
from onnxlin.engines.seeds import Seeds
from onnxlin.errors import TraceError
from onnxlin.graph import Array
from onnxlin.linearizer.anew import Anew
from onnxlin.linearizer.early import hold_run, run_sizes
from onnxlin.linearizer.found import Found
from onnxlin.operators.packed import packed_bytes
from onnxlin.program import LinearProgram
from onnxlin.program.builder import Builder, deciding
from onnxlin.program.check import require_rules
from onnxlin.program.size import pieces_bytes
from onnxlin.program.sizes import Measured
from onnxlin.runtime.providers import DEFAULT, Providers
from onnxlin.runtime.session import SessionOptions
from onnxlin.section import Section, make_section
from onnxlin.section.feeds import Instance, completed, flattened, make_feeds
from onnxlin.section.infinite import culprit
from onnxlin.section.numbers import all_finite
from onnxlin.section.trace import Tracer

# Of cuts of one model: where it is cut depends on x, but seldom.
MOST_ENDINGS = 4


@dataclass(frozen=True, eq=False)
class Ready:
    """A model that is ready to be linearised.

    Parameters
    ----------
    section : Section
    mode : {"tangent", "frozen"}
    shelf : Shelf
        Its compiled graphs.
    memory : int, str or None
    threads : int or None
        See `onnxlin.Linearizer`.
    """

    section: Section
    mode: str
    shelf: Shelf
    memory: int | str | None
    threads: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Pickle what was given: whoever gets it opens the model when it is first asked."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def builder(self) -> Builder:
        """Makes the linear program at any x; with it onnxruntime opens the model."""
        made = Builder(self.section, partial(Tracer, providers=self.providers), self.mode)
        if isinstance(made.tracer, Tracer):
            self.shelf.standing = made.tracer
        return made

    @property
    def providers(self) -> Providers:
        """Of the model's own run, and of compiled graphs."""
        return self.shelf.providers

    def notes(self, further: tuple[str, ...] = ()) -> tuple[str, ...]:
        """What a map is to say of how it was read and run; ``further`` is what a graph adds."""
        own = self.section.notes_in(self.mode)
        if not self.providers.pairs:
            return (*own, *further)
        ran = getattr(self.builder.tracer, "ran", None)
        runs = () if ran is None else (ran.said("the model's own run"),)
        return (*own, *runs, *further, *self.providers.notes)

    @cached_property
    def names(self) -> Names:
        """Names of features and classes."""
        return Names.of(self.section.graph)

    @cached_property
    def held(self) -> frozenset[str]:
        """Inputs that are not linearised."""
        return frozenset(self.section.graph.inputs) - set(self.section.inputs)

    def feeds(self, x: Instance) -> dict[str, Array]:
        """Check x, and bring it to the model's input names and dtypes."""
        graph = self.section.graph
        return make_feeds(completed(x, graph), graph.inputs, self.held)

    def trace(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once: every tensor that the section touches."""
        return self.builder.tracer(feeds)

    def own(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once, without optimisers: what the section ends with."""
        tracer = self.builder.tracer
        assert isinstance(tracer, Tracer)
        return tracer.ends(feeds)

    def ends(
        self, values: Mapping[str, Array], seeds: Seeds
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Inputs and outputs of the section; the rows asked are checked.

        Raises
        ------
        TraceError
            An output that they take part in is NaN or infinite: no map can equal it.
        """
        outputs = {name: values[name] for name in self.section.outputs}
        if not all(map(all_finite, outputs.values())):
            asked = ~np.isfinite(flattened(outputs)) & seeds.taken
            if asked.any():
                raise TraceError(self._infinite(values, outputs, int(np.argmax(asked))))
        return {name: values[name] for name in self.section.inputs}, outputs

    def _infinite(self, values: Mapping[str, Array], outputs: Mapping[str, Array], row: int) -> str:
        ends = np.cumsum([value.size for value in outputs.values()])
        name = list(outputs)[int(np.searchsorted(ends, row, side="right"))]
        graph = self.section.graph
        known = {n: values[n] for n in graph.inputs if n in values}
        nan = bool(np.isnan(flattened(outputs)[row]))
        made = culprit(graph, {**self.trace(known), **values}, name, nan=nan)
        because = f": {made}" if made else ""
        return (
            f"Output {name!r} is NaN or infinite at this x (row {row}), so no map can equal "
            f"it{because}. Scale the input as the model expects, look for a division by zero, or "
            "ask for other rows=."
        )

    def dtype(self, values: Mapping[str, Array]) -> np.dtype[Any]:
        """Of W where the caller asks for none."""
        own = {values[name].dtype for name in self.section.inputs}
        return np.dtype(np.float64 if np.dtype(np.float64) in own else np.float32)

    def within(self, memory: int | str | None) -> Ready:
        """Return the same with another budget, and with graphs and sessions of its own."""
        shelf = Shelf(self.section, self.mode, self.shelf.options, memory, self.providers)
        made = replace(self, shelf=shelf, memory=memory)
        vars(made)["builder"], shelf.standing = self.builder, self.shelf.standing
        return made

    def budget(self) -> int:
        """Bytes that a map and all that it is computed from may take now."""
        return memory_budget(self.memory)

    def hold(self, feeds: Mapping[str, Array], *, pieces: bool = True) -> None:
        """Refuse a model that does not fit the budget that was given, before it is run.

        ``pieces`` says whether the nodes' pieces are made, and not written into a graph.

        Raises
        ------
        MemoryBudgetError
        """
        if self.memory is None:  # half of what is free
            return
        hold_run(self.weight, self.run_sizes(feeds)[0], self.budget(), pieces=pieces)

    def run_sizes(self, feeds: Mapping[str, Array]) -> tuple[int, int]:
        """Bytes of the tensors of a run, and entries of its outputs: as far as shapes tell."""
        key = tuple((name, value.shape) for name, value in feeds.items())
        found = self._sizes.get(key)
        if found is None:
            found = run_sizes(self.section, feeds)
            self._sizes.clear()
            self._sizes[key] = found
        return found

    def ending(self, outputs: tuple[str, ...]) -> Ready:
        """Return the same model, ready as far as some tensors on the way.

        Raises
        ------
        TensorNameError
            One of them is no float tensor of the graph.
        """
        found = self._endings.get(outputs)
        if found is None:
            own = self.section
            section = make_section(own.graph, own.inputs, outputs, own.rounding, gates=own.gates)
            shelf = Shelf(section, self.mode, self.shelf.options, self.memory, self.providers)
            if len(self._endings) == MOST_ENDINGS:
                self._endings.clear()
            self._endings[outputs] = found = Ready(
                section, self.mode, shelf, self.memory, self.threads
            )
        return found

    @cached_property
    def _endings(self) -> dict[tuple[str, ...], Ready]:
        """Those that were asked for lately."""
        return {}

    @cached_property
    def found(self) -> Found:
        """What earlier calls have found out."""
        return Found()

    @cached_property
    def _sizes(self) -> dict[Any, tuple[int, int]]:
        """What `run_sizes` has found at the latest shapes."""
        return {}

    @cached_property
    def weight(self) -> int:
        """Bytes of the model's constants, of what follows from them alone, and of its nodes."""
        graph, fixed = self.section.graph, self.builder.tracer.fixed
        stored = {id(array): size_of(array) for array in graph.initialisers.values()}
        # What follows from constants is made again in each run, beside what is kept of it.
        made = {id(a): size_of(a) for a in fixed.values() if id(a) not in stored}
        packed = packed_bytes(graph.nodes, graph.initialisers)
        return sum(stored.values()) + packed + 2 * sum(made.values()) + A_NODE * len(graph.nodes)

    def job(
        self,
        program: LinearProgram,
        values: Mapping[str, Array],
        seeds: Seeds,
        progress: Progress | None = None,
        *,
        stored: bool = False,
    ) -> Job:
        """Rows to compute, with what the budget holds already.

        Parameters
        ----------
        values : {tensor name: array}
            The run's tensors.
        stored : bool
            Whether W goes to a file.
        """
        fixed = self.builder.tracer.fixed
        ran = [value for name, value in values.items() if name not in fixed]
        others = (*self.section.graph.initialisers.values(), *fixed.values(), *ran)
        held = self.weight + sum(map(size_of, ran)) + pieces_bytes(program, others)
        return Job(program, seeds, self.budget(), progress, held, stored, threads=self.threads)

    def origin(
        self, feeds: Mapping[str, Array], values: dict[str, Array], program: LinearProgram, job: Job
    ) -> Origin:
        """What a map is asked for beyond W and b."""
        anew = Anew(self, feeds, program.dtype, job.seeds)
        files = self.section.graph.files
        return Origin(program, Measured(values), job, partial(self.decided, feeds), anew, files)

    @cached_property
    def decider(self) -> Builder:
        """Builder of programs that hold every decision; see `onnxlin.section.Section`."""
        with confined(self.threads):
            return deciding(self.builder)

    def decided(self, feeds: Mapping[str, Array]) -> LinearProgram:
        """Build the program at x in float64, with all that decides where its pieces hold."""
        with confined(self.threads):
            return self.decider(self.decider.tracer(feeds), np.dtype(np.float64))


def make_ready(
    section: Section,
    mode: str,
    memory: int | str | None,
    options: SessionOptions | None,
    threads: int | None = None,
    *,
    providers: Providers = DEFAULT,
) -> Ready:
    """Make a model ready.

    Raises
    ------
    ModelError, MissingRuleError
    OptionError
        A provider does not start.
    """
    require_rules(section)
    shelf = Shelf(section, mode, options, memory, providers)
    ready = Ready(section, mode, shelf, memory, threads)
    ready.builder  # noqa: B018  # what onnxruntime cannot open is told of at once
    hand_back(ready.weight)
    return ready
