"""Open sessions of one section, one for each set of input shapes, the latest few of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnxruntime

from onnxlin.compiled.batch_axis import MixedError
from onnxlin.compiled.instances import stacked
from onnxlin.compiled.instances_runner import InstancesRunner
from onnxlin.compiled.model import compile_section, float_type
from onnxlin.compiled.runner import Runner
from onnxlin.errors import ModelError, OptionError
from onnxlin.graph import Array
from onnxlin.lowering import NotStaticError
from onnxlin.section import Section

MOST_OPEN = 4
# Of every tensor, while a graph is traced.
COPIES = 4
# Of a section that has no graph, and of an onnxruntime that opens none of its operator set.
CANNOT = (NotStaticError, ModelError)


class Shelf:
    """Compiles a section when asked, and remembers where that cannot be done.

    Parameters
    ----------
    section : Section
    mode : {"tangent", "frozen"}
    options : onnxruntime.SessionOptions, optional
        For every session.
    """

    def __init__(
        self, section: Section, mode: str, options: onnxruntime.SessionOptions | None = None
    ) -> None:
        self._section = section
        self._mode = mode
        self._options = options
        self._open: OrderedDict[Any, Runner | InstancesRunner | str] = OrderedDict()
        self._spent: dict[Any, float] = {}

    def ready(self, feeds: Mapping[str, Array], *, single: bool) -> Runner | None:
        """Return an open session for these shapes; None if there is none."""
        for variant in (single, False):
            found = self._open.get(_key(feeds, single=variant))
            if isinstance(found, Runner):
                return found
        return None

    def opened(self, feeds: Mapping[str, Array], *, single: bool) -> Runner | str:
        """Return a session for these shapes, opened now if need be, or why there can be none.

        Parameters
        ----------
        single : bool
            Whether it is to compute one row at a time.
        """
        key = _key(feeds, single=single)
        if key not in self._open:
            self._keep(key, self._compile(feeds, single))
        self._open.move_to_end(key)
        found = self._open[key]
        assert not isinstance(found, InstancesRunner)
        return found

    def _keep(self, key: Any, found: Runner | InstancesRunner | str) -> None:
        self._open[key] = found
        while len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)

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
        key = (count, *_key(feeds, single=False))
        if key not in self._open:
            try:
                section, at = self._section, {**feeds, **values()}
                if sum(v.nbytes for v in at.values()) * count * COPIES > memory:
                    return None
                shapes = {n: at[n].shape for n in (*section.inputs, *section.outputs)}
                found = stacked(section, at, count)
                self._keep(key, InstancesRunner(found, self._mode, feeds, shapes, self._options))
            except (MixedError, *CANNOT) as error:
                self._keep(key, str(error))
        found_now = self._open[key]
        return found_now if isinstance(found_now, InstancesRunner) else None

    def require(self, feeds: Mapping[str, Array], *, single: bool) -> Runner:
        """Return a session for these shapes; see `opened`.

        Raises
        ------
        OptionError
            The section cannot be compiled.
        """
        found = self.opened(feeds, single=single)
        if isinstance(found, str):
            raise OptionError(
                f"engine='compiled' cannot serve this model: {found}. Use engine='auto' or "
                "'reverse'."
            )
        return found

    def worth_opening(
        self,
        feeds: Mapping[str, Array],
        dtype: np.dtype[Any],
        sweeps: float,
        opening: float,
        *,
        single: bool,
    ) -> Runner | None:
        """Return a session if it pays: when sweeps without it have cost as much as opening one.

        Parameters
        ----------
        sweeps, opening : float
            Estimates of what is to be done now without compiling, and of compiling, in seconds.
        """
        key = _key(feeds, single=single)
        self._spent[key] = self._spent.get(key, 0.0) + sweeps
        if self._spent[key] <= opening or dtype != float_type(self._section, feeds):
            return None
        found = self.opened(feeds, single=single)
        return None if isinstance(found, str) else found

    def clear(self) -> None:
        """Release every session."""
        self._open.clear()

    def _compile(self, feeds: Mapping[str, Array], single: bool) -> Runner | str:
        try:
            compiled = compile_section(self._section, self._mode, feeds, single=single)
            return Runner(compiled, self._options)
        except CANNOT as error:
            return str(error)


def _key(feeds: Mapping[str, Array], *, single: bool) -> Any:
    return single, *((name, value.dtype, value.shape) for name, value in feeds.items())
