"""Positions by depths: what every token brings to a row, read at every layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.plot.colours import PERCENTILE, colour_bar, limit_of
from onnxlin.plot.figure import COLOURS, Path, finish, name_rows, new_figure
from onnxlin.texts import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NAMED = 60  # positions up to which each has its name below it


def depth_map(
    values: Array,
    depths: Sequence[str],
    positions: Sequence[str],
    *,
    title: str,
    path: Path | None = None,
    what: str = "W_h h",
) -> Figure:
    """Write what every position brings to a row as a picture: a line for each depth, x on top.

    Parameters
    ----------
    values : array (D, positions)
        Of one row of `onnxlin.readings.Depths`.
    depths, positions : sequence of str (D,), (positions,)
        Their names.
    title, path : str, path
    what : str
        What the values are, for the labels.
    """
    plane = np.asarray(values, dtype=np.float64)
    if plane.shape != (len(depths), len(positions)):
        raise OptionError(
            f"values has shape {plane.shape} for {len(depths)} depths and {len(positions)} "
            "positions; expected (depths, positions)."
        )
    limit, count = limit_of(plane), len(positions)
    longest = max((len(name) for name in positions), default=0)
    named = 0.085 * min(longest, 24) if count <= MOST_NAMED else 0.3
    fig = new_figure(min(3.6 + 0.3 * count, 16.0), 1.9 + named + 0.24 * len(depths))
    ax = fig.subplots()
    ax.imshow(plane, cmap=COLOURS, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    name_rows(ax, np.arange(len(depths)), depths, fontsize=8)
    if count <= MOST_NAMED:
        names = [shown(name)[:24] for name in positions]
        ax.set_xticks(np.arange(count), names, rotation=90, fontsize=8, parse_math=False)
    else:
        ax.set_xlabel("position")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    key = f"{what}: red raises the output, blue lowers it"
    colour_bar(fig, ax, plane, key=key, limit=limit, percentile=PERCENTILE)
    return finish(fig, title, path)
