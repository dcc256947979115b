"""The partition of a patch of a plane, coloured by the strongest row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxlin.graph import Array
from onnxlin.plot.figure import INK, Path, finish, new_figure
from onnxlin.plot.path import WHEEL
from onnxlin.texts import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from onnxlin.readings.plane import Plane


def plane_partition(
    plane: Plane,
    names: Sequence[str],
    *,
    title: str,
    path: Path | None = None,
    corners: Sequence[str] = ("origin", "right", "up"),
) -> Figure:
    """Write every polygon of a patch, in the colour of the row that is largest in its middle.

    Parameters
    ----------
    plane : onnxlin.readings.plane.Plane
    names : sequence of str, one a row
    title, path : str, path
    corners : three str
        What the corners are.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import Patch

    names = [shown(name) for name in names]
    fig = new_figure(6.4, 5.4)
    ax = fig.subplots()
    means = np.stack([polygon.y.mean(axis=0) for polygon in plane.polygons])
    winner = means.argmax(axis=1)
    rows = [int(i) for i in np.unique(winner)]
    colours = {row: WHEEL[i % len(WHEEL)] for i, row in enumerate(rows)}
    fine = float(np.clip(20 / np.sqrt(len(plane)), 0.1, 0.8))
    faces = [_tint(colours[int(row)], i) for i, row in enumerate(winner)]
    shapes = [polygon.at for polygon in plane.polygons]
    ax.add_collection(PolyCollection(shapes, facecolors=faces, edgecolors="white", linewidths=fine))
    handles = [Patch(color=tuple(_tint(colours[row], 1)), label=names[row]) for row in rows]
    ax.legend(handles=handles, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5),
              title="largest", fontsize=8, title_fontsize=8)  # fmt: skip
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.set_xlabel(f"u, from {corners[0]} to {corners[1]}", color=INK)
    ax.set_ylabel(f"v, from {corners[0]} to {corners[2]}", color=INK)
    _frame(ax)
    return finish(fig, f"{title}: {len(plane):,} polygons", path)


def _tint(colour: str, i: int) -> Array:
    """A colour, a little lighter or darker for each polygon so that neighbours differ."""
    from matplotlib.colors import to_rgb

    share = 0.35 + 0.1 * (i * 2 % 5)
    mixed: Array = np.array(to_rgb(colour)) * (1 - share) + share
    return mixed


def _frame(ax: Axes) -> None:
    for spine in ax.spines.values():
        spine.set_color(INK)
        spine.set_linewidth(0.8)
