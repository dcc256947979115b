"""Shapes: which ones a number of entries has, and which ones broadcast."""

from __future__ import annotations

from math import prod

import numpy as np

Shape = tuple[int, ...]


def factorised(size: int, rank: int) -> list[Shape]:
    """Shapes of a rank with so many entries."""
    if rank == 0:
        return [()] if size == 1 else []
    if rank == 1:
        return [(size,)]
    sides = [n for n in range(1, 7) if size and size % n == 0]
    return [(n, *rest) for n in sides for rest in factorised(size // n, rank - 1)][:400]


def broadcasts(one: Shape, other: Shape, most: int) -> bool:
    """Whether two shapes broadcast, to at most so many entries."""
    try:
        return prod(np.broadcast_shapes(one, other)) <= most
    except ValueError:
        return False
