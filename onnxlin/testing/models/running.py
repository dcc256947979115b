"""Run a model once with onnxruntime, as plainly as it can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

Array = npt.NDArray[Any]


def run(model: onnx.ModelProto, feeds: Mapping[str, npt.ArrayLike]) -> list[Array]:
    """Run a model with onnxruntime, its optimisers off, in one thread; return its outputs.

    What ``feeds`` holds beyond the model's inputs is left out.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    wanted = {i.name for i in session.get_inputs()}
    return session.run(None, {name: np.asarray(feeds[name]) for name in wanted})
