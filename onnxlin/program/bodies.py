"""Bodies: models that stand for a node."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from onnxlin.primitives import Array


def with_constants(model: onnx.ModelProto, constants: Mapping[str, Array]) -> onnx.ModelProto:
    """Turn inputs of a model into initialisers."""
    kept = [i for i in model.graph.input if i.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items()
    )
    return model
