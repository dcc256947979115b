"""Run an old form and its newest form in onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper

from onnxlin.load.newest import NEWEST_RUNNABLE
from onnxlin.load.normalise import Context, Draft, normalise, to_proto

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

RNG = np.random.default_rng(5)
NEWEST_KERNEL = {"RoiAlign": 16}  # onnxruntime knows no later one


def floats(*shape: int, dtype: Any = np.float32) -> Array:
    return RNG.standard_normal(shape).astype(dtype)


def run(nodes: Sequence[onnx.NodeProto], opset: int, feeds: Arrays, constants: Arrays) -> list[Any]:
    """Outputs of the last node, all optimisations off."""
    inputs = [
        helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        for k, v in feeds.items()
    ]
    outputs = [name for name in nodes[-1].output if name]
    stored = [onnx.numpy_helper.from_array(v, k) for k, v in constants.items()]
    infos = [onnx.ValueInfoProto(name=o) for o in outputs]
    graph = helper.make_graph(nodes, "graph", inputs, infos, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(outputs, dict(feeds))


def draft_of(
    op_type: str, opset: int, feeds: Arrays, constants: Arrays, outputs: Sequence[str], **attrs: Any
) -> tuple[Draft, Context]:
    """A draft that reads all feeds, then all constants, and a context that knows them."""
    version = onnx.defs.get_schema(op_type, opset).since_version
    kinds = {k: helper.np_dtype_to_tensor_dtype(v.dtype) for k, v in feeds.items()}
    context = Context(dict(constants), {k: v.ndim for k, v in feeds.items()}, kinds)
    names = [*feeds, *constants]
    return Draft("node", op_type, "", names, list(outputs), dict(attrs), version), context


def newest(
    op_type: str,
    opset: int,
    feeds: Arrays,
    constants: Arrays | None = None,
    outputs: Sequence[str] = ("y",),
    **attributes: Any,
) -> list[Any]:
    """What onnxruntime computes from the newest form."""
    draft, context = draft_of(op_type, opset, feeds, constants or {}, outputs, **attributes)
    nodes = [to_proto(new) for new in normalise(draft, context)]
    target = NEWEST_KERNEL.get(op_type, NEWEST_RUNNABLE)
    return run(nodes, target, feeds, context.constants)


def assert_same(
    op_type: str,
    opset: int,
    feeds: Arrays,
    constants: Arrays | None = None,
    outputs: Sequence[str] = ("y",),
    **attributes: Any,
) -> None:
    """The file's form and the newest form agree to the last bit."""
    draft, _ = draft_of(op_type, opset, feeds, constants or {}, outputs, **attributes)
    old = run([to_proto(draft)], opset, feeds, constants or {})
    new = newest(op_type, opset, feeds, constants, outputs, **attributes)
    assert_equal(old, new)


def assert_equal(old: Sequence[Array], new: Sequence[Array]) -> None:
    """Same number, dtypes, shapes and bits; NaN is NaN."""
    for a, b in zip(old, new, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b, strict=True)


X = floats(2, 3, 4, 5)
"""An image for every test."""
PER_CHANNEL = dict(zip("sbmv", [floats(3), floats(3), floats(3), np.abs(floats(3))], strict=True))
"""Scale, bias, mean and variance of three channels."""
