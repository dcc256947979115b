"""Models cut off at a tensor, given another head, and opened to any number of images."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, Any]
SEED = 2024


def cut(model: onnx.ModelProto, tensor: str) -> onnx.ModelProto:
    """Keep what makes one tensor, which becomes the only output."""
    graph, wanted, nodes = model.graph, {tensor}, list[onnx.NodeProto]()
    for node in reversed(graph.node):
        if wanted & set(node.output):
            nodes.insert(0, node)
            wanted |= set(node.input)
    weights = [w for w in graph.initializer if w.name in wanted]
    held = {w.name for w in weights}
    inputs = [i for i in graph.input if i.name in wanted and i.name not in held]
    output = helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None)
    found = helper.make_graph(nodes, "cut", inputs, [output], weights)
    # From version 4 on weights need not be inputs.
    made = helper.make_model(found, opset_imports=model.opset_import)
    made.ir_version = max(model.ir_version, 4)
    return made


def last_dense(model: onnx.ModelProto) -> tuple[str, int]:
    """Tensor that the last product with a constant matrix reads, and its length.

    Raises
    ------
    ValueError
        There is no such product.
    """
    sizes = {w.name: tuple(w.dims) for w in model.graph.initializer}
    for node in reversed(model.graph.node):
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in sizes:
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            return node.input[0], sizes[node.input[1]][1 if turned else 0]
    raise ValueError("the model has no dense layer whose place a head could take")


def with_head(model: onnx.ModelProto, rows: int) -> onnx.ModelProto:
    """Put a seeded head of so many rows in the place of the last dense layer and what follows it.

    Weights are normal, scaled by 1 / sqrt of their number in a row; the output is ``y (N, rows)``.
    """
    feature, size = last_dense(model)
    made, rng = cut(model, feature), np.random.default_rng(SEED)
    weight = rng.normal(size=(size, rows)) / sqrt(size)
    for name, array in (("head_w", weight), ("head_b", rng.normal(size=rows) / 10)):
        made.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    made.graph.node.append(helper.make_node("MatMul", [feature, "head_w"], ["head_0"]))
    made.graph.node.append(helper.make_node("Add", ["head_0", "head_b"], ["y"]))
    made.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    return made


def opened(model: onnx.ModelProto, images: int | str, size: int | None = None) -> onnx.ModelProto:
    """The same for so many images: a number, or a name for any number; ``size`` pixels a side.

    Nothing in it may hold the number of images that it was written for.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.value_info[:]
    (given,) = made.graph.input
    dims = given.type.tensor_type.shape.dim
    for i, dim in enumerate(dims):
        if i == 0:
            dim.Clear()
            setattr(dim, "dim_param" if isinstance(images, str) else "dim_value", images)
        elif size is not None and dim.dim_value > 4:  # the sides, and not the channels
            dim.dim_value = size
    return made


def input_shape(model: onnx.ModelProto) -> tuple[int, ...]:
    """Shape of one image, without the axis of images."""
    (given,) = model.graph.input
    return tuple(dim.dim_value for dim in given.type.tensor_type.shape.dim)[1:]
