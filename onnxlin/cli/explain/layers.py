"""``onnxlin explain --layers``: a transformer read at every depth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxlin import page, plot
from onnxlin.affine_map import AffineMap
from onnxlin.cli.screen import Cell, Screen
from onnxlin.readings import depths
from onnxlin.readings.stream.listed import listed

MOST = 3  # positions that are named in a line


def read(
    m: AffineMap, chosen: Sequence[int], parts: Sequence[page.Part], options: Any
) -> dict[str, Any] | None:
    """Read the rows that are explained at every depth; None where nobody asks.

    Raises
    ------
    OptionError
        The model has no stream.
    """
    if not options.layers or not chosen:
        return None
    return {"rows": list(chosen), **listed(depths(m, np.array(chosen, np.int64)), parts)}


def draw(found: dict[str, Any] | None, at: int, title: str, path: Path) -> None:
    """Write the picture of one row."""
    assert found is not None
    labels = [depth["label"] for depth in found["depths"]]
    values = np.array(found["values"][at])
    plot.depth_map(values, labels, found["positions"], title=title, path=path)


def show(found: dict[str, Any] | None, explained: Sequence[dict[str, Any]], screen: Screen) -> None:
    """Print every row that was read: a line for each depth, and b by layer and kind."""
    if found is not None:
        names = {item["position"]: item["label"] for item in explained}
        for at, position in enumerate(found["rows"]):
            _row(found, at, names[position], screen)


def _row(found: dict[str, Any], at: int, name: str, screen: Screen) -> None:
    screen.heading(f"{name} at every depth: W_h h + b_h")
    for note in found["notes"]:
        screen.line(f"  {note}")
    rows: list[list[Cell]] = []
    for d, depth in enumerate(found["depths"]):
        values = np.array(found["values"][at][d])
        first = np.argsort(-np.abs(values), kind="stable")[:MOST]
        strongest = ", ".join(f"{found['positions'][i]} {values[i]:+.3g}" for i in first)
        split = [f"{values.sum():+.5g}", f"{found['rest'][at][d]:+.5g}"]
        off = f"{found['error'][at][d]:.1e}", f"{found['error_bound'][at][d]:.1e}"
        rows.append([depth["label"], *split, strongest, *off, found["verdicts"][at][d]])
    screen.table(["depth", "W_h h", "b_h", "strongest", "off by", "at most", ""], rows)
    screen.heading(f"The b of {name} by layer and kind")
    pairs = zip(found["places"], found["shares"][at], strict=True)
    screen.table(["where", "b"], [[place["name"], f"{share:+.5g}"] for place, share in pairs])
