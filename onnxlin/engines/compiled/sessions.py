"""Open sessions of one section, one for each set of input shapes, the latest few of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np

from onnxlin.engines.compiled.charges import Charge, Loop
from onnxlin.engines.compiled.compile import Compiled, compile_section, float_type
from onnxlin.engines.compiled.latest import Latest, key_of
from onnxlin.engines.compiled.many.session import InstancesRunner
from onnxlin.engines.compiled.many.stacked import stacked
from onnxlin.engines.compiled.session import Runner
from onnxlin.engines.compiled.size import Size, Uses, within
from onnxlin.engines.memory import WORTH_IT, hand_back, memory_budget
from onnxlin.errors import ModelError, OnnxlinError, OptionError
from onnxlin.graph import Array
from onnxlin.lowering import NotStaticError
from onnxlin.operators.batch_axis import MixedError
from onnxlin.runtime.options import apart, together
from onnxlin.runtime.providers import DEFAULT, Providers
from onnxlin.runtime.session import SessionOptions
from onnxlin.section import Section
from onnxlin.section.trace import Tracer

MOST_OPEN, MOST_KNOWN = 4, 64
# Of every tensor, while a graph is written.
COPIES = 4
# Of a section that has no graph, and of an onnxruntime that opens none of its operator set.
CANNOT = (NotStaticError, ModelError)

Opened = Runner | InstancesRunner
R = TypeVar("R", bound=Opened)


@dataclass(frozen=True)
class Refused:
    """That a section cannot be compiled for some shapes, and why."""

    why: str


class Shelf:
    """Compiled graphs of one section, each for the shapes of some x, with their open sessions.

    What is asked for is compiled then. The latest few stay open; where compiling fails, that is
    kept in their place, so that it is not tried again.

    Parameters
    ----------
    section : Section
    mode : {"tangent", "frozen"}
    options : onnxruntime.SessionOptions, optional
        For every session.
    memory : int, str or None
        See `onnxlin.Linearizer`.
    providers : Providers

    Attributes
    ----------
    standing : Tracer or None
        One of the section that is open already, for whoever compiles.
    again : object
        Whatever the caller keeps of the latest answer. It is gone once a graph is opened or let
        go of, so the graph that gave it is open, and no other has been used since.
    """

    def __init__(
        self,
        section: Section,
        mode: str,
        options: SessionOptions | None = None,
        memory: int | str | None = None,
        providers: Providers = DEFAULT,
    ) -> None:
        self._section = section
        self._memory = memory
        self._mode = mode
        self.standing: Tracer | None = None
        self.options, self.providers = options, providers
        self.again: Any = None
        self._latest = Latest[Opened | Refused | Compiled](MOST_OPEN)
        self._charges: dict[Any, Charge] = {}
        self._costs = Latest[tuple[float, float]](MOST_KNOWN)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle graphs of single instances as they are compiled, to be opened when asked for."""
        latest = Latest[Opened | Refused | Compiled](MOST_OPEN)
        for key, found in self._latest.items():
            if not isinstance(found, InstancesRunner):
                latest.put(key, found.compiled if isinstance(found, Runner) else found)
        own = {
            "_latest": latest,
            "_charges": {key: replace(charge) for key, charge in self._charges.copy().items()},
            "_costs": Latest[tuple[float, float]](MOST_KNOWN),
            "options": apart(self.options),
            "standing": None,
        }
        return {**vars(self), **own, "again": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.options = together(state["options"])

    def ready(self, feeds: Mapping[str, Array], *, single: bool) -> Runner | None:
        """Return an open session for these shapes; None if there is none."""
        for variant in (single, False):
            found = self._at(key_of(feeds, single=variant))
            if isinstance(found, Runner):
                return found
        return None

    def latest(self, feeds: Mapping[str, Array], *, single: bool) -> Runner | None:
        """Return what `require` would, if it is open; None if not."""
        key = key_of(feeds, single=single)
        found = self._latest.get(key)
        if not isinstance(found, Runner):
            return None
        self._latest.used(key)
        return found

    def opened(self, feeds: Mapping[str, Array], *, single: bool) -> Runner | Refused:
        """Return a session for these shapes, opened now if need be, or why there can be none.

        Parameters
        ----------
        single : bool
            Whether it is to compute one row at a time.
        """

        def compiled() -> Runner:
            found = compile_section(
                self._section,
                self._mode,
                feeds,
                single=single,
                standing=self.standing,
                layout=partial(self._layout, single=single),
                steep=self.providers.on_cpu,
            )
            weight = sum(array.nbytes for array in found.weights.values())
            if self.standing is not None and weight >= WORTH_IT:
                self.standing.rest()  # from here on the graph runs the model itself
            made = Runner(found, self.options, providers=self.providers)
            hand_back(weight)
            return made

        return self._kept(key_of(feeds, single=single), compiled)

    def _layout(self, size: Size, weights: Uses, *, single: bool) -> tuple[Size, dict[str, bool]]:
        asked, memory = self._memory is not None, memory_budget(self._memory)
        return within(size, weights, memory, asked=asked, single=single)

    def _at(self, key: Any) -> Opened | Refused | None:
        """Return what lies under a key; a graph that has come from another process is opened."""
        found = self._latest.get(key)
        if not isinstance(found, Compiled):
            return found
        opened: Runner | Refused
        try:
            opened = Runner(found, self.options, providers=self.providers)
        except CANNOT as error:  # another onnxruntime
            opened = Refused(str(error))
        self._latest.put(key, opened)
        return opened

    def _kept(self, key: Any, compiled: Callable[[], R]) -> R | Refused:
        """Return what lies under a key; if nothing does, what is compiled now."""
        self.again = None
        found = self._at(key)
        if found is None:
            try:
                found = compiled()
            except (MixedError, *CANNOT) as error:
                found = Refused(str(error))
            self._latest.put(key, found)
        self._latest.used(key)
        # A key says how many instances are asked for, and so what has been compiled under it.
        return cast("R | Refused", found)

    def many(
        self,
        feeds: Mapping[str, Array],
        values: Callable[[], Mapping[str, Array]],
        count: int,
        memory: int,
    ) -> InstancesRunner | None:
        """Return a session for so many instances at once; None where there can be none.

        Parameters
        ----------
        feeds : {tensor name: array}
            Of one instance.
        values : callable
            Runs the model there: every tensor.
        memory : int
            Bytes that compiling may take: the example is as large as the instances.
        """
        key = key_of(feeds, single=False, count=count)
        at: Mapping[str, Array] = {}
        if key not in self._latest:
            at = {**feeds, **values()}
            if sum(v.nbytes for v in at.values()) * count * COPIES > memory:
                return None

        def compiled() -> InstancesRunner:
            section = self._section
            shapes = {n: at[n].shape for n in (*section.inputs, *section.outputs)}
            found = stacked(section, at, count)
            more = {"providers": self.providers}
            return InstancesRunner(found, self._mode, feeds, shapes, self.options, **more)

        found = self._kept(key, compiled)
        return None if isinstance(found, Refused) else found

    def require(self, feeds: Mapping[str, Array], *, single: bool) -> Runner:
        """Return a session for these shapes; see `opened`.

        Raises
        ------
        OptionError
            The section cannot be compiled.
        """
        found = self.opened(feeds, single=single)
        if isinstance(found, Refused):
            raise OptionError(
                f"engine='compiled' cannot serve this model: {found.why}. Use engine='auto' or "
                "'reverse'."
            )
        return found

    def worth_opening(
        self,
        feeds: Mapping[str, Array],
        dtype: np.dtype[Any],
        costs: Callable[[], tuple[float, float]],
        *,
        single: bool,
        loop: Loop | None = None,
        asked: Any = None,
    ) -> Runner | None:
        """Return a session if it pays for this call and those expected after it; see `Charge`.

        One that is open already pays. What does not is charged with what a graph would have saved.

        Parameters
        ----------
        costs : callable
            Estimates what a graph saves now, and what opening it takes, in seconds.
        asked : hashable, optional
            What costs depend on, to be kept for `due`.
        """
        key = key_of(feeds, single=single)
        if dtype != float_type(self._section, feeds) or (loop and key in loop.refused):
            return None
        there = self.ready(feeds, single=single)
        if there is not None or isinstance(self._at(key), Refused):
            return there
        saved, opening = costs()
        charge = self._charges.setdefault(key, Charge())
        if charge.pays(saved, opening, loop):
            return self._tried(feeds, single=single)
        charge.add(saved)
        if loop is not None:
            loop.refused.add(key)
        if asked is not None:
            self._costs.put((key, asked), (saved, opening))
        return None

    def due(
        self, feeds: Mapping[str, Array], *, single: bool, loop: Loop | None, asked: Any
    ) -> Runner | None:
        """Return a session if `worth_opening` would, as far as an earlier call of its kind tells.

        It saves the program that costs are estimated from, which a graph has no use for.
        """
        key = key_of(feeds, single=single)
        costs = self._costs.get((key, asked))
        if costs is None or (loop and key in loop.refused):
            return None
        pays = self._charges[key].pays(*costs, loop)
        return self._tried(feeds, single=single) if pays else None

    def _tried(self, feeds: Mapping[str, Array], *, single: bool) -> Runner | None:
        """Open a graph; None where that cannot be done."""
        try:
            found = self.opened(feeds, single=single)
        except OnnxlinError as error:  # in a branch that this x does not take
            found = Refused(str(error))
            self._latest.put(key_of(feeds, single=single), found)
        return None if isinstance(found, Refused) else found

    def clear(self) -> None:
        """Release every session."""
        self.again = None
        self._latest.clear()
