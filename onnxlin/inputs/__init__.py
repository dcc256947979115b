"""Files that hold an instance x: arrays, tables and pictures, brought to the model's input."""

from onnxlin.graph.picture import Geometry, guess_geometry
from onnxlin.inputs.columns import Columns
from onnxlin.inputs.datasets import Instances, read_instances, read_labels
from onnxlin.inputs.geometry import find_geometry
from onnxlin.inputs.given import Given, read_input
from onnxlin.inputs.preprocessing import Preprocessing

__all__ = [
    "Columns",
    "Geometry",
    "Given",
    "Instances",
    "Preprocessing",
    "find_geometry",
    "guess_geometry",
    "read_input",
    "read_instances",
    "read_labels",
]
