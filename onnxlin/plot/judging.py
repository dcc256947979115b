"""Deletion and insertion curves of several attributions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxlin.errors import OptionError
from onnxlin.plot.figure import GREY, INK, Path, finish, new_figure
from onnxlin.plot.path import WHEEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from onnxlin.readings.judging.curves import Curve
    from onnxlin.readings.judging.judge import Judgement

DASHES = ("-", (0, (5, 2)))


def judged_curves(
    judgement: Judgement,
    *,
    title: str,
    path: Path | None = None,
    first: str | None = None,
    what: str = "F",
) -> Figure:
    """Write what F is while features go, and while they come, in the order of each attribution.

    Parameters
    ----------
    judgement : onnxlin.readings.judging.judge.Judgement
    title, path : str, path
    first : str, optional
        The attribution that is drawn black and thick.
    what : str
        Name of the vertical axis.
    """
    if not judgement.judged:
        raise OptionError("There are no curves to draw; judge at least one attribution.")
    fig = new_figure(12.5, 4.4)
    left, right = fig.subplots(1, 2, sharey=True)
    colour = 0
    for name in sorted(judgement.judged, key=lambda name: name == first):
        known = {first: INK, "random": GREY}.get(name)
        style: dict[str, Any] = {
            "color": known or WHEEL[colour % len(WHEEL)],
            "ls": "-" if known else DASHES[colour // len(WHEEL) % len(DASHES)],
            "lw": 2.4 if name == first else 1.5,
        }
        colour += known is None
        curves = judgement.judged[name].deletion, judgement.judged[name].insertion
        areas = f"{curves[0].relative:.3f}, {curves[1].relative:.3f}"
        for panel, curve in zip((left, right), curves, strict=True):
            panel.plot(curve.fraction, curve.score, label=f"{name}: {areas}", **style)
    for panel, curve in zip((left, right), curves, strict=True):
        _dress(panel, curve)
    left.set_ylabel(what, color=INK)
    key = right.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    key.set_title("areas of deletion, insertion:\n0 and 1 are the dotted lines")
    key.get_title().set_fontsize(8)
    return finish(fig, title, path)


def _dress(ax: Axes, curve: Curve) -> None:
    for level in (curve.at_x, curve.at_baseline):
        ax.axhline(level, color=GREY, lw=0.6, ls=(0, (1, 2)), zorder=0)
    gone = curve.metric == "deletion"
    good = "small" if gone else "large"
    ax.set_title(f"{curve.metric}: {good} areas are good", fontsize=9, color=INK)
    ax.set_xlabel(f"share of the features {'gone' if gone else 'put in'}", color=INK)
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(x=0.01)
