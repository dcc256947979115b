"""Tests of a model of your own, and of ONNX tools: laws, strategies, a pytest plugin."""

from onnxlin.testing.models import GrownModel, onnx_models

__all__ = ["GrownModel", "onnx_models"]
