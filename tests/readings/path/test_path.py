"""Between two inputs: every piece, nothing between the pieces, and exact gradients over them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path as File

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin import Linearizer, RegionError, linearize
from onnxlin.primitives import Array
from onnxlin.readings.path import Path, walk
from onnxlin.readings.path import between as path_walk
from onnxlin.readings.region import Region, obstacles
from onnxlin.testing import GrownModel, onnx_models
from tests.graphs import EXACT
from tests.installed import require
from tests.readings.exactly import in_double, instance
from tests.readings.region.test_region import BENT, HIDDEN, WHERE
from tests.small import model
from tests.test_patterns import Counts

CONV_NETS = ("lenet5_mnist", "resnet_mnist", "densenet_fashion")


def on_a_grid(x: Array, step: float = 2.0**-9) -> Array:
    """Numbers of few bits: what lies a sixteenth of the way between two of them is exact."""
    return np.round(x / step) * step


def close_by(lin: Linearizer, distance: float = 0.02) -> tuple[Array, Array]:
    """An input and another one near it, on the grid."""
    x0 = on_a_grid(instance(lin))
    move = np.random.default_rng(1).normal(size=x0.shape) * distance
    return x0, on_a_grid(x0 + move).astype(x0.dtype)


def ends(name: str, fixtures: File) -> tuple[Linearizer, Array, Array]:
    """A net, an input, and one near it: so near that a dense net has a few hundred pieces."""
    require(fixtures / f"{name}.onnx")
    lin = Linearizer(fixtures / f"{name}.onnx")
    return lin, *close_by(lin, 0.002 if "dense" in name else 0.02)


# The exact function


def test_f_between_breakpoints_of_random_graphs() -> None:
    counts = Counts()

    @given(onnx_models(EXACT, min_nodes=2, ties=False), st.integers(0, 99))
    def law(grown: GrownModel, seed: int) -> None:
        rng = np.random.default_rng(seed)
        x0 = {name: on_a_grid(v).astype(v.dtype) for name, v in grown.x.items()}
        x1 = {n: on_a_grid(v + rng.normal(size=v.shape)).astype(v.dtype) for n, v in x0.items()}
        lin = Linearizer(grown.model)
        try:
            if obstacles(lin(x0)):
                return
            if any(Region(lin(x)).ties for x in (x0, x1)):
                counts.skipped += 1  # the model's value on a jump is that of one side only
                return
            path = walk(lin, x0, x1)
        except (onnxlin.TraceError, onnxlin.UnsupportedNodeError, RegionError):
            counts.skipped += 1  # where Compress finds another number of entries, shapes clash
            return
        counts.used += 1
        for t in np.arange(1, 16) / 16:
            if np.abs(path.t - t).min() < 1e-9:
                continue  # on a jump either side is right
            m = lin({n: v + v.dtype.type(t) * (x1[n] - v) for n, v in x0.items()})
            # Between two breakpoints F is interpolated, in float64.
            own = 2.0**-50 * np.maximum(np.abs(path.left), np.abs(path.right)).max(axis=0)
            assert (np.abs(path(t)[0] - m.y) <= m.bound * m.scale + own).all()

    law()
    counts.assert_mostly_used()


@pytest.mark.parametrize("name", CONV_NETS)
def test_f_between_breakpoints_of_fixtures(name: str, fixtures: File) -> None:
    lin, x0, x1 = ends(name, fixtures)
    path = walk(lin, x0, x1)
    assert len(path) > 50
    for t in np.arange(0, 17) / 16:
        m = lin(x0 + np.float32(t) * (x1 - x0), dtype=np.float64)
        assert (np.abs(path(t)[0] - m.y) <= m.bound * m.scale).all()
    assert (np.abs(path.jump) <= 1e-12 * np.abs(path.left).max()).all()


def test_patterns_change_at_breakpoints_and_only_there(fixtures: File) -> None:
    """In double precision the run itself sees each piece."""
    lin = Linearizer(in_double(fixtures / "mlp5_mnist.onnx"))
    x0, x1 = instance(lin, 0), instance(lin, 1)
    path = walk(lin, x0, x1)

    def key(t: float) -> str:
        return lin(x0 + t * (x1 - x0), rows=[0]).pattern_key

    found = [(key(a + 0.01 * (b - a)), key(b - 0.01 * (b - a))) for a, b in pairwise(path.t)]
    assert len(path) > 20
    assert all(first == last for first, last in found)
    assert all(before[1] != after[0] for before, after in pairwise(found))
    assert all(unit is not None and unit.op_type == "Relu" for unit in path.units)


@pytest.mark.parametrize("name", ["lenet5_mnist", "cnn_bn_fashion"])
def test_both_ways_of_cutting_agree(
    name: str, fixtures: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cell by cell, and all cells at once: two programs, one answer."""
    require(fixtures / f"{name}.onnx")
    lin = Linearizer(fixtures / f"{name}.onnx")
    x0, x1 = close_by(lin)
    together = walk(lin, x0, x1)
    monkeypatch.setattr(path_walk, "by_rows", lambda *_: False)
    apart = walk(lin, x0, x1)
    assert len(together) == len(apart) > 20
    np.testing.assert_allclose(together.t, apart.t, atol=1e-12, rtol=0)
    size = np.abs(together.left).max()
    np.testing.assert_allclose(together.left, apart.left, atol=1e-12 * size, rtol=0)
    # Of rivals that are equal, either may be named.
    named = [[(u.node, u.index) for u in path.units if u] for path in (together, apart)]
    assert named[0] == named[1]
    assert together.integrated is not None
    assert apart.integrated is not None
    one, other = together.integrated.attributions, apart.integrated.attributions
    np.testing.assert_allclose(one, other, atol=1e-12 * np.abs(one).max(), rtol=0)


