"""The region is where the map is the model: no further, and no less."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin import Linearizer, RegionError, linearize
from onnxlin.readings.region import Region, drift, obstacles, radius
from onnxlin.readings.region.radius import DUAL
from onnxlin.testing import GrownModel, onnx_models
from tests.graphs import EXACT
from tests.installed import opens
from tests.readings.exactly import in_double, instance, same_pieces, verdict
from tests.small import X, mlp, model
from tests.test_patterns import Counts, moved

# A comparison of two outputs, or of one of them with a number, in the way that exporters write it.
WHERE = """g (float[2] x) => (float[2] y) <float half = {0.5}, float three = {3}> {
    [c] c = Greater(x, half)  [s] s = Mul(x, three)  [n] n = Neg(x)  [w] y = Where(c, s, n) }"""
HIDDEN = """g (float[2] x) => (float[2] y) <float[2,2] A = {1, 1, 1, -1}, float[2] k = {1, 0}> {
    h = MatMul(x, A)  [c] c = Less(h, k)  m = Cast <to=1> (c)  y = Mul(x, m) }"""
BENT = "g (float[3] x) => (float[3] y) { [bend] t = Tanh(x)  y = Relu(t) }"


def at(text: str, x: object) -> Region:
    """The region of a small model."""
    return Region(linearize(model(text), np.array(x, np.float32)))


def nets(fixtures: Path) -> list[tuple[str, Linearizer]]:
    names = ("mlp2_mnist", "lenet5_mnist", "cnn_bn_fashion", "resnet_mnist", "densenet_fashion")
    paths = [(name, fixtures / f"{name}.onnx") for name in names]
    return [(name, Linearizer(path)) for name, path in paths if opens(path)]


# Membership


def test_membership_agrees_with_runs_of_random_graphs() -> None:
    counts = Counts()

    @given(onnx_models(EXACT, min_nodes=2), st.integers(0, 99), st.integers(0, 12))
    def law(grown: GrownModel, seed: int, halvings: int) -> None:
        lin = Linearizer(grown.model)
        m = lin(grown.x, dtype=np.float64)
        if obstacles(m):
            return
        region = Region(m)
        assert m.x in region
        step = 2.0**-halvings
        direction = np.random.default_rng(seed).normal(size=m.x.size)
        try:
            other = lin(moved(grown, direction, step).x, dtype=np.float64)
        except (onnxlin.TraceError, onnxlin.UnsupportedNodeError):
            return
        agreed = verdict(region, lin, other)
        counts.used += agreed is not None
        counts.skipped += agreed is None
        if agreed:
            assert other.x in region
            assert other.pattern_key == m.pattern_key
            assert (np.abs(m(other.x) - other.y) <= other.bound * other.scale).all()
        elif agreed is not None:
            assert other.x not in region
            assert not same_pieces(region, Region(other))

    law()
    counts.assert_mostly_used()


def test_membership_agrees_with_runs_of_fixtures(fixtures: Path) -> None:
    for name, lin in nets(fixtures):
        x, rng, seen = instance(lin), np.random.default_rng(1), set()
        m = lin(x, dtype=np.float64)
        region = Region(m)
        for step in 10.0 ** -np.arange(1, 8):
            other = lin(x + step * rng.normal(size=x.shape).astype(x.dtype), dtype=np.float64)
            agreed = verdict(region, lin, other)
            seen.add(agreed)
            if agreed is not None:
                assert (other.x in region) == agreed, name
                assert (other.pattern_key == m.pattern_key) == agreed, name
        assert False in seen, name


def test_equal_keys_in_other_processes(fixtures: Path) -> None:
    path = fixtures / "lenet5_mnist.onnx"
    code = (
        "import sys, numpy, onnxlin\n"
        "from onnxlin.readings.region import Region\n"
        "x = numpy.random.default_rng(0).random((1, 1, 28, 28))\n"
        "print(Region(onnxlin.linearize(sys.argv[1], x)).key)\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code, str(path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    x = np.random.default_rng(0).random((1, 1, 28, 28))
    assert found == {Region(linearize(path, x)).key + "\n"}


# Steps and radii


@given(onnx_models(EXACT, min_nodes=2, ties=False), st.integers(0, 99))
def test_a_step_ends_at_the_border(grown: GrownModel, seed: int) -> None:
    m = linearize(grown.model, grown.x)
    if obstacles(m):
        return
    region = Region(m)
    direction = np.random.default_rng(seed).normal(size=m.x.size)
    found = region.step(direction)
    assert bool(found.units) == np.isfinite(found.step)
    if not np.isfinite(found.step):
        assert m.x + 1e3 * direction in region
    elif found.step > 1e-6 * np.abs(m.x).max():
        assert m.x + 0.999 * found.step * direction in region
        assert m.x + 1.001 * found.step * direction not in region


@pytest.mark.parametrize("norm", DUAL)
@pytest.mark.parametrize("name", ["mlp2_mnist", "mlp5_mnist"])
def test_patterns_change_at_the_radius(name: str, norm: str, fixtures: Path) -> None:
    """In double precision the run itself tells 0.999 of a radius from 1.001 of it."""
    lin = Linearizer(in_double(fixtures / f"{name}.onnx"))
    for seed in range(5):
        m = lin(instance(lin, seed))
        found = Region(m).radius(norm)
        assert found.exact
        assert found.direction is not None
        assert np.linalg.norm(found.direction, {"l1": 1, "l2": 2, "linf": np.inf}[norm]) == (
            pytest.approx(1)
        )
        for share, same in ((0.999, True), (1.001, False)):
            x = m.x + share * found.upper * found.direction
            other = lin(x.reshape(m.inputs["image"].shape))
            assert (other.pattern_key == m.pattern_key) == same


@pytest.mark.parametrize("norm", DUAL)
@given(onnx_models(EXACT, min_nodes=2, ties=False))
def test_radius_is_the_least_over_all_half_spaces(norm: str, grown: GrownModel) -> None:
    """The search that stops early finds what looking at every gradient finds."""
    m = linearize(grown.model, grown.x)
    if obstacles(m):
        return
    region = Region(m)
    whole = region.polytope()
    sizes = np.linalg.norm(whole.A.toarray(), ord=DUAL[norm], axis=1)
    want = ((whole.c - whole.A @ m.x) / sizes).min(initial=np.inf)
    size = 1 + np.abs(m.x).max()
    for tried in (radius.TRIED, 10**9):  # by columns at once, wherever there are more guards
        with mock.patch.object(radius, "TRIED", tried):
            found = region.radius(norm)
        assert found.exact
        assert found.upper == pytest.approx(want, rel=1e-9, abs=1e-12 * size)


@pytest.mark.parametrize("norm", DUAL)
def test_columns_find_what_gradients_find(norm: str, fixtures: Path) -> None:
    """In a net whose guards far outnumber its features, and with fewer sweeps."""
    lin = Linearizer(fixtures / "densenet_fashion.onnx")
    region = Region(lin(instance(lin)))
    with mock.patch.object(radius, "TRIED", 10**9):  # none tried, so that what is left is most
        found = region.radius(norm)
    with mock.patch.object(radius.Search, "measure", side_effect=AssertionError):
        slow = region.radius(norm, sweeps=region.map.x.size)
    assert found.exact
    assert slow.lower <= found.upper * (1 + 1e-9)
    assert found.upper <= slow.upper * (1 + 1e-9)
    assert found.unit is not None


def test_bounds_where_the_budget_ends(fixtures: Path) -> None:
    lin = Linearizer(fixtures / "resnet_mnist.onnx")
    region = Region(lin(instance(lin)))
    exact, few = region.radius(), region.radius(sweeps=16)
    assert exact.exact
    assert not few.exact
    assert few.lower <= exact.upper <= few.upper
    assert few.lower < few.upper


def test_nothing_ends_an_affine_model() -> None:
    region = at("g (float[2] x) => (float[2] y) { y = Neg(x) }", [1, 2])
    assert region.guards == 0
    assert region.step([1, 0]).step == np.inf
    assert region.radius().upper == np.inf
    assert region.radius().unit is None
    assert [1e9, -1e9] in region


def test_decisions_and_certificate() -> None:
    """Within the certificate no x' is of another class; the nearest other one is met beyond."""
    lin = Linearizer(mlp())
    m = lin(X, dtype=np.float64)
    region = Region(m)
    for norm in DUAL:
        found = region.certificate(norm)
        assert found.decision is not None
        assert found.radius == min(found.region.upper, found.decision.distance)
    rng = np.random.default_rng(0)
    inside = rng.normal(size=(500, m.x.size))
    inside *= 0.999 * region.certificate().radius / np.linalg.norm(inside, axis=1, keepdims=True)
    tops = {int(lin((m.x + d).reshape(1, 3)).y.argmax()) for d in inside}
    assert tops == {int(m.y.argmax())}


