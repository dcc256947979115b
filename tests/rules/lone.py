"""One node alone: its map against finite differences of the runtime, in double precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

import onnxlin
from onnxlin import AffineMap, Linearizer
from tests.installed import asked

Array = npt.NDArray[Any]


def model(
    op_type: str, opset: int, inputs: Sequence[Array | None], outputs: int = 1, **attributes: Any
) -> onnx.ModelProto:
    """A model of one node; integer inputs are initialisers, floats are inputs ``i0, i1, ...``."""
    helper = onnx.helper
    names = ["" if value is None else f"i{i}" for i, value in enumerate(inputs)]
    made = [f"o{i}" for i in range(outputs)]
    node = helper.make_node(op_type, names, made, name="lone", **attributes)
    given, fixed = [], []
    for name, value in zip(names, inputs, strict=True):
        if value is not None and value.dtype.kind == "f":
            kind = helper.np_dtype_to_tensor_dtype(value.dtype)
            given.append(helper.make_tensor_value_info(name, kind, [None] * value.ndim))
        elif value is not None:
            fixed.append(onnx.numpy_helper.from_array(value, name))
    results = [onnx.ValueInfoProto(name=name) for name in made]
    graph = helper.make_graph([node], "lone", given, results, fixed)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def feeds(inputs: Sequence[Array | None]) -> dict[str, Array]:
    """The float inputs by name."""
    given = enumerate(inputs)
    return {f"i{i}": v for i, v in given if v is not None and v.dtype.kind == "f"}


def linearised(
    proto: onnx.ModelProto,
    x: Mapping[str, Array],
    mode: str = "tangent",
    truth: Any = None,
    **options: Any,
) -> AffineMap:
    """The map, after it has been verified against the runtime's own result."""
    with asked(proto, x, truth):
        return onnxlin.linearize(proto, dict(x), mode=mode, dtype=np.float64, **options).verify()


def assert_derivative(proto: onnx.ModelProto, x: Mapping[str, Array], step: float = 1e-6) -> None:
    """W is the derivative of the runtime's own function, by central differences in float64.

    An entry of W is off by the curvature, of order step^2, and by rounding, of order eps / step.
    """
    lin = Linearizer(proto)
    with asked(proto, x):
        m = lin(dict(x), dtype=np.float64).verify()
    columns = []
    for name in lin.section.inputs:
        for i in range(x[name].size):
            moved = [_run(lin, x, name, i, by) for by in (step, -step)]
            columns.append((moved[0] - moved[1]) / (2 * step))
    found = np.stack(columns, axis=1)
    largest = 1 + np.abs(m.W).max(initial=0) + np.abs(m.y).max(initial=0)
    assert np.abs(found - m.W).max(initial=0) <= largest * 1e-7


def _run(lin: Linearizer, x: Mapping[str, Array], name: str, i: int, by: float) -> Array:
    value = x[name].copy()
    value.flat[i] += by
    outputs = lin.run({**x, name: value})
    return np.concatenate([np.ravel(o) for o in outputs.values()])


def assert_reproduces(proto: onnx.ModelProto, x: Mapping[str, Array]) -> None:
    """Both modes answer for float32 and float64 inputs, within their own bounds of rounding."""
    for mode in ("tangent", "frozen"):
        for dtype in (np.float32, np.float64):
            with asked(proto, x):
                onnxlin.linearize(proto, dict(x), mode=mode, dtype=dtype).verify()
