"""Pictures of a row of W x: over a picture, along a series, or as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.plot.colours import (
    PERCENTILE,
    colour_bar,
    colours_of,
    grey_of,
    limit_of,
    over,
    show,
    smoothed,
    unit_picture,
)
from onnxlin.plot.figure import BLUE, GREY, INK, RED, Path, finish, name_rows, new_figure
from onnxlin.readings.stream.hidden import repeated
from onnxlin.texts import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NARROWEST = 2  # pixels of a place between lines
FEW = 200  # points of a series up to which each gets a marker


def heat_map(
    values: Array,
    picture: Array | None = None,
    *,
    title: str,
    path: Path | None = None,
    smooth: float = 0.0,
    percentile: float = PERCENTILE,
    what: str = "W x",
) -> Figure:
    """Write a picture beside its signed contributions ``W x``.

    Parameters
    ----------
    values : array (height, width) or (channels, height, width)
        Contributions; those of the channels of a pixel are added up. They may have other places
        than the picture, as those of a hidden tensor: each then covers its share of it, by
        nearest, with the grid drawn.
    picture : array (height, width) or (height, width, 1 or 3), optional
        What to show on the left and faintly beneath, 0 to 255 or 0 to 1.
    title : str
    path : path, optional
        Of the PNG to write.
    smooth : float
        Blur by so many pixels, for the eye; the title then says so. 0 shows the true values.
    percentile : float
        Of ``|contribution|`` at which the colours end.
    what : str
        What the values are, for the labels.
    """
    plane = np.asarray(values, dtype=np.float64)
    if plane.ndim not in (2, 3):
        raise OptionError(f"values has shape {plane.shape}; expected (channels, height, width).")
    channels = plane.shape[0] if plane.ndim == 3 else 1
    plane = smoothed(plane.sum(axis=0) if plane.ndim == 3 else plane, smooth)
    limit = limit_of(plane, percentile)
    shown = unit_picture(picture)
    places = plane.shape
    plane, shown = _covering(plane, shown)
    coarse = places != plane.shape
    fig, panels = _panels(plane.shape, 1 if shown is None else 2)
    if shown is not None:
        show(panels[0], shown, "input")
    per = f"place of {places[0]} x {places[1]}" if coarse else "pixel"
    note = f"{what} per {per}" + (f", {channels} channels added up" if channels > 1 else "")
    note += f"\nsmoothed for the eye: Gaussian, sigma {smooth:g} px" if smooth else ""
    show(panels[-1], over(plane / limit, grey_of(shown)), note)
    if coarse:
        _draw_grid(panels[-1], places, plane.shape)
    colour_bar(fig, panels[-1], plane, key=_key(what), limit=limit, percentile=percentile)
    return finish(fig, title, path)


def series(
    values: Array,
    signal: Array,
    *,
    title: str,
    path: Path | None = None,
    names: Sequence[str] = (),
    what: str = "W x",
) -> Figure:
    """Write each channel of a series as a line, coloured by its contributions.

    Parameters
    ----------
    values, signal : array (channels, time)
    title, path : str, path
    names : sequence of str
        Of the channels.
    what : str
        What the values are, for the labels.
    """
    signal, limit = np.asarray(signal, dtype=np.float64), limit_of(values)
    channels = len(signal)
    fig = new_figure(9.0, max(1.2 + 1.25 * min(channels, 12), 3.4))
    panels = list(fig.subplots(channels, 1, sharex=True, squeeze=False)[:, 0])
    for i, ax in enumerate(panels):
        _line(ax, signal[i], values[i], limit)
        ax.set_ylabel(
            shown(names[i]) if i < len(names) else f"{i}", rotation=0, ha="right", va="center"
        )
    panels[-1].set_xlabel("position")
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    fig.align_ylabels(panels)
    colour_bar(fig, panels, values, key=_key(what), limit=limit, percentile=PERCENTILE)
    return finish(fig, title, path)


def bars(
    values: Array,
    names: Sequence[str],
    *,
    title: str,
    path: Path | None = None,
    count: int = 25,
    what: str = "W x",
) -> Figure:
    """Write the strongest contributions as signed bars, largest on top.

    Parameters
    ----------
    values : array (n,)
    names : sequence of str (n,)
    title, path : str, path
    count : int
        How many bars at most; the others are added up in one bar.
    what : str
        What the values are, for the labels.
    """
    flat = np.asarray(values, dtype=np.float64).ravel()
    order = np.argsort(-np.abs(flat), kind="stable")
    # Entries that bring nothing go into the last bar as well.
    count = min(count, max(int(np.count_nonzero(flat)), 1))
    kept = order[:count]
    lengths, labels = flat[kept].tolist(), [names[i] for i in kept]
    if len(flat) > count:
        lengths.append(float(flat[order[count:]].sum()))
        labels.append(f"{len(flat) - count} others")
    fig = new_figure(8.0, 1.5 + 0.3 * len(lengths))
    ax = fig.subplots()
    drawn = _bars(ax, lengths, labels)
    ax.set_xlabel(f"contribution {what} (red raises the output, blue lowers it)")
    if len(flat) > count:
        drawn.patches[-1].set_facecolor(GREY)
    return finish(fig, title, path)


def _bars(ax: Axes, lengths: list[float], labels: list[str]) -> Any:
    places = np.arange(len(lengths))
    drawn = ax.barh(places, lengths, color=[RED if v > 0 else BLUE for v in lengths], height=0.72)
    ax.bar_label(drawn, fmt="%+.3g", padding=4, fontsize=8, color=INK)
    name_rows(ax, places, labels)
    ax.invert_yaxis()
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.margins(x=0.14, y=0.02)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return drawn


def _line(ax: Axes, signal: Array, values: Array, limit: float) -> None:
    """One line in pieces, each half-way to its neighbours in the colour of its own entry."""
    from matplotlib.collections import LineCollection

    at = np.arange(len(signal), dtype=np.float64)
    if len(signal) > 1:
        middle = np.stack([at[:-1] + at[1:], signal[:-1] + signal[1:]], axis=1) / 2
        ends = np.concatenate([[[at[0], signal[0]]], middle, [[at[-1], signal[-1]]]])
        points = np.stack([at, signal], axis=1)
        pieces = np.stack([ends[:-1], points, ends[1:]], axis=1)
        # A grey edge keeps the line visible where contributions are near 0, that is white.
        ax.plot(at, signal, color="#b0b0b0", linewidth=3.0, zorder=1)
        ax.add_collection(
            LineCollection(
                list(pieces), colors=colours_of(values / limit), linewidths=2.2, zorder=2
            )
        )
    if len(signal) <= FEW:
        edges: Any = {"edgecolors": "#999999", "linewidths": 0.4}
        ax.scatter(at, signal, s=11, color=colours_of(values / limit), zorder=3, **edges)
    ax.axhline(0, color="#dddddd", linewidth=0.6, zorder=0)
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(x=0.01)


def _covering(plane: Array, picture: Array | None) -> tuple[Array, Array | None]:
    """Repeat the entries of whichever is coarser, so that the plane lies over the picture."""
    if picture is None:
        return plane, None
    height, width = (max(pair) for pair in zip(plane.shape, picture.shape, strict=False))
    seen = repeated(np.moveaxis(picture, -1, 0), height, width)
    return repeated(plane, height, width), np.moveaxis(seen, 0, -1)


def _draw_grid(ax: Axes, places: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Draw the lines between places, where these are wide enough to have some."""
    line: Any = {"color": GREY, "linewidth": 0.5, "alpha": 0.6}
    for count, size, draw in zip(places, shape, (ax.axhline, ax.axvline), strict=True):
        if size >= NARROWEST * count:
            for i in range(1, count):
                draw(-(-i * size // count) - 0.5, **line)


def _panels(shape: tuple[int, ...], count: int) -> tuple[Figure, list[Axes]]:
    """Panels with the picture's proportions."""
    # A photo gets about four dots for each of its pixels.
    wide = float(np.clip(shape[1] / 40, 4.2, 7.0))
    tall = float(np.clip(wide * shape[0] / shape[1], 1.8, 12.0))
    fig = new_figure((wide + 0.2) * count + 1.4, tall + 1.1)
    return fig, list(fig.subplots(1, count, squeeze=False)[0])


def _key(what: str) -> str:
    return f"{what}: red raises the output, blue lowers it"