# What decides


def test_a_comparison_ends_the_region() -> None:
    region = at(WHERE, [0.75, 0.0])
    found = region.step([-1, 0])
    assert found.step == 0.25
    (unit,) = found.units
    assert (unit.node, unit.op_type, unit.what, unit.index) == ("c", "Greater", "comparison", (0,))
    assert str(unit) == "comparison [0] of Greater 'c'"
    assert region.radius("linf").upper == 0.25


def test_a_comparison_of_what_reaches_no_output_otherwise() -> None:
    """h = (x0 + x1, x0 - x1) is only compared: with 1 and with 0."""
    region = at(HIDDEN, [0.25, 0.5])
    assert region.step([1, 0]).step == 0.25
    assert region.radius().upper == pytest.approx(0.25 / np.sqrt(2))


def test_a_window_names_its_rival() -> None:
    text = """g (float[1,1,4] x) => (float[1,1,2] y) {
        [pool] y = MaxPool <kernel_shape=[2], strides=[2]> (x) }"""
    (unit,) = at(text, [[[3, 1, 0, 9]]]).step([0, 1, 0, 0]).units
    assert (unit.what, unit.index, unit.rival) == ("window", (0, 0, 0), 1)
    assert "window [0,0,0] of MaxPool 'pool' against rival 1" in str(unit)


