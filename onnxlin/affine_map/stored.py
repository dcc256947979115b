"""What the arrays of a map's file must be to each other (docs/map_file.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from onnxlin.affine_map.names import Names
from onnxlin.affine_map.proved import TINY
from onnxlin.affine_map.wide import by_rows, let_go
from onnxlin.engines.seeds import Seeds
from onnxlin.errors import FileError
from onnxlin.primitives import Array

FORMAT, VERSION = "onnxlin.AffineMap", 1
CHECKSUM = "sha256"
UNCHECKED = (
    "the file has no checksum, as an older onnxlin wrote it: its numbers fit each other, but may "
    "not be those that were saved"
)
AT_ONCE = 2**24  # bytes that are summed at once
UNIT = float(np.finfo(np.float64).eps)
FLOATS = ("float16", "float32", "float64")
NEEDED = ("about", "W", "b", "x", "y", "residual", "bias_by_node", "output")
KNOWN = {*NEEDED, "own_output", "row_index", "row_matrix", "bound", CHECKSUM}
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class About:
    """The text of a file, read."""

    inputs: Shapes
    outputs: Shapes
    mode: str
    rounding: str
    engine: str
    plan: str
    notes: tuple[str, ...]
    bias_nodes: tuple[str, ...]
    names: Names


class Sum:
    """The checksum in the making: arrays are added as their names are sorted, W before all."""

    def __init__(self) -> None:
        self._found = hashlib.sha256()

    def begin(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Begin with an array, of which all rows are to come."""
        self._found.update(f"{name} {dtype.newbyteorder('<').str} {shape}\n".encode())

    def add(self, rows: Array) -> None:
        """Add some rows, or an array without any."""
        # In one order of bytes and of axes: a file may be copied by a machine that has others.
        kind, some = rows.dtype.newbyteorder("<"), np.atleast_1d(rows)
        step = max(AT_ONCE * len(some) // max(rows.nbytes, 1), 1)
        for start in range(0, len(some) if rows.nbytes else 0, step):
            part = np.ascontiguousarray(some[start : start + step], kind)
            self._found.update(part.reshape(-1).view(np.uint8).data)
            let_go(rows)

    def add_all(self, arrays: Mapping[str, Any]) -> None:
        """Add whole arrays."""
        for name in sorted(set(arrays) - {CHECKSUM}):
            array = np.asarray(arrays[name])
            self.begin(name, array.shape, array.dtype)
            self.add(array)

    def written(self) -> str:
        """Return it as a file has it."""
        return self._found.hexdigest()


def checksum(arrays: Mapping[str, Any]) -> str:
    """Sum of all arrays, the text among them: their names, types, shapes and numbers."""
    found = Sum()
    found.add_all(arrays)
    return found.written()


def require_map(found: dict[str, Any]) -> About:
    """Hold the arrays of a file against each other; numbers come out in this machine's order.

    Returns
    -------
    About
        Its notes say where there was no checksum.

    Raises
    ------
    FileError
        They are no map, or not the one that was saved. The text is the reason alone.
    """
    about = _read(found)
    _need(set(NEEDED) <= set(found), f"it lacks {sorted(set(NEEDED) - set(found))}")
    summed = CHECKSUM in found
    unknown = set(found) - KNOWN
    _need(summed or not unknown, f"it holds {sorted(unknown)}, which is no part of a map")
    if summed:
        own = str(found[CHECKSUM])
        _need(own == checksum(found), f"its checksum {own[:16]!r} is not that of its numbers")
    for name in KNOWN & set(found):
        found[name] = found[name].astype(found[name].dtype.newbyteorder("="), copy=False)
    _require_shapes(found, about)
    _require_numbers(found)
    if summed:
        return about
    notes = dict.fromkeys((*about.notes, UNCHECKED))
    return About(**{**vars(about), "notes": tuple(notes)})


def _need(fits: Any, reason: str) -> None:
    if not fits:
        raise FileError(reason)


# The text


def _read(found: Mapping[str, Any]) -> About:
    text = found.get("about")
    _need(text is not None and text.dtype.kind == "U" and text.ndim == 0, "it has no text 'about'")
    try:
        about = json.loads(str(text))
    except (ValueError, RecursionError) as error:
        raise FileError(f"its text 'about' is no JSON: {error}") from error
    _need(isinstance(about, dict), "its text 'about' is no JSON object")
    version = about.get("version")
    _need(
        version == VERSION and not isinstance(version, bool),
        f"it has version {version!r} of the map's file format; this onnxlin reads version "
        f"{VERSION}",
    )
    _need(about.get("format") == FORMAT, f"its format is {about.get('format')!r}, not {FORMAT!r}")
    texts = {name: about.get(name) for name in ("mode", "engine", "plan")}
    # Files written before there was a choice do not name it.
    texts["rounding"] = about.get("rounding", "staircase")
    for name, value in texts.items():
        _need(isinstance(value, str), f"'about' has {name}={value!r}, which is no text")
    return About(
        inputs=_shapes(about, "inputs"),
        outputs=_shapes(about, "outputs"),
        notes=_texts(about.get("notes", []), "notes"),
        bias_nodes=_texts(about.get("bias_nodes"), "bias_nodes"),
        # Older files have none.
        names=Names(*(_texts(about.get(name, []), name) for name in ("features", "classes"))),
        **texts,
    )


def _shapes(about: Mapping[str, Any], name: str) -> Shapes:
    value = about.get(name)
    fits = isinstance(value, dict) and all(_is_shape(shape) for shape in value.values())
    _need(fits, f"'about' has {name}={value!r}, which are no shapes by name")
    assert isinstance(value, dict)
    return {name: tuple(shape) for name, shape in value.items()}


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


def _texts(value: Any, name: str) -> tuple[str, ...]:
    fits = isinstance(value, list) and all(isinstance(text, str) for text in value)
    _need(fits, f"'about' has {name}={value!r}, which is no list of texts")
    return tuple(value)


# The arrays


def _require_shapes(found: Mapping[str, Any], about: About) -> None:
    """Hold types and shapes against the text and each other."""
    columns, size = _size(about.inputs), _size(about.outputs)
    asked = [name for name in ("row_index", "row_matrix") if name in found]
    _need(
        len(asked) == 1, f"it must say once which rows were asked, and says it {len(asked)} times"
    )
    rows = found[asked[0]]
    _need(rows.ndim == (1 if asked == ["row_index"] else 2), f"{asked[0]!r} has {rows.ndim} axes")
    k, nodes = len(rows), len(about.bias_nodes)
    _need(len(set(about.bias_nodes)) == nodes, "two shares of b belong to one node")
    expected: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
        "W": ((k, columns), ("float32", "float64")),
        **dict.fromkeys(("b", "y", "residual", "bound"), ((k,), ("float64",))),
        "x": ((columns,), ("float64",)),
        "bias_by_node": ((nodes, k), ("float64",)),
        "output": ((size,), FLOATS),
        "own_output": ((size,), FLOATS),
        "row_index": ((k,), ("int64",)),
        "row_matrix": ((k, size), ("float64",)),
        CHECKSUM: ((), ()),
    }
    for name, (shape, kinds) in expected.items():
        array = found.get(name)
        if array is None:
            continue
        _need(
            array.shape == shape and (not kinds or array.dtype.name in kinds),
            f"{name!r} has shape {array.shape} and type {array.dtype}; its rows, inputs, outputs "
            f"and nodes ask for {shape}" + (f" of {' or '.join(kinds)}" if kinds else ""),
        )
    if asked == ["row_index"]:
        _need(
            ((rows >= 0) & (rows < size)).all(), f"'row_index' names rows past its {size} outputs"
        )
    else:
        _need(np.isfinite(rows).all(), "'row_matrix' holds NaN or infinity")


