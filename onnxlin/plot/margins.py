"""Over a data set: how often each part is right, and what the margins are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.plot.figure import BLUE, GREY, INK, RED, Path, finish, name_rows, new_figure
from onnxlin.readings.data.histogram import Histogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = {"all": INK, "W x": RED, "b": BLUE}
SHOWN = {"all": "F(x) = W x + b", "W x": "W x alone", "b": "b alone"}


def margin_histogram(
    margins: Mapping[str, Array], *, title: str, path: Path | None = None
) -> Figure:
    """Write how the margins of F(x) and of its parts are distributed.

    Parameters
    ----------
    margins : {"all", "W x" or "b": array (N,)}
        Score of the right class less that of its strongest rival.
    title, path : str, path
    """
    fig = new_figure(8.0, 4.0)
    _histogram(fig.subplots(), margins)
    return finish(fig, title, path)


def evaluation(
    accuracy: Mapping[str, float],
    margins: Mapping[str, Array] | Histogram,
    owned: Mapping[str, float],
    *,
    measure: str,
    title: str,
    path: Path | None = None,
    count: int = 12,
) -> Figure:
    """Write accuracy, margins and who owns them beside each other.

    Parameters
    ----------
    accuracy : {"all", "W x", "b": share}
    margins : {"all", "W x", "b": array (N,)}, or a Histogram of them
    owned : {part: share of the mean margin}
        W x and every node.
    measure : str
        "accuracy" or "agreement with F(x)".
    title, path : str, path
    count : int
        Most bars of the last panel; the smallest others are added up.
    """
    fig = new_figure(13.0, 4.2)
    left, middle, right = fig.subplots(1, 3, width_ratios=(0.75, 1.25, 1.2))
    _accuracies(left, accuracy, measure)
    _histogram(middle, margins)
    _owners(right, owned, count)
    return finish(fig, title, path)


def _accuracies(ax: Axes, accuracy: Mapping[str, float], measure: str) -> None:
    places = np.arange(len(accuracy))
    heights = [100 * value for value in accuracy.values()]
    drawn = ax.bar(places, heights, color=[PARTS[name] for name in accuracy], width=0.62)
    ax.bar_label(drawn, [f"{height:.1f}%" for height in heights], fontsize=9, color=INK)
    ax.set_xticks(places, [SHOWN[name].replace(" = ", " =\n") for name in accuracy])
    ax.set_ylim(0, 112)
    ax.set_yticks([0, 25, 50, 75, 100])
    ax.set_ylabel(f"{measure}, %")
    _plain(ax)


def _histogram(ax: Axes, margins: Mapping[str, Array] | Histogram) -> None:
    found = margins if isinstance(margins, Histogram) else _counted(margins)
    edges = found.edges.tolist()
    for name, counts in found.counts.items():
        wrong = found.below[name] / int(counts.sum())
        label = f"{SHOWN[name]}: {wrong:.1%} at or below 0"
        colour = PARTS[name]
        # One number in each bin, as heavy as what lies there.
        bars = (edges[:-1], edges)
        ax.hist(*bars, weights=counts, histtype="stepfilled", color=colour, alpha=0.13)
        ax.hist(*bars, weights=counts, histtype="step", label=label, color=colour, linewidth=1.6)
    ax.axvline(0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    ax.set_xlabel("margin: the right class less its strongest rival in F(x)")
    ax.set_ylabel("instances")
    ax.set_ylim(top=ax.get_ylim()[1] * 1.28)  # room for the legend
    key = ax.legend(fontsize=8, loc="upper left", framealpha=1.0, edgecolor="white")
    key.set_zorder(5)
    _plain(ax)


def _counted(margins: Mapping[str, Array]) -> Histogram:
    if unknown := set(margins) - set(PARTS):
        raise OptionError(f"margins of {sorted(unknown)}; expected some of {list(PARTS)}.")
    values = {name: np.asarray(margins[name], dtype=np.float64) for name in margins}
    if not sum(found.size for found in values.values()):
        raise OptionError("There are no margins to draw; give at least one instance.")
    return Histogram.of(values)


def _owners(ax: Axes, owned: Mapping[str, float], count: int) -> None:
    names, shares = list(owned), np.array(list(owned.values()))
    order = np.argsort(-np.abs(shares), kind="stable")
    kept = np.sort(order[: count - 1] if len(names) > count else order)
    labels, lengths = [names[i] for i in kept], [float(shares[i]) for i in kept]
    if len(kept) < len(names):
        labels.append(f"{len(names) - len(kept)} others")
        lengths.append(float(shares.sum() - shares[kept].sum()))
    places = np.arange(len(labels))
    lengths = [100 * length for length in lengths]
    drawn = ax.barh(places, lengths, color=[RED if v > 0 else BLUE for v in lengths], height=0.7)
    ax.bar_label(drawn, [f"{v:+z.1f}%" for v in lengths], padding=3, fontsize=8, color=INK)
    name_rows(ax, places, [_short(label) for label in labels], fontsize=8)
    ax.invert_yaxis()
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.margins(x=0.2)
    ax.set_xlabel("share of the mean margin, %")
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    _plain(ax)


def _short(name: str, most: int = 36) -> str:
    """Keep both ends of a long node name: that is where names differ."""
    if len(name) <= most:
        return name
    half = (most - 3) // 2
    return f"{name[:half]}...{name[-half:]}"


def _plain(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["bottom", "left"]].set_color(GREY)
