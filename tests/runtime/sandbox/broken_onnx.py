"""Imported by a child before its limits hold: typing crashes the process, as some onnx did."""

import ctypes

import onnx.shape_inference


def infer_shapes(*_, **__):
    ctypes.string_at(0)


onnx.shape_inference.infer_shapes = infer_shapes
