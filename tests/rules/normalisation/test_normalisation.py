from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onnxlin
from tests.rules.one_node import (
    Array,
    assert_reproduces,
    assert_tangent,
    feeds,
    frozen,
    grid,
    model,
)

RNG = np.random.default_rng(0)
Z = grid(RNG, 2, 4, 3)
PLANES = grid(RNG, 1, 4, 2, 2)
SCALE, SHIFT = grid(RNG, 4), grid(RNG, 4)


def assert_sound(one: Any, inputs: list[Array]) -> None:
    assert_reproduces(one, inputs)
    assert_tangent(one, inputs)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_layer_normalization_with_all_outputs(axis: int) -> None:
    shape = Z.shape[axis:]
    held = {1: grid(RNG, *shape), 2: grid(RNG, *shape)}
    assert_sound(model("LayerNormalization", [Z], held, outputs=3, axis=axis), [Z])


def test_layer_normalization_with_live_parameters() -> None:
    inputs = [Z, grid(RNG, 3), grid(RNG, 4, 3)]
    assert_sound(model("LayerNormalization", inputs, epsilon=0.25), inputs)
    assert_sound(model("LayerNormalization", inputs[1:2], {0: Z, 2: inputs[2]}), inputs[1:2])


def test_layer_normalization_frozen_twin() -> None:
    scale, shift = grid(RNG, 3), grid(RNG, 3)
    one = model("LayerNormalization", [Z], {1: scale, 2: shift}, axis=-1, epsilon=0.25)
    W, b = frozen(one, [Z])
    wanted = np.zeros((24, 24))
    for i, line in enumerate(Z.reshape(8, 3).astype(np.float64)):
        spread = np.sqrt(line.var() + 0.25)
        at = slice(3 * i, 3 * i + 3)
        wanted[at, at] = np.diag(scale / spread) @ (np.eye(3) - 1 / 3)
    np.testing.assert_allclose(W, wanted, atol=1e-14)
    np.testing.assert_allclose(b, np.tile(shift, 8), atol=1e-14)


@pytest.mark.parametrize("axis", [1, -1])
def test_rms_normalization(axis: int) -> None:
    scale = grid(RNG, 3)
    one = model("RMSNormalization", [Z], {1: scale}, opset=23, axis=axis)
    assert_sound(one, [Z])
    W, b = frozen(one, [Z])
    lines = Z.astype(np.float64).reshape(2, -1) if axis == 1 else Z.astype(np.float64).reshape(8, 3)
    inverse = 1 / np.sqrt((lines**2).mean(axis=1, keepdims=True) + np.float32(1e-5))
    gates = (np.broadcast_to(inverse, lines.shape).reshape(Z.shape) * scale).ravel()
    np.testing.assert_allclose(W, np.diag(gates), rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(b, 0, atol=1e-15)


def test_live_scale_frozen_takes_half_of_each() -> None:
    inputs = [Z, grid(RNG, 3)]
    one = model("RMSNormalization", inputs, opset=23)
    W, b = frozen(one, inputs)
    held, _ = frozen(model("RMSNormalization", [Z], {1: inputs[1]}, opset=23), [Z])
    np.testing.assert_allclose(W[:, :24], held / 2, rtol=1e-14)
    np.testing.assert_allclose(b, 0, atol=1e-15)


@pytest.mark.parametrize("z", [Z, PLANES], ids=["1d", "2d"])
def test_instance_and_group_normalization(z: Array) -> None:
    held = {1: SCALE, 2: SHIFT}
    assert_sound(model("InstanceNormalization", [z], held, epsilon=0.25), [z])
    assert_sound(model("GroupNormalization", [z], held, num_groups=2, epsilon=0.25), [z])
    inputs = [z, SCALE, SHIFT]
    assert_sound(model("InstanceNormalization", inputs), inputs)


def test_group_normalization_frozen_twin() -> None:
    one = model("GroupNormalization", [Z], {1: SCALE, 2: SHIFT}, num_groups=2, epsilon=0.25)
    W, b = frozen(one, [Z])
    wanted = np.zeros((24, 24))
    for i, group in enumerate(Z.reshape(4, 6).astype(np.float64)):
        at = slice(6 * i, 6 * i + 6)
        scale = np.repeat(SCALE.reshape(2, 2)[i % 2], 3)
        spread = np.sqrt(group.var() + 0.25)
        wanted[at, at] = np.diag(scale / spread) @ (np.eye(6) - 1 / 6)
    np.testing.assert_allclose(W, wanted, atol=1e-14)
    np.testing.assert_allclose(b, np.tile(np.repeat(SHIFT, 3), 2), atol=1e-14)


def test_mean_variance_normalization() -> None:
    one = model("MeanVarianceNormalization", [PLANES], axes=[0, 2, 3])
    assert_sound(one, [PLANES])
    W, b = frozen(one, [PLANES])
    wanted = np.zeros((16, 16))
    for i, plane in enumerate(PLANES.reshape(4, 4).astype(np.float64)):
        at = slice(4 * i, 4 * i + 4)
        wanted[at, at] = (np.eye(4) - 1 / 4) / (plane.std() + 1e-9)
    np.testing.assert_allclose(W, wanted, atol=1e-14)
    np.testing.assert_allclose(b, 0, atol=1e-14)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [0, -1])
