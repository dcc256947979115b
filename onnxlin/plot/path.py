"""The outputs of a model along a segment, with every breakpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxlin.graph import Array
from onnxlin.plot.figure import GREY, INK, Path, finish, new_figure
from onnxlin.texts import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from onnxlin.readings.path import Path as Walked

FEW = 6  # rows that get a colour and a name
WHEEL = ("#b2182b", "#2166ac", "#1b7837", "#e08214", "#762a83", "#35978f")


def line_profile(
    walked: Walked, names: Sequence[str], *, title: str, path: Path | None = None
) -> Figure:
    """Write the outputs along a segment as lines, and where the pieces end below them.

    Parameters
    ----------
    walked : onnxlin.readings.path.Path
    names : sequence of str, one a row
        The rows that come out on top somewhere, or nearly, get a colour and their name.
    title, path : str, path
    """
    names = [shown(name) for name in names]
    fig = new_figure(8.0, 4.6)
    upper, lower = fig.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (6, 1)})
    ends = np.stack([walked.t[:-1], walked.t[1:]], axis=1).ravel()
    values = np.stack([walked.left, walked.right], axis=1).reshape(len(ends), -1)
    chosen = _leading(values)
    for row in range(values.shape[1]):
        if row not in chosen:
            upper.plot(ends, values[:, row], color=GREY, lw=0.7, alpha=0.55, zorder=1)
    for colour, row in zip(WHEEL, chosen, strict=False):
        upper.plot(ends, values[:, row], color=colour, lw=1.8, label=names[row], zorder=2)
    for change in walked.changes:
        upper.axvline(change.t, color=INK, lw=0.8, ls=(0, (3, 3)), zorder=0)
        _mark(upper, change.t, f"{names[change.before]} to {names[change.after]}")
    upper.set_ylabel("F", color=INK)
    upper.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _rug(lower, walked.t[1:-1])
    for ax in (upper, lower):
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(x=0)
    return finish(fig, f"{title}: {len(walked):,} affine pieces", path)


def _mark(ax: Axes, t: float, text: str) -> None:
    """Write beside a line, at its top, what changes there."""
    ax.text(
        t, 1.0, f"{text} ", transform=ax.get_xaxis_transform(), fontsize=7, color=INK, rotation=90,
        va="top", ha="right",
    )  # fmt: skip


def _leading(values: Array) -> list[int]:
    """Rows that are the largest somewhere, in order, then those that come nearest to it."""
    first = dict.fromkeys(int(i) for i in values.argmax(axis=1))
    gap = (values.max(axis=1, keepdims=True) - values).min(axis=0)
    return [*first, *(int(i) for i in np.argsort(gap, kind="stable") if int(i) not in first)][:FEW]


def _rug(ax: Axes, t: Array) -> None:
    """One stroke a breakpoint, fainter the more there are."""
    strength = float(np.clip(60 / max(len(t), 1), 0.06, 0.8))
    ax.vlines(t, 0, 1, color=INK, lw=0.6, alpha=strength)
    ax.set_ylim(0, 1)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_ylabel("kinks", rotation=0, ha="right", va="center", color=INK)
    ax.set_xlabel("t, share of the way from x0 to x1", color=INK)
