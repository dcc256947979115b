"""Tests of a model of your own, and of ONNX tools: laws, strategies, a pytest plugin."""

from onnxlin.testing.assertions import assert_linearizes

__all__ = ["assert_linearizes"]
