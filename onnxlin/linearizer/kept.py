"""A map whose W is computed into its file, a block of rows at a time, and read from there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from onnxlin.affine_map import AffineMap, filling
from onnxlin.engines.blocks import Blocks, together
from onnxlin.engines.job import Solution
from onnxlin.graph import Array
from onnxlin.linearizer.told import Told


def kept(
    path: str | os.PathLike[str],
    blocks: Blocks,
    make: Callable[[Solution], AffineMap],
    told: Told,
) -> AffineMap:
    """Compute a map into its file, with its bound; until all of it is there the older file stays.

    Parameters
    ----------
    path : path
        Of the file.
    blocks : Blocks
        W.
    make : callable
        Makes the map once its W is written.
    told : Told
        Whoever computes blocks and bound tells it how far they are.

    Raises
    ------
    FileError
        It cannot be written.
    """
    shares: list[Mapping[str, Array]] = []
    counts: list[int] = []

    def rows(solution: Solution) -> Array:
        shares.append(solution.bias)
        counts.append(len(solution.W))
        return solution.W

    with filling(path, (len(blocks.seeds), blocks.columns), blocks.dtype) as file:
        # By map, which holds no block while the next is computed.
        file.fill(map(rows, blocks))
        m = make(Solution(file.W, together(shares, counts)))
        file.finish(m, m.error_bound)
    told.end()
    return m
