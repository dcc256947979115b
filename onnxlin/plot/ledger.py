"""How F(x) is made up: W x, then the share of b of one node after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.plot.figure import BLUE, GREY, INK, RED, Path, finish, name_rows, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def ledger_bars(
    Wx: float,
    names: Sequence[str],
    shares: Array,
    *,
    title: str,
    path: Path | None = None,
    count: int = 20,
) -> Figure:
    """Write one row's ledger: a bar starts where the one above it ends, the last is F(x).

    Parameters
    ----------
    Wx : float
        Where the bars start from.
    names, shares : sequence of str (n,), array (n,)
        Nodes or kinds, in the order to draw, and their shares of b.
    title, path : str, path
    count : int
        How many shares at most; the smallest others are added up in one bar.
    """
    values = np.asarray(shares, dtype=np.float64)
    if values.shape != (len(names),):
        raise OptionError(f"{len(names)} names for shares of shape {values.shape}; expected (n,).")
    labels, parts = _shortened(list(names), values, count)
    labels, parts = ["W x", *labels], [Wx, *parts]
    ends = np.cumsum(parts)
    fig = new_figure(8.0, 1.7 + 0.3 * (len(parts) + 1))
    ax = fig.subplots()
    places = np.arange(len(parts) + 1)
    colours = [RED if part > 0 else BLUE for part in parts]
    drawn = ax.barh(places[:-1], parts, left=ends - np.array(parts), color=colours, height=0.66)
    total = ax.barh(places[-1:], ends[-1:], color=INK, height=0.66)
    ax.bar_label(drawn, [f"{part:+.3g}" for part in parts], padding=4, fontsize=8, color=INK)
    ax.bar_label(total, [f"{ends[-1]:.4g}"], padding=4, fontsize=8, color=INK)
    for place, end in zip(places[:-1], ends, strict=True):
        ax.plot([end, end], [place - 0.33, place + 1.33], color=GREY, linewidth=0.7, zorder=0)
    name_rows(ax, places, [*labels, "F(x)"])
    ax.invert_yaxis()
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.use_sticky_edges = False
    ax.margins(x=0.12, y=0.04)
    if (ends >= 0).all():
        ax.set_xlim(left=0)
    ax.set_xlabel("W x, then what each bias adds (red) or takes away (blue), up to F(x)")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return finish(fig, title, path)


def _shortened(names: list[str], values: Array, count: int) -> tuple[list[str], list[float]]:
    """Keep the strongest in their order; the others are one entry at the end."""
    if len(names) <= count:
        return names, values.tolist()
    kept = np.sort(np.argsort(-np.abs(values), kind="stable")[: count - 1])
    others = float(values.sum() - values[kept].sum())
    return [*(names[i] for i in kept), f"{len(names) - len(kept)} others"], [*values[kept], others]
