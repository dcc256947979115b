"""Signed values as colours, and pixels as a PNG file."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from onnxlin.primitives import Array

COLOURS = [
    [5, 48, 97], [33, 102, 172], [67, 147, 195], [146, 197, 222], [209, 229, 240],
    [247, 247, 247],
    [253, 219, 199], [244, 165, 130], [214, 96, 77], [178, 24, 43], [103, 0, 31],
]  # fmt: skip
"""From blue (lowers) over white (0) to red (raises): RdBu of colorbrewer2.org, which matplotlib
calls RdBu_r."""


def ramp(ratios: Array) -> Array:
    """Colours of values between -1 and 1: ``(..., 3)`` of uint8."""
    stops = np.array(COLOURS, np.float64)
    at = (np.clip(ratios, -1, 1) + 1) / 2 * (len(stops) - 1)
    channels = [np.interp(at, np.arange(len(stops)), stop) for stop in stops.T]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def png(pixels: Array) -> bytes:
    """Write ``(height, width, 3)`` of uint8 as a PNG file (RFC 2083): truecolour, no filter."""
    height, width, _ = pixels.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)
    lines[:, 1:] = pixels.reshape(height, 3 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
