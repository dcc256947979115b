"""Deletion and insertion curves of several attributions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from onnxlin.errors import OptionError
from onnxlin.plot.figure import GREY, INK, Path, finish, new_figure
from onnxlin.plot.path import WHEEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from onnxlin.readings.judging import Judgement
    from onnxlin.readings.judging_curves import Curve

DASHES = ("-", (0, (5, 2)))


def judged_curves(
    judgement: Judgement, *, title: str, path: Path, first: str | None = None, what: str = "F"
) -> None:
    """Write what F is while features go, and while they come, in the order of each attribution.

    Parameters
    ----------
    judgement : onnxlin.readings.judging.Judgement
    title, path : str, path
    first : str, optional
        The attribution that is drawn black and thick.
    what : str
        Name of the vertical axis.
    """
    if not judgement.judged:
        raise OptionError("There are no curves to draw; judge at least one attribution.")
    fig = new_figure(11.5, 4.4)
    left, right = fig.subplots(1, 2, sharey=True)
    order = sorted(judgement.judged, key=lambda name: name == first)
    for panel, metric in ((left, "deletion"), (right, "insertion")):
        colour = 0
        for name in order:
            known = {first: INK, "random": GREY}.get(name)
            style = WHEEL[colour % len(WHEEL)], DASHES[colour // len(WHEEL) % len(DASHES)]
            colour += known is None
            curve: Curve = getattr(judgement.judged[name], metric)
            label = f"{name}: {curve.relative:.3f}"
            width = 2.4 if name == first else 1.5
            shape = "-" if known else style[1]
            panel.plot(
                curve.fraction, curve.score, label=label, lw=width, color=known or style[0],
                ls=shape,
            )  # fmt: skip
        _dress(panel, curve, metric)
    left.set_ylabel(what, color=INK, parse_math=False)
    finish(fig, title, path)


def _dress(ax: Axes, curve: Curve, metric: str) -> None:
    for level in (curve.at_x, curve.at_baseline):
        ax.axhline(level, color=GREY, lw=0.6, ls=(0, (1, 2)), zorder=0)
    gone = metric == "deletion"
    ax.set_title(f"{metric}: {'small' if gone else 'large'} areas are good", fontsize=9, color=INK)
    ax.set_xlabel(f"share of the features {'gone' if gone else 'put in'}", color=INK)
    place: Literal["upper right", "lower right"] = "upper right" if gone else "lower right"
    key = ax.legend(fontsize=7.5, loc=place, framealpha=0.9, edgecolor="white")
    key.set_title("area, F(x0) = 0, F(x) = 1")
    key.get_title().set_fontsize(7.5)
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(x=0.01)
