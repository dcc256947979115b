"""Random ONNX models: valid graphs grown node by node from every operator that has a maker.

Nothing here knows onnxlin: what reads, writes, optimises, converts or runs ONNX can be tested with
it. Needs onnx, onnxruntime, NumPy and Hypothesis.
"""

from onnxlin.testing.extras import require

require("hypothesis", "onnxlin.testing.models")

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.running import run
from onnxlin.testing.models.table import MAKERS, maker

from onnxlin.testing.models import makers  # isort: skip  # fills the table
from onnxlin.testing.models.grown import GrownModel  # isort: skip
from onnxlin.testing.models.quantised import quantised_models  # isort: skip
from onnxlin.testing.models.strategy import onnx_models  # isort: skip

__all__ = [
    "MAKERS",
    "Grow",
    "GrownModel",
    "maker",
    "makers",
    "onnx_models",
    "quantised_models",
    "run",
]
