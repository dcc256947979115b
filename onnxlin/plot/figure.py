"""What all pictures share: colours, a figure, a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from onnxlin.errors import OnnxlinError
from onnxlin.files import writing
from onnxlin.graph import Array
from onnxlin.texts import shown, shown_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Path = str | os.PathLike[str]

COLOURS = "RdBu_r"
INK = "#333333"
RED, BLUE, GREY = "#b2182b", "#2166ac", "#999999"
"""What raises an output, what lowers it, and what is neither."""


def new_figure(width: float, height: float) -> Figure:
    """Open a white figure of so many inches."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # an extra
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise OnnxlinError(
            'Drawing needs matplotlib: pip install "onnxlin[cli]", or say --no-files.'
        ) from error
    except (ValueError, OSError) as error:  # what it reads as it begins: MPLBACKEND, its folders
        raise OnnxlinError(
            f"matplotlib cannot be used: {error} Mend that, or say --no-files."
        ) from error

    class Picture(Figure):
        """A figure that a notebook shows, with pyplot or without it."""

        def _repr_png_(self) -> bytes:
            stream = BytesIO()
            self.savefig(stream, format="png")
            return stream.getvalue()

    margins = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    fig = Picture(figsize=(width, height), dpi=150, layout=margins, facecolor="white")
    FigureCanvasAgg(fig)
    return fig


def name_rows(ax: Axes, places: Array, names: Sequence[str], fontsize: float | None = None) -> None:
    """Put names beside the rows of a picture; ticks are drawn anew, so `finish` comes too late."""
    ax.set_yticks(places, [shown(name) for name in names], fontsize=fontsize, parse_math=False)


def finish(fig: Figure, title: str, path: Path | None) -> Figure:
    """Set the title, write the PNG if a path is given, and return the figure."""
    from matplotlib.text import Text  # an extra

    fig.suptitle(title, fontsize=11, color=INK)
    for text in fig.findobj(Text):
        # Names may hold dollar signs, which are formulas to matplotlib, and letters it has no
        # picture of.
        text.set_usetex(False)
        text.set_parse_math(False)
        text.set_text(shown_lines(text.get_text()))
    if path is not None:
        with writing(path, "Give the picture another name.") as stream:
            fig.savefig(stream, format="png")
    return fig