def test_little_memory_changes_nothing(fixtures: File, monkeypatch: pytest.MonkeyPatch) -> None:
    lin = Linearizer(fixtures / "lenet5_mnist.onnx")
    x0, x1 = close_by(lin)
    whole = walk(lin, x0, x1)
    monkeypatch.setattr(path_walk, "BATCH", 2**19)
    parts = walk(lin, x0, x1)
    assert len(parts) == len(whole)
    np.testing.assert_allclose(parts.t, whole.t, atol=1e-12, rtol=0)


def test_comparisons_and_jumps() -> None:
    """y = 3 x where x > 1/2, else -x: it jumps by 2 at a half, which one entry reaches."""
    lin = Linearizer(model(WHERE))
    path = walk(lin, np.array([0, 0], np.float32), np.array([1, 0], np.float32), rows=[0])
    np.testing.assert_array_equal(path.t, [0, 0.5, 1])
    np.testing.assert_array_equal(path.left[:, 0], [0, 1.5])
    np.testing.assert_array_equal(path.right[:, 0], [-0.5, 3])
    np.testing.assert_array_equal(path.jump, [2])
    (unit,) = path.units
    assert unit is not None
    assert unit.node == "c"
    found = path.integrated
    assert found is not None
    np.testing.assert_array_equal(found.attributions, [1, 0])
    assert found.gap == 0


def test_what_is_only_compared_cuts() -> None:
    """h = (x0 + x1, x0 - x1) is compared with 1 and with 0."""
    lin = Linearizer(model(HIDDEN))
    path = walk(lin, np.array([0, 0.25], np.float32), np.array([1, 0.25], np.float32))
    np.testing.assert_allclose(path.t, [0, 0.25, 0.75, 1], atol=1e-12)


def test_kinks_that_meet_are_one_breakpoint() -> None:
    lin = Linearizer(model("g (float[1,3] x) => (float[1,3] y) { y = Relu(x) }"))
    path = walk(lin, np.full((1, 3), -1, np.float32), np.full((1, 3), 1, np.float32))
    np.testing.assert_allclose(path.t, [0, 0.5, 1], atol=1e-12)
    assert walk(lin, np.ones((1, 3), np.float32), np.ones((1, 3), np.float32)).units == ()


# Classes


def test_class_changes_are_where_the_largest_changes(fixtures: File) -> None:
    lin = Linearizer(in_double(fixtures / "mlp2_mnist.onnx"))
    x0, x1 = instance(lin, 0) * 0, instance(lin, 1)
    for scale in (1.0, -1.0):
        path = walk(lin, x0, scale * x1)
        tops = [int(path(0.0)[0].argmax()), *(change.after for change in path.changes)]
        edges = [0.0, *(change.t for change in path.changes), 1.0]
        for (start, end), top in zip(pairwise(edges), tops, strict=True):
            for t in np.linspace(start, end, 7)[1:-1]:
                assert lin(x0 + t * scale * x1).y.argmax() == top
        for change in path.changes:
            y = path(change.t)[0]
            assert y[change.before] == pytest.approx(y[change.after], abs=1e-9)


# Integrated Gradients


def test_integrated_gradients_are_the_sum_over_the_pieces(fixtures: File) -> None:
    """The map that `Linearizer` finds in the middle of each piece, times its length."""
    lin = Linearizer(in_double(fixtures / "mlp2_mnist.onnx"))
    x0, x1 = instance(lin, 0), instance(lin, 1)
    path = walk(lin, x0, x1, integrate=3)
    move = (x1 - x0).ravel()
    exact = sum(
        (b - a) * lin(x0 + (a + b) / 2 * (x1 - x0), rows=[3]).W[0] * move
        for a, b in pairwise(path.t)
    )
    found = path.integrated
    assert found is not None
    np.testing.assert_allclose(found.attributions, exact, atol=1e-12, rtol=1e-9)
    assert found.attributions.sum() == pytest.approx(found.total, abs=1e-9)


