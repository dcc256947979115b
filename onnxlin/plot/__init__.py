"""Pictures of what a map says; needs matplotlib, an extra.

Each returns the `matplotlib.figure.Figure`, which a notebook shows, and writes a PNG where ``path``
is given.
"""

from onnxlin.plot.attribution import bars, heat_map, series
from onnxlin.plot.colours import limit_of, smoothed
from onnxlin.plot.depths import depth_map
from onnxlin.plot.grid import heat_map_grid
from onnxlin.plot.judging import judged_curves
from onnxlin.plot.ledger import ledger_bars
from onnxlin.plot.margins import evaluation, margin_histogram
from onnxlin.plot.members import Panel, members
from onnxlin.plot.path import line_profile
from onnxlin.plot.plane import plane_partition

__all__ = [
    "Panel",
    "bars",
    "depth_map",
    "evaluation",
    "heat_map",
    "heat_map_grid",
    "judged_curves",
    "ledger_bars",
    "limit_of",
    "line_profile",
    "margin_histogram",
    "members",
    "plane_partition",
    "series",
    "smoothed",
]