def test_lp_normalization(p: int, axis: int) -> None:
    one = model("LpNormalization", [Z], p=p, axis=axis)
    assert_sound(one, [Z])
    length = np.linalg.norm(Z.astype(np.float64), p, axis, keepdims=True)
    gates = np.broadcast_to(1 / length, Z.shape).ravel()
    np.testing.assert_allclose(frozen(one, [Z])[0], np.diag(gates), rtol=1e-13)


@pytest.mark.parametrize("size", [1, 3, 5])  # the runtime refuses even ones
def test_local_response_normalization(size: int) -> None:
    one = model("LRN", [PLANES], size=size, alpha=0.5, beta=0.75, bias=1.5)
    assert_sound(one, [PLANES])
    z = PLANES.astype(np.float64)[0].reshape(4, 4)
    gates = np.empty((4, 4))
    for c in range(4):
        near = z[max(0, c - (size - 1) // 2) : c + size - 1 - (size - 1) // 2 + 1]
        gates[c] = (1.5 + 0.5 / size * (near**2).sum(axis=0)) ** -0.75
    np.testing.assert_allclose(frozen(one, [PLANES])[0], np.diag(gates.ravel()), rtol=1e-13)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_lp_pools(p: int) -> None:
    pads = {"kernel_shape": [2], "strides": [2], "pads": [1, 1]}
    for one in (model("GlobalLpPool", [Z], p=p), model("LpPool", [Z], p=p, **pads)):
        assert_sound(one, [Z])
        # Norms grow in proportion: the two readings are one.
        W = onnxlin.linearize(one, feeds(one, [Z]), dtype=np.float64).W
        np.testing.assert_array_equal(W, frozen(one, [Z])[0])


@pytest.mark.parametrize("live", [0, 1, 2])
def test_batch_normalization_in_training(live: int) -> None:
    inputs = [Z, SCALE, SHIFT, grid(RNG, 4), np.abs(grid(RNG, 4))]
    held = dict(enumerate(inputs)) if live < 2 else {}
    for i in range(live + 1):
        held.pop(i, None)
    given = [v for i, v in enumerate(inputs) if i not in held]
    at = {"training_mode": 1, "momentum": 0.75, "epsilon": 0.25}
    assert_sound(model("BatchNormalization", given, held, outputs=3, **at), given)


def test_batch_normalization_with_live_statistics() -> None:
    inputs = [PLANES, SCALE, SHIFT, grid(RNG, 4), np.abs(grid(RNG, 4))]
    assert_sound(model("BatchNormalization", inputs), inputs)
