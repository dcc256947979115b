"""Cut a model open at hidden tensors, so that they can be fed."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import onnx.inliner

from onnxlin.graph import Array
from onnxlin.testing.verdicts import NotApplicable

BEFORE = "/before the cut"


def started_at(model: onnx.ModelProto, at: Mapping[str, Array]) -> onnx.ModelProto:
    """Copy a model and make hidden tensors inputs of it, of the shapes and dtypes that they have.

    The nodes that make them stay, under another name: what they read is still an input.

    Parameters
    ----------
    model : onnx.ModelProto
        Left unchanged.
    at : {tensor name: array}

    Raises
    ------
    NotApplicable
        A tensor is none of the file's own.
    """
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    if cut.functions:
        cut = onnx.inliner.inline_local_functions(cut)
    found = set()
    for node in cut.graph.node:
        for i, name in enumerate(node.output):
            if name in at:
                node.output[i] = name + BEFORE
                found.add(name)
    if lost := sorted(set(at) - found):
        raise NotApplicable(
            f"x starts at {lost}, which are made inside of a node: nothing moves it"
        )
    kept = [info for info in cut.graph.value_info if info.name not in at]
    del cut.graph.value_info[:]
    cut.graph.value_info.extend(kept)
    for name, value in at.items():
        kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        cut.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, value.shape))
    return cut