def test_near_ties_come_in_order() -> None:
    region = at("g (float[4] x) => (float[4] y) { y = Relu(x) }", [3, -1, 0, 2])
    assert [unit.room for unit in region.near_ties(3)] == [0, 1, 2]
    assert region.ties == 1
    assert region.radius().upper == 0
    assert region.radius(ties=False).upper == 1


def test_dead_windows_are_no_ties() -> None:
    text = """g (float[1,1,4] x) => (float[1,1,2] y) {
        z = Relu(x)  y = MaxPool <kernel_shape=[2], strides=[2]> (z) }"""
    region = at(text, [[[-1, -2, -3, -4]]])
    assert region.ties == 0
    assert region.radius().upper == 1


# Polytopes


def test_half_spaces_say_the_same(fixtures: Path) -> None:
    lin = Linearizer(mlp())
    m = lin(X, dtype=np.float64)
    region = Region(m)
    whole = region.polytope()
    points = m.x + np.random.default_rng(0).normal(size=(400, 3)) * 3
    inside = [x in region for x in points]
    assert inside == (whole.c[:, None] >= whole.A @ points.T).all(axis=0).tolist()
    assert 0 < sum(inside) < len(inside)
    assert len(whole.units) == len(whole.c) == 4


def test_facets_are_enough() -> None:
    box = (-3.0, 3.0)
    lin = Linearizer(mlp())
    whole = Region(lin(X, dtype=np.float64)).polytope()
    kept = whole.facets(box)
    points = np.random.default_rng(0).uniform(*box, size=(20_000, 3))
    sides = whole.c[:, None] >= whole.A @ points.T
    np.testing.assert_array_equal(sides[kept].all(axis=0), sides.all(axis=0))
    for i in kept:  # without a facet the polytope would be larger
        others = np.delete(np.arange(len(whole.c)), i)
        assert (sides[others].all(axis=0) & ~sides[i]).any()


def test_the_largest_ball_fits_and_touches() -> None:
    whole = Region(linearize(mlp(), X)).polytope()
    ball = whole.chebyshev((-3.0, 3.0))
    lengths = np.sqrt(whole.A.power(2).sum(axis=1))
    slack = (whole.c - whole.A @ ball.centre) / lengths
    walls = np.concatenate([slack, 3 - ball.centre, ball.centre + 3])
    assert walls.min() == pytest.approx(ball.radius, rel=1e-6)
    with pytest.raises(onnxlin.OptionError, match=r"unbounded.*Give box=\(low, high\)"):
        at("g (float[2] x) => (float[2] y) { y = Relu(x) }", [1, 2]).polytope().chebyshev()


# What has none


def test_smooth_nodes_are_named() -> None:
    m = linearize(model(BENT), np.ones(3, np.float32))
    assert obstacles(m) == ["Tanh 'bend' is smooth"]
    with pytest.raises(RegionError, match=r"(?s)1 node smooth.*Tanh 'bend'.*drift says"):
        Region(m)


