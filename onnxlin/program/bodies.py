"""Bodies: models that stand for a node, and what is known of them before they are opened."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from onnxlin.graph import Node
from onnxlin.primitives import Array


def is_open_ended(node: Node) -> bool:
    """Whether a Loop works out in its body if it goes on: anything but the condition it was given.

    Its body is opened as it ran at x, without what decided how long that is.
    """
    if node.op_type != "Loop" or node.domain:
        return False
    body = node.attributes["body"]
    made = {name: inner for inner in body.node for name in inner.output}
    name = body.output[0].name
    while name in made and made[name].op_type == "Identity":
        name = made[name].input[0]
    fixed = {tensor.name for tensor in body.initializer} | {body.input[1].name}
    return name not in fixed and not (name in made and made[name].op_type == "Constant")


def with_constants(model: onnx.ModelProto, constants: Mapping[str, Array]) -> onnx.ModelProto:
    """Turn inputs of a model into initialisers."""
    kept = [i for i in model.graph.input if i.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items()
    )
    return model
