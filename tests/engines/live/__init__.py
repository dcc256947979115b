"""Tests of onnxlin.engines.live."""
