"""A program in the making, at one x."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxlin.primitives import Array
from onnxlin.program.linear_program import Decision, Step


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
    own : {tensor: array}
        The program's own forward pass, as far as somebody asked for it.
    alive : set of str
        Tensors that, at this x, really depend on the inputs: a locally constant node ends it.
    made : set of str
        Tensors that a step makes, whether they depend on the inputs or are held.
    whole : {str: str}
        Tensor -> the sequence that holds it.
    coarse : bool
        Whether the run starts from coarser numbers than the map is made of: then even a tensor of
        the map's own type carries their rounding.
    """

    values: dict[str, Array]
    dtype: np.dtype[Any]
    steps: list[Step]
    own: dict[str, Array]
    alive: set[str]
    decisions: list[Decision] = field(default_factory=list)
    made: set[str] = field(default_factory=set)
    whole: dict[str, str] = field(default_factory=dict)
    coarse: bool = False

    def add(self, steps: Sequence[Step]) -> None:
        """Append steps."""
        self.steps.extend(steps)
        self.alive.update(step.output for step in steps if step.terms)
        self.made.update(step.output for step in steps)

    def forward(self, name: str) -> Array:
        """Value of a tensor in the program's own forward pass."""
        if name not in self.own:
            for step in self.steps:
                if step.output not in self.own:
                    native, own = self.values[step.output], step(self.own)
                    # Infinities, and the NaN of a row that is masked as a whole, are as they are.
                    fine = np.isfinite(native)
                    self.own[step.output] = own if fine.all() else np.where(fine, own, native)
        return self.own[name]
