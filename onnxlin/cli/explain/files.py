"""The files that ``onnxlin explain`` writes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from onnxlin import plot
from onnxlin.affine_map import AffineMap
from onnxlin.cli import target
from onnxlin.cli.explain import hidden, layers
from onnxlin.engines.memory import memory_budget
from onnxlin.errors import OptionError
from onnxlin.files import folder_of, is_written_directly
from onnxlin.graph import Array
from onnxlin.page import Part
from onnxlin.readings.row.parts import seen
from onnxlin.texts import shown

ANOTHER = "Give another --out, or --no-files."
ENTRY = 32
"""Bytes of budget for each entry of W, from which on W stays in memory: there is more than W."""


@dataclass(frozen=True)
class Drawing:
    """A picture to write."""

    title: str
    path: Path
    smooth: float
    what: str


def archive(options: Any) -> Path | None:
    """Where the map is written; None with ``--no-files``.

    Raises
    ------
    OptionError
        It is the input itself.
    """
    if options.no_files:
        return None
    path = Path(f"{_prefix(options.out, options.input)}.npz")
    _protect(path, options.input)
    return path


def is_large(path: Path | None, rows: int, columns: int, memory: str | None) -> bool:
    """Whether W goes to its file while it is computed, as it is large or the budget is small."""
    if path is None or is_written_directly(path):
        return False
    entries = rows * columns
    return entries > target.LARGE_MAP or ENTRY * entries > memory_budget(memory)


def keep(m: AffineMap, path: Path, *, there: bool) -> str:
    """Write the map unless it is ``there`` already; return the path."""
    if not there:
        folder_of(path, ANOTHER)
        m.save(path)
    return str(path)


def draw(
    m: AffineMap,
    parts: tuple[Part, ...],
    explained: Iterable[tuple[dict[str, Any], Array]],
    options: Any,
) -> list[str]:
    """Write a picture of each explained row, with its values; return the paths."""
    prefix = _prefix(options.out, options.input)
    written: list[str] = []
    folder_of(Path(f"{prefix}.npz"), ANOTHER)
    for item, values in explained:
        path = Path(f"{prefix}.{_slug(item)}.png")
        _protect(path, options.input)
        title = _title(item, options)
        what = "W x" if item["baseline"] is None else "W (x - x0)"
        drawing = Drawing(title, path, options.smooth, what)
        _draw(m, values, parts, drawing)
        item["picture"] = str(path)
        written.append(str(path))
    return written


def draw_layers(
    found: dict[str, Any] | None, explained: Iterable[dict[str, Any]], options: Any
) -> list[str]:
    """Write a picture of each row that was read at every depth; return the paths."""
    prefix, written = _prefix(options.out, options.input), list[str]()
    item_of = {item["position"]: item for item in explained}
    for at, position in enumerate(found["rows"] if found else ()):
        path = Path(f"{prefix}.{_slug(item_of[position])}.layers.png")
        _protect(path, options.input)
        layers.draw(found, at, _title(item_of[position], options), path)
        written.append(str(path))
    return written


def draw_hidden(
    m: AffineMap,
    parts: tuple[Part, ...],
    found: dict[str, Any] | None,
    explained: Iterable[dict[str, Any]],
    options: Any,
) -> list[str]:
    """Write a picture of each row at each hidden tensor asked; return the paths."""
    if found is None:
        return []
    prefix, written = _prefix(options.out, options.input), list[str]()
    item_of, shown = {item["position"]: item for item in explained}, hidden.picture(m, parts)
    for at, position in enumerate(found["rows"]):
        item = item_of[position]
        head = _head(item, options)
        for one in found["maps"]:
            name = f"{prefix}.{_slug(item)}.at-{_words(one['tensor']) or 'tensor'}"
            path = Path(f"{name}.png")
            # Names that differ in signs alone are told apart by a number.
            for number in count(2):
                if str(path) not in written:
                    break
                path = Path(f"{name}-{number}.png")
            _protect(path, options.input)
            hidden.draw(one, at, shown, head, path)
            written.append(str(path))
    return written


def _prefix(out: str | None, source: str) -> str:
    """Read ``--out``: a folder (there, or with a slash at its end), or the start of a name."""
    stem = Path(source).stem
    if out is None:
        return stem
    if out.endswith(("/", os.sep)) or Path(out).is_dir():
        return str(Path(out) / stem)
    return out


def _protect(path: Path, source: str) -> None:
    if path.exists() and path.samefile(source):
        raise OptionError(f"{str(path)!r} is the input itself. Give --out another name or folder.")


def _slug(item: dict[str, Any]) -> str:
    return _words(item["label"]) or str(item["output"])


def _words(name: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return words[:40].rstrip("-")


def _head(item: dict[str, Any], options: Any) -> str:
    """The first line of a title."""
    stem, model = shown(Path(options.input).name), shown(Path(options.model).name)
    return f"{model} on {stem}: output {shown(item['label'])}"


def _title(item: dict[str, Any], options: Any) -> str:
    stem, model = shown(Path(options.input).name), shown(Path(options.model).name)
    label = shown(item["label"])
    against = item["baseline"]
    if against is not None:
        rest = against["map_at_baseline"]
        return (
            f"{model} on {stem} against {Path(options.baseline).name}: output {label}\n"
            f"{_left(item)} = W (x - x0) + (W x0 + b) = {against['difference']:#.4g} "
            f"{'-' if rest < 0 else '+'} {abs(rest):#.4g}"
        )
    return (
        f"{_head(item, options)}\n"
        f"{_left(item)} = W x + b = {item['Wx']:#.4g} {'-' if item['b'] < 0 else '+'} "
        f"{abs(item['b']):#.4g}"
    )


def _left(item: dict[str, Any]) -> str:
    """The left side of what a title says: of two outputs it is how far F is apart."""
    what = "difference of F(x)" if "pair" in item else "F(x)"
    return f"{what} = {item['F']:#.4g}"


def _draw(m: AffineMap, values: Array, parts: tuple[Part, ...], how: Drawing) -> None:
    """Choose the kind of picture that suits x."""
    labels: Any = {"title": how.title, "path": how.path, "what": how.what}
    pictures = [part for part in parts if part.kind == "picture"]
    if pictures:
        part = pictures[0]
        assert part.geometry is not None
        plane = part.geometry.to_picture(values[part.columns])
        shown = seen(part, m.inputs[part.tensor])
        plot.heat_map(plane, shown, smooth=how.smooth, **labels)
    elif len(parts) == 1 and parts[0].kind == "series":
        plot.series(parts[0].series(values), parts[0].series(m.x), **labels)
    else:
        together = np.concatenate([part.grouped(values[part.columns]) for part in parts])
        plot.bars(together, [name for part in parts for name in part.labels], **labels)
