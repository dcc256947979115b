"""The model along a line: its exact pieces, class changes and Integrated Gradients."""

from onnxlin.readings.path.along import Integrated, Path, walk
from onnxlin.readings.path.changes import Change

__all__ = ["Change", "Integrated", "Path", "walk"]
