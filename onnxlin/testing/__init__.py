"""Tests of a model of your own, and of ONNX tools: laws, strategies, a pytest plugin."""
