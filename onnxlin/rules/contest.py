"""Winners: which of several entries is the largest, and by how much."""

from __future__ import annotations

import numpy as np

from onnxlin.primitives import Array


def lead(entries: Array) -> Array:
    """How far the largest entry of the last axis is ahead of the next one.

    ``(*shape, n) -> shape``; 0 where two are equal, infinite where there is no other entry.
    """
    if entries.shape[-1] < 2:
        return np.full(entries.shape[:-1], np.inf)
    # Wider than the runtime's numbers, so that a gap is never rounded to a tie.
    top = np.partition(entries, -2, axis=-1)[..., -2:].astype(np.float64)
    # -inf stands for places outside of the input: no rival, and no winner of its own.
    with np.errstate(invalid="ignore"):
        gap = np.where(top[..., 1] == top[..., 0], 0.0, top[..., 1] - top[..., 0])
    return np.where(np.isneginf(top[..., 0]), np.inf, gap)
