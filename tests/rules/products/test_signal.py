from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from tests.rules.one_node import Array, assert_reproduces, assert_tangent, feeds, grid, model

RNG = np.random.default_rng(0)


def pairs(z: Array) -> Array:
    return np.stack([z.real, z.imag], axis=-1)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("length", [None, 4, 5, 8])
@pytest.mark.parametrize("inverse", [0, 1])
@pytest.mark.parametrize("axis", [-2, 0])
def test_transforms(parts: int, length: int | None, inverse: int, axis: int) -> None:
    x = grid(RNG, 5, 6, parts)
    held = {2: np.array(axis)}
    if length:
        held[1] = np.array(length)
    one = model("DFT", [x], {1: np.array(length or x.shape[axis]), **held}, inverse=inverse)
    assert_reproduces(one, [x])
    m = onnxlin.linearize(one, feeds(one, [x]), dtype=np.float64)
    signal = x[..., 0] + (1j * x[..., 1].astype(np.float64) if parts == 2 else 0)
    # NumPy has no axis of parts, and counts axes without it.
    transform = np.fft.ifft if inverse else np.fft.fft
    wanted = transform(signal, length or x.shape[axis], axis=1 if axis == -2 else 0)
    np.testing.assert_allclose(m.W @ m.x, pairs(wanted).ravel(), atol=1e-12)
    np.testing.assert_array_equal(m.b, 0)


def test_half_of_a_spectrum() -> None:
    x = grid(RNG, 2, 7, 1)
    one = model("DFT", [x], {1: np.array(7), 2: np.array(1)}, onesided=1)
    assert_reproduces(one, [x])
    m = onnxlin.linearize(one, feeds(one, [x]), dtype=np.float64)
    np.testing.assert_allclose(m.W @ m.x, pairs(np.fft.rfft(x[..., 0])).ravel(), atol=1e-13)


@pytest.mark.parametrize("onesided", [0, 1])
def test_short_time_transforms(onesided: int) -> None:
    x, window = grid(RNG, 2, 12, 1), grid(RNG, 4)
    held = {1: np.array(2), 3: np.array(4)}
    both = model("STFT", [x, window], held, onesided=onesided)
    assert_reproduces(both, [x, window])
    assert_tangent(both, [x, window])
    alone = model("STFT", [x], {**held, 2: window}, onesided=onesided)
    assert_reproduces(alone, [x])
    m = onnxlin.linearize(alone, feeds(alone, [x]), dtype=np.float64)
    frames = np.stack([x[:, i : i + 4, 0] for i in range(0, 9, 2)], axis=1) * window
    wanted = (np.fft.rfft if onesided else np.fft.fft)(frames)
    np.testing.assert_allclose(m.W @ m.x, pairs(wanted).ravel(), atol=1e-13)
