"""``onnxlin explain --at``: the map from hidden tensors, each a coarse picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxlin import plot, texts
from onnxlin.affine_map import AffineMap
from onnxlin.cli.screen import Cell, Screen
from onnxlin.page import Part
from onnxlin.readings import hidden_maps
from onnxlin.readings.row.parts import seen
from onnxlin.readings.stream.hidden import listed


def read(m: AffineMap, chosen: Sequence[int], options: Any) -> dict[str, Any] | None:
    """Read the rows that are explained at the tensors asked; None where nobody asks.

    Raises
    ------
    OptionError
        The map cannot be cut at such a tensor, or it has no places of a picture.
    """
    if not options.at or not chosen:
        return None
    found = hidden_maps(m, np.array(chosen, np.int64), options.at)
    return {"rows": list(chosen), "maps": [listed(one) for one in found]}


def picture(m: AffineMap, parts: Sequence[Part]) -> Any:
    """The picture that maps lie over, None where x is none."""
    pictures = [part for part in parts if part.kind == "picture"]
    return seen(pictures[0], m.inputs[pictures[0].tensor]) if pictures else None


def title(found: dict[str, Any], at: int, head: str) -> str:
    """The first line of what a row is called, and how it splits at the tensor."""
    total, rest = np.sum(found["values"][at]), found["rest"][at]
    split = f"{total:#.4g} {'-' if rest < 0 else '+'} {abs(rest):#.4g}"
    off = f"off by {found['error'][at]:.1e}, at most {found['error_bound'][at]:.1e}"
    tensor, y = texts.shown(found["tensor"]), found["y"][at]
    return f"{head}\nF(x) = {y:#.4g} = W_h h + b_h = {split} at {tensor}; {off}"


def draw(found: dict[str, Any], at: int, shown: Any, head: str, path: Path) -> None:
    """Write the picture of one row at one tensor."""
    values = np.array(found["values"][at])
    plot.heat_map(values, shown, title=title(found, at, head), path=path, what="W_h h")


def show(found: dict[str, Any] | None, explained: Sequence[dict[str, Any]], screen: Screen) -> None:
    """Print every row that was read: a line for each tensor."""
    if found is None:
        return
    names = {item["position"]: item["label"] for item in explained}
    for at, position in enumerate(found["rows"]):
        screen.heading(f"{names[position]} from hidden tensors: F(x) = W_h h + b_h")
        columns = ["tensor", "grid", "channels", "W_h h", "b_h", "off by", "at most", ""]
        screen.table(columns, [*_lines(found["maps"], at)])


def _lines(maps: Sequence[dict[str, Any]], at: int) -> Iterator[list[Cell]]:
    for one in maps:
        height, width = one["grid"]
        split = [f"{np.sum(one['values'][at]):+.5g}", f"{one['rest'][at]:+.5g}"]
        off = [f"{one['error'][at]:.1e}", f"{one['error_bound'][at]:.1e}"]
        place = [one["tensor"], f"{height} x {width}", one["channels"]]
        yield [*place, *split, *off, one["verdicts"][at]]
