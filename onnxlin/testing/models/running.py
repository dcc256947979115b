"""Run a model once with onnxruntime, as plainly as it can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnxlin.runtime.session import opened, without_optimisers

Array = npt.NDArray[Any]


def run(model: onnx.ModelProto, feeds: Mapping[str, npt.ArrayLike]) -> list[Array]:
    """Run a model with onnxruntime, its optimisers off, in one thread; return its outputs.

    What ``feeds`` holds beyond the model's inputs is left out.
    """
    session = opened(model, without_optimisers(threads=1))
    wanted = {i.name for i in session.get_inputs()}
    return session.run(None, {name: np.asarray(feeds[name]) for name in wanted})
