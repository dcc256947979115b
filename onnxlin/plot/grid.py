"""Several rows of W x over one picture, in one colour scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.plot.colours import (
    PERCENTILE,
    colour_bar,
    grey_of,
    limit_of,
    over,
    show,
    smoothed,
    unit_picture,
)
from onnxlin.plot.figure import Path, finish, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACROSS = (5, 4, 6, 3)


def heat_map_grid(
    values: Array | Sequence[Array],
    titles: Sequence[str],
    picture: Array | None = None,
    *,
    title: str,
    path: Path | None = None,
    smooth: float = 0.0,
    percentile: float = PERCENTILE,
    key: str = "W x: red raises the output, blue lowers it",
) -> Figure:
    """Write a heat map for each of several rows; the colours mean the same in all of them.

    Parameters
    ----------
    values : K arrays (height, width) or (channels, height, width)
        Contributions; those of the channels of a pixel are added up.
    titles : sequence of str (K,)
        What each row is.
    picture : array (height, width) or (height, width, 1 or 3), optional
        Shown first, and faintly beneath each heat map.
    title, path : str, path
    smooth : float
        Blur by so many pixels, for the eye; the title then says so.
    percentile : float
        Of ``|contribution|`` in all rows together at which the colours end.
    key : str
        What red and blue mean.
    """
    planes = [_plane(value, smooth) for value in values]
    if not planes or len(planes) != len(titles) or len({plane.shape for plane in planes}) > 1:
        raise OptionError(
            f"{len(planes)} heat maps of shapes {sorted({plane.shape for plane in planes})} with "
            f"{len(titles)} titles; expected one title for each, and one shape."
        )
    together = np.concatenate([plane.ravel() for plane in planes])
    limit = limit_of(together, percentile)
    shown = unit_picture(picture)
    panels = [(f"{name}", over(plane / limit, grey_of(shown)))
              for name, plane in zip(titles, planes, strict=True)]  # fmt: skip
    if shown is not None:
        panels.insert(0, ("input", shown))
    # As few empty places as can be, in the order of preference.
    across = min(min(ACROSS, key=lambda n: -len(panels) % n), len(panels))
    down = -(-len(panels) // across)
    height, width = planes[0].shape
    tall = float(np.clip(2.1 * height / width, 0.9, 4.2))
    fig = new_figure(2.1 * across + 1.5, (tall + 0.3) * down + 0.9)
    axes = list(fig.subplots(down, across, squeeze=False).ravel())
    for ax, (name, pixels) in zip(axes, panels, strict=False):
        show(ax, pixels, name)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    colour_bar(fig, axes, together, key=key, limit=limit, percentile=percentile)
    blurred = f"\nsmoothed for the eye: Gaussian, sigma {smooth:g} px" if smooth else ""
    return finish(fig, title + blurred, path)


def _plane(value: Array, smooth: float) -> Array:
    plane = np.asarray(value, dtype=np.float64)
    if plane.ndim not in (2, 3):
        raise OptionError(
            f"A heat map has shape {plane.shape}; expected (channels, height, width)."
        )
    return smoothed(plane.sum(axis=0) if plane.ndim == 3 else plane, smooth)
