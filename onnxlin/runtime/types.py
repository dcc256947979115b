"""Element types that only onnxruntime knows: those behind operators of other domains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx

from onnxlin.graph import Array
from onnxlin.graph.weights import beside
from onnxlin.runtime.referring import opened
from onnxlin.runtime.session import without_optimisers

_KINDS = {f"tensor({name.lower()})": kind for name, kind in onnx.TensorProto.DataType.items()}


def runtime_types(
    proto: onnx.ModelProto, names: Iterable[str], constants: Mapping[str, Array]
) -> dict[str, int]:
    """Ask onnxruntime for the types of tensors; {} where it cannot load the model."""
    model = onnx.ModelProto()
    model.CopyFrom(proto)
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = without_optimisers()
    try:
        found = opened(model, options, beside(proto, constants))
    except Exception:  # the same model is opened later, and the error told then
        return {}
    return {o.name: _KINDS.get(o.type, onnx.TensorProto.UNDEFINED) for o in found.get_outputs()}
