"""Across jumps: pieces that tile the way, on each of which the runtime is where its line is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin import Linearizer, RegionError
from onnxlin.primitives import Array
from onnxlin.readings.path import Path, walk
from onnxlin.readings.region import obstacles
from onnxlin.testing import GrownModel, onnx_models
from tests.graphs import EXACT
from tests.small import model
from tests.test_patterns import Counts

JUMPS = (
    "QuantizeLinear",
    "Floor",
    "Ceil",
    "Round",
    "Sign",
    "Cast",
    "Greater",
    "Equal",
    "ArgMax",
    "TopK",
    "OneHot",
    "Mod",
    "Hardmax",
    "ThresholdedRelu",
    "Shrink",
    "NonZero",
    "Unique",
    "And",
    "Not",
    "Gather",
)
AFFINE = ("Add", "Where", "Concat", "Relu", "MaxPool", "ReduceMean", "Sub", "AveragePool", "Max")
# Where on a piece the runtime is asked.
PLACES = (0.1, 0.5, 0.9)


def pictures(x: dict[str, Array], seed: int, levels: int) -> tuple[dict[str, Array], ...]:
    """Two inputs of whole levels over 255, zeros among them, some of them equal."""
    rng = np.random.default_rng(seed)
    ends = []
    for _ in range(2):
        whole = {n: rng.integers(-levels, levels + 1, v.shape) for n, v in x.items()}
        ends.append({n: (v / 255).astype(np.float32) for n, v in whole.items()})
    kept = {n: rng.random(v.shape) < 0.3 for n, v in x.items()}
    second = {n: np.where(kept[n], ends[0][n], v) for n, v in ends[1].items()}
    return ends[0], second


def at(x0: dict[str, Array], x1: dict[str, Array], t: float) -> dict[str, Array]:
    """A point of the way, in the model's own numbers."""
    wide = {n: (v.astype(np.float64), x1[n].astype(np.float64)) for n, v in x0.items()}
    return {n: (a + t * (b - a)).astype(x0[n].dtype) for n, (a, b) in wide.items()}


def assert_pieces_are_the_model(
    lin: Linearizer, x0: dict[str, Array], x1: dict[str, Array], path: Path, most: int = 40
) -> int:
    """At several t of every piece F as the runtime has it lies on the piece's line."""
    assert path.t[0] == 0
    assert path.t[-1] == 1
    assert (np.diff(path.t) > 0).all()
    seen = 0
    for i in range(0, len(path), -(-len(path) // most)):
        for share in PLACES:
            t = path.t[i] + share * (path.t[i + 1] - path.t[i])
            x = at(x0, x1, t)
            if not told_apart(path, i, t, x0, x1):
                continue
            m = lin(x, dtype=np.float64)
            line = path.left[i] + share * (path.right[i] - path.left[i])
            # The run saw x rounded: F moves by no more than W times that.
            exact = path.ends[0].x + t * (path.ends[1].x - path.ends[0].x)
            allowed = m.bound * m.scale + np.abs(m.W) @ np.abs(m.x - exact)
            allowed += 2.0**-50 * np.maximum(np.abs(path.left[i]), np.abs(path.right[i]))
            assert (np.abs(line - m.y) <= allowed).all(), (i, t, line, m.y, allowed)
            seen += 1
    return seen


def told_apart(path: Path, i: int, t: float, x0: dict[str, Array], x1: dict[str, Array]) -> bool:
    """Whether t is farther from the ends of its piece than the roundings of x take any entry."""
    blur = 0.0
    for name, first in x0.items():
        size, move = np.maximum(np.abs(first), np.abs(x1[name])), np.abs(x1[name] - first)
        moves = move > 0
        blur = max(blur, float((2.0**-22 * size[moves] / move[moves]).max(initial=0)))
    return min(t - path.t[i], path.t[i + 1] - t) > blur


def test_pieces_between_pictures_across_jumps() -> None:
    counts = Counts()

    @given(
        onnx_models((*JUMPS, *AFFINE), min_nodes=2, max_nodes=5),
        st.integers(0, 999),
        st.sampled_from((255, 12, 600)),
    )
    def law(grown: GrownModel, seed: int, levels: int) -> None:
        x0, x1 = pictures(grown.x, seed, levels)
        lin = Linearizer(grown.model)
        try:
            if obstacles(lin(x0)):
                return
            path = walk(lin, x0, x1)
        except (onnxlin.TraceError, onnxlin.UnsupportedNodeError):
            counts.skipped += 1  # where Compress finds another number of entries, shapes clash
            return
        except RegionError as error:
            assert "kink" not in str(error)
            counts.skipped += 1
            return
        counts.used += 1
        assert_pieces_are_the_model(lin, x0, x1, path)
        total = path.ends[1].y - path.ends[0].y
        rises = (path.right - path.left).sum(axis=0)
        size = np.abs(path.left).sum(axis=0) + np.abs(path.right).sum(axis=0)
        allowed = sum(m.bound * m.scale for m in path.ends) + 2.0**-50 * size
        assert (np.abs(rises + path.jump - total) <= allowed).all()

    law()
    counts.assert_mostly_used()
