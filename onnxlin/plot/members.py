"""Samples of two features, coloured by the group that they are in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.plot.figure import GREY, INK, Path, finish, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GOLDEN = 0.618033988749895  # of a turn: the hues of the first few groups are far apart
LINES = 30  # more would hide the samples


@dataclass(frozen=True, eq=False)
class Panel:
    """One way of grouping the samples.

    Parameters
    ----------
    title : str
    member : integer array (N,)
        Group of each sample, from 0.
    maps : sequence of (W, b)
        Of each group, for one output: (2,) and a number. Where there are few, the line
        ``W x + b = 0`` is drawn as far as the group goes.
    """

    title: str
    member: Array
    maps: Sequence[tuple[Array, float]] = ()


def members(
    x: Array,
    panels: Sequence[Panel],
    *,
    title: str,
    path: Path | None = None,
    names: Sequence[str] = ("x[0]", "x[1]"),
) -> Figure:
    """Write a picture of samples ``(N, 2)``, a panel for each way of grouping them.

    Colours tell groups apart and mean nothing else. Black lines are where a group's map is 0.

    Raises
    ------
    OptionError
        The samples have not two features.
    OnnxlinError
        matplotlib is not installed.
    """
    if x.ndim != 2 or x.shape[1] != 2:
        raise OptionError(f"x has shape {x.shape}; only samples of two features can be drawn.")
    fig = new_figure(1.0 + 4.6 * len(panels), 5.2)
    axes = fig.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
    for ax, panel in zip(axes, panels, strict=True):
        ax.scatter(x[:, 0], x[:, 1], s=7, c=colours(panel.member), linewidths=0)
        if len(panel.maps) <= LINES:
            for i, (W, b) in enumerate(panel.maps):
                _line(ax, x[panel.member == i], W, b)
        _dress(ax, panel.title, names)
    return finish(fig, title, path)


def colours(member: Array) -> Array:
    """Colour each sample by its group: ``(N,) -> (N, 3)``; neighbours in number differ most."""
    from matplotlib.colors import hsv_to_rgb  # an extra

    hue = member * GOLDEN % 1
    value = np.array([0.85, 0.55, 0.7])[member % 3]
    found: Array = hsv_to_rgb(np.column_stack([hue, np.full(len(hue), 0.8), value]))
    return found


def _line(ax: Axes, x: Array, W: Array, b: float) -> None:
    """Draw ``W x + b = 0`` beside the samples given, if it passes them."""
    length = float(np.hypot(*W))
    if not length or not len(x):
        return
    normal = W / length
    along = np.array([-normal[1], normal[0]])
    apart, reach = x @ normal + b / length, x @ along
    if apart.min() > 0 or apart.max() < 0:
        return  # all samples of the group are on one side
    ends = np.array([reach.min(), reach.max()])[:, None] * along - b / length * normal
    ax.plot(*ends.T, color="black", linewidth=1.6, solid_capstyle="round")


def _dress(ax: Any, title: str, names: Sequence[str]) -> None:
    ax.set_title(title, fontsize=10, color=INK)
    ax.set_aspect("equal", adjustable="box")
    for set_label, name in zip((ax.set_xlabel, ax.set_ylabel), names, strict=True):
        set_label(name, color=INK, fontsize=9)
    ax.tick_params(colors=GREY, labelsize=8)
    for spine in ax.spines.values():
        spine.set_color(GREY)
