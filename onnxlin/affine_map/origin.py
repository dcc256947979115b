"""What a map was made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from onnxlin.engines.job import Job
from onnxlin.graph.mapped import MappedFile, require_unchanged
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram


@dataclass(frozen=True, eq=False)
class Origin:
    """What a map was made from: needed for everything beyond W and b.

    ``decided`` makes the program again in float64, with what only decides (a comparison for a
    Where) among its steps and decisions. ``anew`` makes all of this again, in another process.
    ``files`` are those that weights of the program lie in.
    """

    program: LinearProgram
    values: Mapping[str, Array]
    job: Job
    decided: Callable[[], LinearProgram] | None = None
    anew: Callable[[], Origin] | None = None
    files: Sequence[MappedFile] = ()

    def unchanged(self) -> Origin:
        """Return it; raise ModelError where a file that holds weights has been written to."""
        require_unchanged(self.files)
        return self
