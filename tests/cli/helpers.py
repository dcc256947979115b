"""Small models and pictures for the tests of the command line."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("my.domain", 1)]


def write_model(path, nodes, x=(1, 4), y=None, **initialisers) -> str:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y)],
        [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in initialisers.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=OPSETS, ir_version=8), path)
    return str(path)


def pixels(path) -> np.ndarray:
    image = pytest.importorskip("PIL.Image")
    with image.open(path) as picture:
        return np.asarray(picture, dtype=np.float64)[None, None]