@pytest.mark.parametrize("text", ["y = Sigmoid(x)", "s = Softmax(x)  y = MatMul(s, A)"])
def test_what_a_frozen_map_holds_leaves_no_region(text: str) -> None:
    """Of a gate that is held the frozen map has no terms, but x moves it all the same."""
    values = "float[2,2] A = {1, 2, 3, 4}"
    proto = model(f"g (float[2,2] x) => (float[2,2] y) <{values}> {{ {text} }}")
    m = linearize(proto, np.ones((2, 2), np.float32), mode="frozen")
    assert len(obstacles(m)) == 1
    with pytest.raises(RegionError, match="is smooth"):
        Region(m)


def test_unguarded_nodes_are_named() -> None:
    text = """g (float[1,2,4] x, float[1,1,2] s) => (float[1,2,4] y) {
        [nms] i = NonMaxSuppression(x, s)  f = Cast <to=1> (i)  t = ReduceSum <keepdims=0> (f)
        y = Add(x, t) }"""
    boxes = np.array([[[0, 0, 1, 1], [0, 0, 0.5, 0.5]]], np.float32)
    m = linearize(model(text), {"x": boxes, "s": np.ones((1, 1, 2), np.float32)}, inputs="x")
    assert obstacles(m) == ["NonMaxSuppression 'nms': it compares quotients of areas"]


LOOP = """g (float[1] x) => (float[1] y) <int64 n = {{9}}, bool on = {{1}}, float top = {{4}}> {{
    [again] y = Loop (n, on, x) <body = b (int64 i, bool c, float[1] s) => (bool k, float[1] r) {{
        r = Add(s, s)  {} }}> }}"""


def test_loops_that_x_may_end_are_named() -> None:
    """y = 2^k x, with k the number of rounds until that is over 4: only its pieces are known."""
    m = linearize(model(LOOP.format("o = Less(r, top)  k = Squeeze(o)")), np.ones(1, np.float32))
    assert m.W == [[4]]
    assert obstacles(m) == ["Loop 'again': x may decide how often it goes round"]
    for kept in ("k = Identity(c)", "k = Constant <value = bool {1}> ()"):
        m = linearize(model(LOOP.format(kept)), np.ones(1, np.float32))
        assert m.W == [[512]]
        assert obstacles(m) == []


def test_drift_is_nothing_inside_of_a_region() -> None:
    lin = Linearizer(mlp())
    m = lin(X, dtype=np.float64)
    radius = Region(m).radius().lower
    near, far = drift(lin, m, [X + np.float32(0.5 * radius / 2), X + 100])
    assert near.W == 0
    assert near.error <= near.bound
    assert far.W > 0


def test_drift_of_a_smooth_net_grows() -> None:
    lin = Linearizer(model(BENT))
    x = np.array([0.1, 0.2, 0.3], np.float32)
    moves = drift(lin, lin(x, dtype=np.float64), [x + np.float32(d) for d in (0.01, 0.1, 1)])
    assert 0 < moves[0].W < moves[1].W < moves[2].W
    assert moves[0].error < moves[1].error < moves[2].error


# What is refused


def test_refusals(tmp_path: Path) -> None:
    m = linearize(mlp(), X)
    region = Region(m)
    with pytest.raises(onnxlin.OptionError, match=r"norm='l3'; expected one of \['l1'"):
        region.radius("l3")
    with pytest.raises(onnxlin.OptionError, match="sweeps=0; expected a whole number of at"):
        region.radius(sweeps=0)
    with pytest.raises(onnxlin.InputError, match="x has 2 entries; the map takes 3"):
        region.step([1, 2])
    with pytest.raises(onnxlin.RowsError, match="1 row; a decision needs two"):
        Region(linearize(mlp(), X, rows=[0])).decisions()
    with pytest.raises(onnxlin.OptionError, match=r"box=\(1, 0\); expected low < high"):
        region.polytope().chebyshev((1, 0))
    with pytest.raises(onnxlin.MemoryBudgetError, match=r"half-spaces .* Raise memory="):
        region.polytope(memory=10)
    m.save(tmp_path / "map.npz")
    with pytest.raises(onnxlin.DetachedError, match="Region needs the linear program"):
        Region(onnxlin.AffineMap.load(tmp_path / "map.npz"))
