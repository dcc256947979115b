"""A patch of a plane falls into polygons, each with one pattern, that leave nothing out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin import Linearizer, RegionError
from onnxlin.readings import plane
from onnxlin.readings.plane import partition
from onnxlin.readings.region import obstacles
from onnxlin.testing import GrownModel, onnx_models
from tests.readings.exactly import in_double, instance
from tests.small import model

FLAT = ("Relu", "Abs", "Clip", "MaxPool", "Max", "Add", "Neg", "Concat", "Where", "ReduceMax")


def test_each_polygon_has_a_pattern_of_its_own(fixtures: Path) -> None:
    """In double precision the run itself sees one pattern in a polygon, and no other has it."""
    lin = Linearizer(in_double(fixtures / "mlp5_mnist.onnx"))
    corners = [instance(lin, seed) * 0.2 for seed in range(3)]
    found = partition(lin, *corners)
    assert len(found) > 50
    rng, keys = np.random.default_rng(0), []
    for polygon in found.polygons:
        if polygon.area < 1e-6:
            continue
        weights = rng.dirichlet(np.ones(len(polygon.at)), size=3)
        inside = found.x(0.98 * weights @ polygon.at + 0.02 * polygon.centre)
        seen = {lin(x.reshape(corners[0].shape), rows=[0]).pattern_key for x in inside}
        assert len(seen) == 1
        keys += seen
    assert len(set(keys)) == len(keys) > 50
    assert sum(polygon.area for polygon in found.polygons) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", ["mlp2_mnist", "lenet5_mnist"])
def test_f_is_affine_on_each_polygon(name: str, fixtures: Path) -> None:
    lin = Linearizer(fixtures / f"{name}.onnx")
    x = instance(lin)
    rng = np.random.default_rng(1)
    step = 0.002 if "lenet" in name else 0.2
    corners = [x, *(np.float32(x + step * rng.normal(size=x.shape)) for _ in range(2))]
    found = partition(lin, *corners)
    assert len(found) > 20
    for polygon in found.polygons[::7]:
        m = lin(found.x(polygon.centre[None]).reshape(x.shape), dtype=np.float64)
        # The run saw x rounded: F moves by no more than W times that.
        moved = np.abs(m.W) @ np.abs(m.x - found.x(polygon.centre[None])[0])
        gap = np.abs(polygon.y.mean(axis=0) - m.y)
        assert (gap <= m.bound * m.scale + 2 * moved).all()


@given(onnx_models(FLAT, min_nodes=2, max_nodes=4, ties=False), st.integers(0, 99))
def test_polygons_of_random_graphs_tile_the_patch(grown: GrownModel, seed: int) -> None:
    lin, rng = Linearizer(grown.model), np.random.default_rng(seed)
    if obstacles(lin(grown.x)):
        return
    corners = [
        {n: np.asarray(v + s * rng.normal(size=v.shape), v.dtype) for n, v in grown.x.items()}
        for s in (0.0, 1.0, 1.0)
    ]
    if np.linalg.matrix_rank(np.diff([lin(x).x for x in corners], axis=0)) < 2:
        return
    found = partition(lin, *corners)
    assert sum(polygon.area for polygon in found.polygons) == pytest.approx(1, abs=1e-9)
    points = rng.random((20, 2))
    inside = np.array([[_holds(p.at, at) for p in found.polygons] for at in points])
    assert (inside.sum(axis=1) >= 1).all()


def _holds(corners: np.ndarray, at: np.ndarray) -> bool:
    """Whether a convex polygon holds a point, its border included."""
    edges = np.roll(corners, -1, axis=0) - corners
    away = at - corners
    turn = edges[:, 0] * away[:, 1] - edges[:, 1] * away[:, 0]
    return bool((turn >= -1e-12).all() or (turn <= 1e-12).all())


def test_two_units_make_four_quarters() -> None:
    lin = Linearizer(model("g (float[2] x) => (float[2] y) { y = Relu(x) }"))
    a, b, c = (np.array(x, np.float32) for x in ([-1, -1], [1, -1], [-1, 1]))
    found = partition(lin, a, b, c)
    assert sorted(round(polygon.area, 12) for polygon in found.polygons) == [0.25] * 4


def test_windows_are_not_cut_where_nothing_changes() -> None:
    """The largest of three: three polygons, though three lines part the rivals pairwise."""
    lin = Linearizer(
        model("g (float[1,3] x) => (float[1,1] y) { y = ReduceMax <axes=[1]> (x) }", 13)
    )
    a, b, c = (np.array([x], np.float32) for x in ([2, 1, 0], [0, 3, 0.5], [1, 0, 3]))
    found = partition(lin, a, b, c)
    assert len(found) == 3
    assert sum(polygon.area for polygon in found.polygons) == pytest.approx(1)


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    lin = Linearizer(model("g (float[2] x) => (float[2] y) { y = Relu(x) }"))
    a, b, c = (np.array(x, np.float32) for x in ([-1, -1], [1, -1], [-1, 1]))
    with pytest.raises(onnxlin.OptionError, match="lie on one line, so they span no plane"):
        partition(lin, a, b, a)
    bent = Linearizer(model("g (float[2] x) => (float[2] y) { [t] y = Tanh(x) }"))
    with pytest.raises(RegionError, match="Tanh 't' is smooth"):
        partition(bent, a, b, c)
    monkeypatch.setattr(plane, "_joined", lambda _: [])
    with pytest.raises(onnxlin.ResidualError, match="0 polygons cover 0 of the patch, not 1"):
        partition(lin, a, b, c)
