"""What all pictures share: colours, a figure, a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from onnxlin.errors import OnnxlinError, OptionError

if TYPE_CHECKING:
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
    margins = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    fig = Figure(figsize=(width, height), dpi=150, layout=margins, facecolor="white")
    FigureCanvasAgg(fig)
    return fig


def finish(fig: Figure, title: str, path: Path) -> None:
    """Set the title and write the PNG."""
    # File and class names may hold dollar signs, which are formulas to matplotlib.
    fig.suptitle(title, fontsize=11, color=INK, parse_math=False)
    try:
        fig.savefig(path, format="png")
    except OSError as error:
        raise OptionError(f"Cannot write {os.fspath(path)!r}: {error.strerror}.") from error
