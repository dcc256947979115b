"""Broken arrays: an x that does not fit, archives with members changed, tables with odd cells."""

from __future__ import annotations

import io
import json
import random
import zipfile
from typing import Any

import numpy as np

Array = Any
DTYPES = [
    "float16",
    "float64",
    "int8",
    "int64",
    "uint8",
    "bool",
    "complex64",
    "U4",
    "float32",
    ">f4",
]
CELLS = (
    "", "nan", "inf", "-inf", "1e999", "x", '"', "'", "1,2", "1;2", "\t", "0x10", "1_000", "\x00",
    "é", "\u202e", "=cmd()", "<b>", "-", "9" * 400, "9" * 5000, "1e-400", "labels", "\ufeff",
)  # fmt: skip
VALUES = (0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e38, 1e-45)
ODD = (
    None, True, 0, -1, 2**70, 1.5, float("nan"), "", "x", "\x1b[31m", [], {}, [[]], [-1],
    {"a": [2**62]},
)  # fmt: skip


def break_x(x: dict[str, Array], rng: random.Random) -> dict[str, Array]:
    """Give an x other shapes, dtypes, values or names."""
    found = dict(x)
    if not found:
        return {"x": np.zeros(1, np.float32)}
    name = rng.choice(list(found))
    action = rng.choice(("array", "array", "array", "drop", "rename", "more"))
    value = found.pop(name)
    if action == "array":
        found[name] = break_array(value, rng)
    elif action == "rename":
        found[rng.choice(("", "y", "\x1b[31m", name.upper()))] = value
    elif action == "more":
        found |= {name: value, f"{name}_": value}
    return found


def break_array(array: Array, rng: random.Random) -> Array:
    """Change one thing of an array."""
    array = np.array(array)
    action = rng.choice(("value", "all", "dtype", "shape", "axis", "short", "empty"))
    with np.errstate(all="ignore"):
        if action in ("value", "all") and array.dtype.kind in "fiub" and array.size:
            flat = array.reshape(-1).astype(np.float64)
            flat[rng.randrange(flat.size) if action == "value" else slice(None)] = rng.choice(
                VALUES
            )
            return flat.reshape(array.shape).astype(array.dtype)
        if action == "dtype":
            try:
                return array.astype(rng.choice(DTYPES))
            except (ValueError, TypeError):
                return array
    if action == "shape":
        return array.reshape(-1)
    if action == "axis":
        return array[np.newaxis]
    if action == "short":
        return array[..., :-1] if array.ndim else array
    return array[..., :0] if array.ndim else np.zeros(0, array.dtype)


def break_archive(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Change one member of an ``.npz``: its array, its JSON, its name, or that it is there."""
    with np.load(io.BytesIO(data)) as file:
        found = dict(file)
    name = rng.choice(list(found))
    value = found.pop(name)
    action = rng.choice(("array", "array", "drop", "rename", "raw"))
    if action == "rename":
        found[rng.choice(("", "../up", "W", "x", f"{name}2"))] = value
    elif action == "array":
        about = value.ndim == 0 and value.dtype.kind == "U"
        found[name] = _break_about(str(value), rng) if about else break_array(value, rng)
    return _packed(found, name if action == "raw" else None, rng), f"{action} {name}"


def _packed(found: dict[str, Array], raw: str | None, rng: random.Random) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(
        stream, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    ) as zipped:
        for name, value in found.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asanyarray(value), allow_pickle=False)
            zipped.writestr(f"{name}.npy", member.getvalue())
        if raw is not None:
            zipped.writestr(
                f"{raw}.npy", rng.choice((b"", b"\x93NUMPY", b"no array", _huge(), _pickle()))
            )
    return stream.getvalue()


def _huge() -> bytes:
    """An array of 4 TiB, of which nothing is there."""
    head = (
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }".ljust(117) + b"\n"
    )
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head


def _pickle() -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.array([{}], dtype=object), allow_pickle=True)
    return stream.getvalue()


def _break_about(text: str, rng: random.Random) -> Array:
    """Change one value of a JSON text, at any depth, or the text."""
    try:
        held = json.loads(text)
    except ValueError:
        return np.array(text)
    if rng.random() < 0.1:
        return np.array(
            rng.choice((text[: rng.randrange(len(text) + 1)], "[" * 5000, "null", "[]", "7"))
        )
    at, key = held, None
    while isinstance(at, dict | list) and at:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = rng.choice(keys)
        if not isinstance(at[key], dict | list) or not at[key] or rng.random() < 0.4:
            break
        at = at[key]
    if key is not None:
        if rng.random() < 0.3:
            del at[key]
        else:
            at[key] = rng.choice(ODD)
    return np.array(json.dumps(held))


def break_text(data: bytes, rng: random.Random) -> bytes:
    """Change cells and lines of a table."""
    lines = data.decode("utf-8", "replace").split("\n")
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(lines))
        cells = lines[at].split(",")
        action = rng.choice(("cell", "cell", "drop", "double", "line", "twice", "longer"))
        if action == "cell":
            cells[rng.randrange(len(cells))] = rng.choice(CELLS)
        elif action == "drop":
            del cells[rng.randrange(len(cells))]
        elif action == "double":
            cells.append(rng.choice(cells))
        elif action == "longer":
            cells *= 40
        lines[at] = rng.choice(CELLS) if action == "line" else ",".join(cells)
        if action == "twice":
            lines.insert(at, lines[at])
    return "\n".join(lines).encode("utf-8", "replace")