@pytest.mark.parametrize("name", CONV_NETS)
def test_integrated_gradients_sum_to_the_difference(name: str, fixtures: File) -> None:
    lin, x0, x1 = ends(name, fixtures)
    path = walk(lin, x0, x1, samples=(5, 5000))
    found = path.integrated
    assert found is not None
    first, last = (float(m.y[found.row]) for m in path.ends)
    assert found.total == last - first
    assert abs(found.attributions.sum() - found.total) <= found.bound
    # A piece between two samples is missed, or counted for too long, by less than a step.
    assert found.error(5000) < min(found.error(5), 1e-3)


def test_samples_are_gradients_at_the_middles_of_equal_steps(fixtures: File) -> None:
    lin = Linearizer(in_double(fixtures / "mlp2_mnist.onnx"))
    x0, x1 = instance(lin, 0), instance(lin, 1)
    path = walk(lin, x0, x1, integrate=0, samples=(7,))
    found = path.integrated
    assert found is not None
    middles = (np.arange(7) + 0.5) / 7
    mean = np.mean([lin(x0 + t * (x1 - x0), rows=[0]).W[0] for t in middles], axis=0)
    np.testing.assert_allclose(found.sampled[7], mean * (x1 - x0).ravel(), atol=1e-12)


def test_without_biases_it_is_w_times_x(fixtures: File) -> None:
    """From the zero baseline there is one piece then (Hesse et al., NeurIPS 2021)."""
    text = """g (float[1,3] x) => (float[1,2] y) <float[3,2] A = {1, -2, 0.5, 1, 2, -1}> {
        h = MatMul(x, A)  y = Relu(h) }"""
    lin, x = Linearizer(model(text)), np.array([[1.0, 2.0, -0.5]], np.float32)
    path = walk(lin, 0 * x, x, integrate=0)
    assert len(path) == 1
    assert path.integrated is not None
    np.testing.assert_allclose(path.integrated.attributions, lin(x).contributions[0], atol=1e-12)


# What is refused


def straight(text: str, x: Array, **options: object) -> Path:
    return walk(Linearizer(model(text)), x, x + 1, **options)  # type: ignore[arg-type]


def test_refusals() -> None:
    x = np.ones(3, np.float32)
    with pytest.raises(RegionError, match=r"(?s)1 node smooth.*Tanh 'bend'"):
        straight(BENT, x)
    loop = """g (float[3] x) => (float[3] y) <int64 n = {2}> {
        [again] y = Loop (n, , x) <body = b (int64 i, bool c, float[3] s)
            => (bool k, float[3] r) { k = Identity(c)  r = Relu(s) }> }"""
    with pytest.raises(RegionError, match=r"Loop 'again' is opened into a graph of its own"):
        straight(loop, x)
    with pytest.raises(onnxlin.RowsError, match=r'integrate=9; expected "top", None or a position'):
        straight("g (float[3] x) => (float[3] y) { y = Relu(x) }", x, integrate=9)


def test_a_walk_that_misses_the_model_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = path_walk.Walk.outputs_of
    monkeypatch.setattr(path_walk.Walk, "outputs_of", lambda *a: (wrong(*a)[0], wrong(*a)[1] + 1))
    with pytest.raises(onnxlin.ResidualError, match=r"The walk gives .* at x0, the model"):
        straight("g (float[3] x) => (float[3] y) { y = Relu(x) }", np.ones(3, np.float32))


def test_gradients_that_miss_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = path_walk.Walk.gradients
    monkeypatch.setattr(path_walk.Walk, "gradients", lambda *a: 2 * wrong(*a))
    with pytest.raises(onnxlin.ResidualError, match=r"Integrated Gradients of row . miss F\(x1\)"):
        straight("g (float[3] x) => (float[3] y) { y = Relu(x) }", np.ones(3, np.float32))


def test_progress_comes_to_its_end() -> None:
    seen: list[tuple[int, int]] = []
    text = "g (float[3] x) => (float[3] y) { y = Relu(x) }"
    straight(text, np.full(3, -0.5, np.float32), progress=lambda *at: seen.append(at))
    assert seen[-1] == (1000, 1000)


def test_a_path_begins_at_the_map_of_its_end() -> None:
    text, x = "g (float[3] x) => (float[3] y) { y = Relu(x) }", np.ones(3, np.float32)
    path = straight(text, x)
    np.testing.assert_array_equal(path.ends[0].W, linearize(model(text), x).W)
