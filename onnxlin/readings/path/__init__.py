"""The model along a line: its exact pieces, class changes and Integrated Gradients."""

from onnxlin.readings.path.along import walk
from onnxlin.readings.path.changes import Change
from onnxlin.readings.path.path import Integrated, Path
from onnxlin.readings.path.tally import PIECES

__all__ = ["PIECES", "Change", "Integrated", "Path", "walk"]
