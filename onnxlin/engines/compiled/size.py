"""What a session of a compiled graph takes, and in which of two layouts it is compiled.

What is fastest is a graph whose weights onnxruntime lays out anew, for either direction. What is
lean reads the weights where they lie, as inputs of the graph: no optimiser copies those.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from onnxlin.engines.memory import enough, mib
from onnxlin.errors import MemoryBudgetError
from onnxlin.section import Section

COPIES = 2
"""Of the weights, that a session makes which is fast: one for either direction."""

OPENING = 7
"""Times the weights that there are while a fast graph is opened: folded, laid out anew, packed."""

SMALL = 8 * 2**20
"""Bytes of copies that nobody misses."""

MORE = 0.5
"""Part of a lean graph's memory that copies may take where no budget is given."""


@dataclass(frozen=True)
class Part:
    """Bytes that onnxruntime's arena takes for each that the tensors of a run, or a row, have."""

    tensors: float
    row: float


# Measured with onnxruntime 1.32 (docs/performance.md): blocked convolutions read and write copies
# in a layout of their own, and a lean sweep is never as wide as that of NumPy.
FAST, LEAN = Part(1.1, 1.2), Part(0.95, 0.75)


@dataclass(frozen=True)
class Size:
    """Bytes that a compiled graph takes.

    Parameters
    ----------
    weights : int
        The model's constants.
    tensors : int
        What the forward pass keeps.
    row : int
        A sweep of one row.
    lean : bool
    """

    weights: int
    tensors: int
    row: int
    lean: bool = False

    @property
    def copies(self) -> int:
        """What onnxruntime keeps of the weights beside the model's own."""
        return 0 if self.lean else COPIES * self.weights

    @property
    def standing(self) -> int:
        """All that does not depend on the number of rows."""
        part = LEAN if self.lean else FAST
        return self.weights + self.copies + int(part.tensors * self.tensors)

    @property
    def each(self) -> int:
        """What each row takes."""
        return int((LEAN if self.lean else FAST).row * self.row)

    def __str__(self) -> str:
        tensors = self.standing - self.weights - self.copies
        parts = {"weights": self.weights, "their copies": self.copies, "tensors": tensors}
        return ", ".join(f"{name} {mib(size)}" for name, size in parts.items() if size)


Layout = Callable[[Size], Size]
"""Chooses one of the two for sizes."""


def weight_of(section: Section) -> int:
    """Bytes of a model's constants."""
    return sum(array.nbytes for array in section.graph.initialisers.values())


def within(size: Size, memory: int, *, asked: bool) -> Size:
    """Choose the fast layout if it fits, the lean one otherwise.

    Parameters
    ----------
    memory : int
        Bytes that may be used.
    asked : bool
        Whether the caller has said so many. Otherwise copies are not worth half as much memory
        again as everything else.

    Raises
    ------
    MemoryBudgetError
        Neither fits.
    """
    lean = replace(size, lean=True)
    need = lean.standing + lean.each
    if need > memory:
        raise MemoryBudgetError(
            f"engine='compiled' needs about {mib(need)} for one row ({lean}, a row "
            f"{mib(lean.each)}); memory={mib(memory)}. Raise memory= to {enough(need)}, or use "
            "engine='reverse'."
        )
    fits = max(size.standing + size.each, OPENING * size.weights) <= memory
    most = memory if asked else max(SMALL, int(MORE * need))
    return size if fits and size.copies <= most else lean
