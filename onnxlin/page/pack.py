"""Arrays as text: deflated, then base64, which a browser unpacks by itself."""

from __future__ import annotations

import base64
import math
import zlib
from typing import Any

import numpy as np

from onnxlin.graph import Array
from onnxlin.texts import shown


def pack(array: Array) -> dict[str, Any]:
    """Pack an array: ``{"dtype", "shape", "planes", "data"}``, to the last bit.

    The bytes of its numbers lie in little-endian order; with "planes" all first bytes come first,
    then all second ones: floats of any size deflate better so, few different ones the other way.
    """
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    raw = little.reshape(-1).view(np.uint8)
    apart = np.ascontiguousarray(raw.reshape(-1, array.itemsize).T)
    kept = [zlib.compress(order.tobytes(), 6) for order in (raw, apart)]
    planes = len(kept[1]) < len(kept[0])
    return {
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "planes": planes,
        "data": base64.b64encode(kept[planes]).decode("ascii"),
    }


def unpack(packed: dict[str, Any]) -> Array:
    """Read what `pack` wrote."""
    kind = np.dtype(packed["dtype"]).newbyteorder("<")
    raw = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), np.uint8)
    if packed["planes"]:
        raw = np.ascontiguousarray(raw.reshape(kind.itemsize, -1).T)
    found: Array = raw.reshape(-1).view(kind).reshape(packed["shape"])
    return found


def plain(value: Any) -> Any:
    """Bring data to what JSON knows, and names to what is seen of them.

    NaN and infinity become None, NumPy's numbers Python's. A browser turns letters round, or shows
    none, where a name asks for it, as a terminal does.
    """
    if isinstance(value, dict):
        return {shown(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
