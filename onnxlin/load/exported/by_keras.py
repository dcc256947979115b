"""``keras.Model`` -> ONNX, by its own ``export``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from onnxlin.graph import Array
from onnxlin.load.exported.frameworks import KERAS, Made, package, without_example


def export(model: Any, x: Any, options: dict[str, Any]) -> Made:
    """Export a model, which an example builds where it has not been called yet."""
    keras = package("keras", model, KERAS)
    if x is None and not model.built:
        raise without_example(model, KERAS)
    own, fed = (None, None) if x is None else _own(keras, model, x)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        model.export(path, format="onnx", **{"verbose": False} | options)
        made = onnx.load(path)  # with what it may have put beside it
    by = f"keras {keras.__version__} (export, {keras.config.backend()} backend)"
    return Made(made, by, (), own, fed)


def _own(keras: Any, model: Any, x: Any) -> tuple[list[Array] | None, list[Array] | None]:
    """Run the model itself, which builds it; compare it where it has one input."""
    tensors = dict(x) if isinstance(x, Mapping) else np.asarray(x, np.float32)
    found = model(tensors, training=False)
    if isinstance(tensors, dict):
        return None, None
    parts = keras.tree.flatten(found)
    return [np.asarray(keras.ops.convert_to_numpy(part)) for part in parts], [tensors]
