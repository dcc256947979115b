"""Compiled graphs as models of their own, for any ONNX runtime."""
