"""A program in the making, at one x."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxlin.primitives import Array
from onnxlin.program.linear_program import Decision, Step
from onnxlin.program.sweep import forth


@dataclass(frozen=True, eq=False)
class Build:
    """A program in the making, at one x.

    Parameters
    ----------
    values : dict
        Tensor -> what onnxruntime computed; bodies add theirs.
    dtype : numpy.dtype
    steps : list of Step
    decisions : list of Decision
    inputs : {tensor: array}
        The inputs in the precision of the map, where its own forward pass begins.
    alive : set of str
        Tensors that, at this x, really depend on the inputs: a locally constant node ends it.
    made : set of str
        Tensors that a step makes, whether they depend on the inputs or are held.
    whole : {str: str}
        Tensor -> the sequence that holds it.
    coarse : bool
        Whether the run starts from coarser numbers than the map is made of: then even a tensor of
        the map's own type carries their rounding.
    still : {tensor: bool array}
        Entries that no x moves; see `onnxlin.program.still`.
    """

    values: dict[str, Array]
    dtype: np.dtype[Any]
    steps: list[Step]
    inputs: dict[str, Array]
    alive: set[str]
    decisions: list[Decision] = field(default_factory=list)
    made: set[str] = field(default_factory=set)
    whole: dict[str, str] = field(default_factory=dict)
    coarse: bool = False
    still: dict[str, Array] = field(default_factory=dict)
    _own: dict[str, Array] = field(default_factory=dict)
    _passed: set[str] = field(default_factory=set)
    _done: set[str] = field(default_factory=set)

    def add(self, steps: Sequence[Step]) -> None:
        """Append steps."""
        self.steps.extend(steps)
        self.alive.update(step.output for step in steps if step.terms)
        self.made.update(step.output for step in steps)
        self.still.update((s.output, s.still) for s in steps if s.still is not None)

    def forward(self, name: str) -> Array:
        """Value of a tensor in the program's own forward pass, which goes as far as asked."""
        known = ChainMap(self._own, self.inputs)
        if name in known:
            return known[name]
        if name in self._passed:  # let go of, and asked for once more by what was made of it
            return forth(self.steps, dict(self.inputs), self._made, {name})[name]
        # Steps are only ever appended; those of a body are replaced by others that make the same.
        for i in range(len(self._passed), len(self.steps)):
            step = self.steps[i]
            self._own[step.output] = self._made(step, known)
            self._passed.add(step.output)
        value = known[name]
        self._drop()
        return value

    def done(self, names: Iterable[str]) -> None:
        """Say that no step to come reads these: the forward pass lets go of them behind it."""
        self._done.update(names)

    def finish(self) -> None:
        """Let go of the whole forward pass: what was made of it may hold on to this build."""
        self._done.update(self._own)
        self._drop()

    def _drop(self) -> None:
        for name in self._done:
            self._own.pop(name, None)
        self._done.clear()

    def _made(self, step: Step, values: Mapping[str, Array]) -> Array:
        native, own = self.values[step.output], step(values)
        # Infinities, and the NaN of a row that is masked as a whole, are as they are.
        fine = np.isfinite(native)
        return own if fine.all() else np.where(fine, own, native)
