"""Tests of a model of your own, and of ONNX tools: laws, strategies, a pytest plugin.

The strategies need Hypothesis and the plugin pytest: ``pip install "onnxlin[testing]"``. The
assertions need neither.
"""

from typing import TYPE_CHECKING

from onnxlin.lazy import lazily

if TYPE_CHECKING:
    from onnxlin.testing.assertions import assert_linearizes, assert_same_map
    from onnxlin.testing.draw.inputs import inputs_for
    from onnxlin.testing.models import GrownModel, onnx_models
    from onnxlin.testing.verdicts import LawError

__all__ = [
    "GrownModel",
    "LawError",
    "assert_linearizes",
    "assert_same_map",
    "inputs_for",
    "onnx_models",
]

_HOMES = {
    "GrownModel": "onnxlin.testing.models",
    "LawError": "onnxlin.testing.verdicts",
    "assert_linearizes": "onnxlin.testing.assertions",
    "assert_same_map": "onnxlin.testing.assertions",
    "inputs_for": "onnxlin.testing.draw.inputs",
    "onnx_models": "onnxlin.testing.models",
}
# Not for type checkers, which would take any name for one that is there.
if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