def _size(shapes: Shapes) -> int:
    return sum(prod(shape) for shape in shapes.values())


def _require_numbers(found: Mapping[str, Any]) -> None:
    """Hold what follows from other numbers against them, up to the rounding of float64.

    ``y`` are the rows asked of ``output``, ``b`` is the sum of its shares, and ``residual`` says
    what ``W x + b`` misses: a W or an x of other numbers, or of none, has another residual.
    """
    y, b, shares = found["y"], found["b"], found["bias_by_node"]
    _need(np.isfinite(y).all(), "'y' holds NaN or infinity, and no map equals that")
    with np.errstate(all="ignore"):
        expected, room = _rows(found, "output")
        _same(y, expected, room, "'y' is not what 'output' has in its rows")
        sizes = np.abs(shares).sum(axis=0)
        _same(b, shares.sum(axis=0), 2 * len(shares) * UNIT * sizes, "'b' is not the sum of shares")
        if "own_output" in found:
            y, room = _rows(found, "own_output")
        W, x = found["W"], found["x"]
        scale = by_rows(W, lambda W: np.abs(W) @ np.abs(x)) + sizes + TINY
        expected = np.abs(y - (by_rows(W, lambda W: W @ x) + b)) / scale
        # Sums of so many products, taken in any order.
        room = (4 * (len(x) + len(shares) + 8) * UNIT + room / scale) * (1 + expected)
        _same(found["residual"], expected, room, "'residual' is not what W x + b misses")


def _rows(found: Mapping[str, Any], name: str) -> tuple[Array, Array]:
    """Outputs brought to the rows asked, and what rounding may make of combinations."""
    outputs = found[name].astype(np.float64)
    seeds = Seeds(len(outputs), found.get("row_index"), found.get("row_matrix"))
    if seeds.matrix is None:
        return seeds.apply(outputs), np.zeros(len(seeds))
    size = np.where(np.isfinite(outputs), np.abs(outputs), 0)
    return seeds.apply(outputs), 2 * len(outputs) * UNIT * (np.abs(seeds.matrix) @ size)


def _same(found: Array, expected: Array, room: Array, reason: str) -> None:
    # Where W has overflowed, both are no numbers: such a map is what was saved.
    neither = ~np.isfinite(found) & ~np.isfinite(expected)
    _need((neither | (np.abs(found - expected) <= room)).all(), reason)
