"""The map holds all over its activation pattern, and only there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxlin import AffineMap, Linearizer, TraceError, linearize
from onnxlin.graph import Array
from onnxlin.testing import GrownModel, onnx_models
from onnxlin.testing.bounds.differences import KinkError, assert_tangent
from tests.graphs import EXACT
from tests.small import model


def moved(grown: GrownModel, direction: Array, step: float) -> GrownModel:
    """The same model at x + step * direction."""
    x, at = {}, 0
    for name, value in grown.x.items():
        part = direction[at : at + value.size].reshape(value.shape)
        x[name] = np.asarray(value + step * part, np.float32)
        at += value.size
    return GrownModel(grown.model, x)


def near(lin: Linearizer, grown: GrownModel, m: AffineMap, direction: Array) -> AffineMap | None:
    """The map at the first x', nearer and nearer to x, that has the pattern of x."""
    for halvings in range(0, 18, 3):
        try:
            other = lin(moved(grown, direction, 2.0**-halvings).x, dtype=np.float64)
        except TraceError:
            continue  # where Unique or Compress finds another number of entries, shapes clash
        if other.pattern_key == m.pattern_key:
            return other
    return None


class Counts:
    """How many examples a test used, and how many it had to leave out."""

    def __init__(self) -> None:
        self.used = self.skipped = 0

    def assert_mostly_used(self) -> None:
        """More than half of the examples said something."""
        assert self.used > self.skipped, f"{self.used} used, {self.skipped} left out"


def test_same_pattern_same_map() -> None:
    counts = Counts()

    @given(onnx_models(EXACT, min_nodes=2), st.integers(0, 99))
    def law(grown: GrownModel, seed: int) -> None:
        lin = Linearizer(grown.model)
        m = lin(grown.x, dtype=np.float64)
        other = near(lin, grown, m, np.random.default_rng(seed).normal(size=m.x.size))
        if other is None:
            # On a tie most directions leave the pattern at once; else it is open around x.
            assert sum(m.near_kinks().values()) > 0 or jumps(grown)
            counts.skipped += 1
            return
        counts.used += 1
        np.testing.assert_array_equal(other.W, m.W)
        np.testing.assert_array_equal(other.b, m.b)
        gap = np.abs(m(other.x) - other.y)
        assert (gap <= other.bound * other.scale).all()

    law()
    counts.assert_mostly_used()


def assert_kink_between(m: AffineMap, one: GrownModel, other: GrownModel) -> None:
    """A pattern changes only across a kink, and near_kinks sees it."""
    before, after = one.tensors(), other.tensors()
    moves = [np.abs(after[name] - before[name]).max(initial=0) for name in before]
    # Two rivals may have moved towards one another.
    assert sum(m.near_kinks(2 * max(moves)).values()) > 0 or jumps(one)


def jumps(grown: GrownModel) -> bool:
    """Whether a comparison, an index or a code decides something: nobody asks for its margin."""
    return len(grown.tensors()) < len(grown.tensors(floats=False))


def test_finite_differences() -> None:
    counts = Counts()

    @given(onnx_models(EXACT, min_nodes=2, ties=False), st.integers(0, 10**6))
    def law(grown: GrownModel, column: int) -> None:
        lin = Linearizer(grown.model)
        m = lin(grown.x, dtype=np.float64)
        unit = np.zeros(m.x.size)
        unit[column % unit.size] = 1
        for step in (2.0**-4, 2.0**-8):
            sides = [moved(grown, unit, s) for s in (step, -step)]
            up, down = (lin(side.x, dtype=np.float64) for side in sides)
            changed = [
                s
                for s, at in zip(sides, (up, down), strict=True)
                if at.pattern_key != m.pattern_key
            ]
            if not changed:
                counts.used += 1
                assert_slope(m, up, down)
                return
            assert_kink_between(m, grown, changed[0])
        counts.skipped += 1

    law()
    counts.assert_mostly_used()


def test_finite_differences_of_smooth_graphs() -> None:
    counts = Counts()

    @given(onnx_models(min_nodes=2, ties=False), st.integers(0, 99))
    def law(grown: GrownModel, seed: int) -> None:
        lin = Linearizer(grown.model)
        try:
            assert_tangent(lin, grown.x, lin(grown.x, dtype=np.float64), seed)
        except KinkError:
            counts.skipped += 1
        else:
            counts.used += 1

    law()
    counts.assert_mostly_used()


def assert_slope(m: AffineMap, up: AffineMap, down: AffineMap) -> None:
    """The difference of two runs of onnxruntime is W times that of their inputs."""
    rounding = up.bound * up.scale + down.bound * down.scale
    assert (np.abs((up.y - down.y) - m.W @ (up.x - down.x)) <= rounding).all()


def test_scalars_are_part_of_the_pattern() -> None:
    proto = model("g (float x) => (float y) { y = Relu(x) }")
    keys = {linearize(proto, np.float32(x)).pattern_key for x in (-1, 1)}
    assert len(keys) == 2


def test_places_are_part_of_the_pattern() -> None:
    """One index is read as a box, whose start is a number and no array."""
    proto = model("g (float[3] x, int64[1] i) => (float[1] y) { y = Gather(x, i) }")
    x = np.ones(3, np.float32)
    keys = {linearize(proto, {"x": x, "i": np.array([i])}).pattern_key for i in range(3)}
    assert len(keys) == 3


FIXED = {
    "Gemm": "y = Gemm <transA = 1, transB = 1, alpha = 2.0> (x, A, c)",
    "MatMul": "y = MatMul(x, A)",
    "Mul": "y = Mul(A, x)",
    "Div": "y = Div(x, A)",
    "Sub": "y = Sub(A, x)",
    "Einsum": 'y = Einsum <equation = "ij,jk->ik"> (x, A)',
    "PRelu of a constant": "k = PRelu(A, A)  y = Mul(k, x)",
}


@pytest.mark.parametrize("text", FIXED.values(), ids=FIXED)
def test_weights_are_no_part_of_the_pattern(text: str) -> None:
    """A piece that is the same for every x is made once, and its numbers are in no key."""
    values = "float[2,2] A = {1, 2, 3, 4}, float[2] c = {1, 2}"
    lin = Linearizer(model(f"g (float[2,2] x) => (float[2,2] y) <{values}> {{ {text} }}"))
    one, two = (lin(np.full((2, 2), at, np.float32), dtype=np.float64) for at in (1, -3))
    pairs = zip(one.layers, two.layers, strict=True)
    assert all(a.step is b.step and not a.step.varies for a, b in pairs)
    assert one.verify().pattern_key == two.verify().pattern_key
