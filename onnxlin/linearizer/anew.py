"""What a map was made from, made once more: where it is asked for late, or in another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxlin.affine_map import Origin
from onnxlin.engines.confined import confined
from onnxlin.engines.job import Progress
from onnxlin.engines.seeds import Seeds
from onnxlin.graph import Array


@dataclass(frozen=True, eq=False)
class Anew:
    """How what a map was made from is made again: the model is run, and its rules are asked.

    Parameters
    ----------
    ready : Ready
    feeds : {input name: array}
        x, in the model's own types.
    dtype : numpy.dtype
        Of the program.
    seeds : Seeds
        The rows asked.
    progress : callable, optional
        Of this process alone.
    stored : bool
        Whether the map's W lies in a file: that, too, in this process alone.
    """

    ready: Any  # which imports this
    feeds: Mapping[str, Array]
    dtype: np.dtype[Any]
    seeds: Seeds
    progress: Progress | None = None
    stored: bool = False

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "progress": None, "stored": False}

    def own(self) -> dict[str, Array]:
        """Run the model once: see `Ready.own`."""
        with confined(self.ready.threads):
            return self.ready.own(self.feeds)

    def __call__(self) -> Origin:
        """Make it."""
        with confined(self.ready.threads):
            return self._made()

    def _made(self) -> Origin:
        values = self.ready.trace(self.feeds)
        program = self.ready.builder(values, self.dtype)
        job = self.ready.job(program, values, self.seeds, self.progress, stored=self.stored)
        return self.ready.origin(self.feeds, values, program, job)
