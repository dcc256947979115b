"""GridSample, AffineGrid, RoiAlign, MaxRoiPool, DeformConv against the runtime."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tests.rules.lone import Array, assert_derivative, assert_reproduces, feeds, linearised, model

PADDINGS = ("zeros", "border", "reflection")
GRIDS = [
    (rank, mode, padding, align)
    for rank, mode, padding, align in product(
        (2, 3), ("linear", "nearest", "cubic"), PADDINGS, (0, 1)
    )
    if rank == 2 or mode != "cubic"  # onnxruntime reads volumes by two modes only
]


def _grid(rank: int, dtype: type = np.float64) -> list[Array]:
    rng = np.random.default_rng(rank)
    # Far beyond the edges, too, so that reflections turn round more than once.
    x = rng.normal(size=(2, 2, *(4, 3, 5)[:rank]))
    grid = rng.uniform(-4, 4, size=(2, *(3, 2, 2)[:rank], rank))
    grid[0] /= 4
    return [x.astype(dtype), grid.astype(dtype)]


@pytest.mark.parametrize(("rank", "mode", "padding", "align"), GRIDS)
def test_grid_sample(rank: int, mode: str, padding: str, align: int) -> None:
    options = {"mode": mode, "padding_mode": padding, "align_corners": align}
    for dtype in (np.float64, np.float32):
        inputs = _grid(rank, dtype)
        proto = model("GridSample", 20, inputs, **options)
        assert_reproduces(proto, feeds(inputs))
    inputs = _grid(rank)
    assert_derivative(model("GridSample", 20, inputs, **options), feeds(inputs))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest"])
def test_older_names_of_modes(mode: str) -> None:
    inputs = _grid(2, np.float32)
    assert_reproduces(model("GridSample", 16, inputs, mode=mode), feeds(inputs))


def test_frozen_grid_sample_holds_the_grid() -> None:
    inputs = _grid(2)
    proto = model("GridSample", 20, inputs)
    held, free = (linearised(proto, feeds(inputs), mode) for mode in ("frozen", "tangent"))
    n = inputs[0].size
    np.testing.assert_array_equal(held.W[:, n:], 0)
    np.testing.assert_array_equal(held.W[:, :n], free.W[:, :n])
    np.testing.assert_array_equal(held.b, 0)


@pytest.mark.parametrize("align", [0, 1])
@pytest.mark.parametrize("spatial", [(3, 4), (2, 3, 4), (5, 2)])
def test_affine_grid(spatial: tuple[int, ...], align: int) -> None:
    rank = len(spatial)
    theta = np.random.default_rng(0).normal(size=(2, rank, rank + 1)).astype(np.float32)
    inputs = [theta, np.array([2, 1, *spatial])]
    proto = model("AffineGrid", 20, inputs, align_corners=align)
    assert_reproduces(proto, feeds(inputs))
    assert np.abs(linearised(proto, feeds(inputs)).b).max() == 0


ROIS = np.array(
    [
        [0.71, 0.33, 4.19, 5.17],
        [-2.3, -1.7, 3.31, 2.63],
        [1.1, 2.2, 1.7, 2.45],
        [3.9, 1.2, 9.7, 8.3],
    ]
)
# No sample of theirs may lie on the middle of a pixel, where the derivative jumps.
ROIS += np.random.default_rng(3).uniform(-0.05, 0.05, size=ROIS.shape)


def _regions(dtype: type) -> list[Array]:
    x = np.random.default_rng(1).normal(size=(2, 3, 6, 5))
    return [x.astype(dtype), ROIS.astype(dtype), np.array([0, 1, 1, 0])]


@pytest.mark.parametrize("transformation", ["half_pixel", "output_half_pixel"])
@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize(("ratio", "scale"), [(0, 1.0), (2, 1.0), (0, 0.37), (3, 1.3)])
def test_roi_align(transformation: str, mode: str, ratio: int, scale: float) -> None:
    options = {
        "coordinate_transformation_mode": transformation,
        "mode": mode,
        "sampling_ratio": ratio,
        "spatial_scale": scale,
        "output_height": 2,
        "output_width": 3,
    }
    for dtype in (np.float32, np.float64):
        inputs = _regions(dtype)
        assert_reproduces(model("RoiAlign", 16, inputs, **options), feeds(inputs))
    assert_derivative(model("RoiAlign", 16, inputs, **options), feeds(inputs))


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.3])
def test_max_roi_pool(scale: float) -> None:
    x, rois, batch = _regions(np.float32)
    inputs = [x, np.concatenate([batch[:, None], rois], axis=1).astype(np.float32)]
    proto = model("MaxRoiPool", 21, inputs, pooled_shape=[3, 2], spatial_scale=scale)
    assert_reproduces(proto, feeds(inputs))
    m = linearised(proto, feeds(inputs))
    assert set(np.unique(m.W)) <= {0.0, 1.0}
    np.testing.assert_array_equal(m.W[:, x.size :], 0)


OPTIONS = {"strides": [2, 1], "pads": [1, 1, 0, 1], "dilations": [1, 2]}


def _deformed(dtype: type, *, group: int, offset_group: int, mask: bool) -> list[Array]:
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(2, 4, 5, 6)), rng.normal(size=(2, 4 // group, 2, 3))
    places = (3, 4)  # (5 + 1 - 2) // 2 + 1 and 6 + 2 - 5 + 1
    offset = rng.uniform(-1.5, 1.5, size=(2, offset_group * 12, *places))
    parts = [x, w, offset, rng.normal(size=2)]
    if mask:
        parts.append(rng.normal(size=(2, offset_group * 6, *places)))
    return [part.astype(dtype) for part in parts]


@pytest.mark.parametrize(("group", "offset_group"), [(1, 1), (2, 1), (1, 2), (2, 4)])
@pytest.mark.parametrize("mask", [False, True])
def test_deform_conv(group: int, offset_group: int, mask: bool) -> None:
    options = {**OPTIONS, "group": group, "offset_group": offset_group, "kernel_shape": [2, 3]}
    for dtype in (np.float32, np.float64):
        inputs = _deformed(dtype, group=group, offset_group=offset_group, mask=mask)
        proto = model("DeformConv", 22, inputs, **options)
        assert_reproduces(proto, feeds(inputs))
    assert_derivative(proto, feeds(inputs))


def test_frozen_deform_conv_shares_the_product() -> None:
    inputs = _deformed(np.float64, group=1, offset_group=1, mask=True)
    proto = model("DeformConv", 22, inputs, **OPTIONS)
    held, free = (linearised(proto, feeds(inputs), mode) for mode in ("frozen", "tangent"))
    sizes = [v.size for v in inputs]
    x, w, offset, bias, mask = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    for part in (x, w, mask):
        np.testing.assert_allclose(held.W[:, part], free.W[:, part] / 3, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(held.W[:, offset], 0)
    np.testing.assert_array_equal(held.W[:, bias], free.W[:, bias])
    np.testing.assert_array_equal(held.b, 0)
    alone = linearised(proto, feeds(inputs), "frozen", inputs=["i2"])
    assert not alone.W.any()
