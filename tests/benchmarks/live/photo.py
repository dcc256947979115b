"""The picture that every network sees: a photo, or seeded noise that is as smooth as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
SIDE = 448
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
CAFFE = np.array([104.0, 117.0, 123.0])
"""Of blue, green and red."""


def pixels(path: Path | None) -> Array:
    """Return the middle square of a photo, or noise: (side, side, 3), red green blue, 0 to 255."""
    if path is None:
        return noise()
    from PIL import Image

    whole = np.asarray(Image.open(path).convert("RGB"), np.float64)
    side = min(whole.shape[:2])
    top, left = ((n - side) // 2 for n in whole.shape[:2])
    return whole[top : top + side, left : left + side]


def noise(side: int = SIDE, seed: int = 0) -> Array:
    """Noise whose amplitude falls with the frequency, as it does in photos; colours go together."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])
    fall = 1 / np.maximum(frequency, 1 / side)
    layers = np.fft.ifft2(np.fft.fft2(rng.normal(size=(4, side, side))) * fall).real
    layers /= layers.std(axis=(1, 2), keepdims=True)
    colours = np.moveaxis(layers[:1] + 0.4 * layers[1:], 0, -1)
    return np.clip(120 + 55 * colours, 0, 255)


def resized(image: Array, size: int) -> Array:
    """Bring the sides to a size, each new pixel the mean of the part that it covers."""
    shrink = _means(len(image), size)
    return np.einsum("ia,jb,abc->ijc", shrink, shrink, image, optimize=True)


def _means(old: int, new: int) -> Array:
    edges = np.linspace(0, old, new + 1)
    low, high = edges[:-1, None], edges[1:, None]
    at = np.arange(old)
    shared = np.clip(np.minimum(high, at + 1) - np.maximum(low, at), 0, None)
    return shared / shared.sum(axis=1, keepdims=True)


def prepared(image: Array, shape: tuple[int, ...], scaling: str) -> Array:
    """Return the input of a network: (1, \\*shape), float32.

    Parameters
    ----------
    image : array (side, side, 3)
    shape : (H, H, 3) or (3, H, H)
    scaling : {"unit", "caffe", "torch"}
        0 to 1; blue first without the means of ImageNet; standardised by those.
    """
    last = shape[-1] == 3
    small = resized(image, shape[0] if last else shape[-1])
    given = {
        "unit": lambda: small / 255,
        "caffe": lambda: small[..., ::-1] - CAFFE,
        "torch": lambda: (small / 255 - MEAN) / STD,
    }[scaling]()
    return np.ascontiguousarray((given if last else np.moveaxis(given, -1, 0))[None], np.float32)
