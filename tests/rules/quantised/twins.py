"""Operators twice: on floats, and on the integers that the same whole numbers were cast to.

Under straight-through rounding both have one W, since both do the same to the same numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime

from onnxlin.operators.schemas import allowed_types
from onnxlin.primitives import Array
from tests.corpus import cases

T = onnx.TensorProto
KINDS = {"int8": T.INT8, "uint8": T.UINT8, "int32": T.INT32, "int64": T.INT64}
WIDE = (T.FLOAT, T.DOUBLE)
# Of the cases of one operator, the smallest; among these each reduction of Scatter has one.
MOST = 12
LARGEST = 2000
helper = onnx.helper


@dataclass(frozen=True, eq=False)
class Twins:
    """A float model, the same on integers, and whole numbers to run both at.

    ``x`` has the inputs of the float model; the other has those in ``inputs`` after ``"real "``,
    and ends in ``outputs`` after ``"real "``.
    """

    name: str
    floats: onnx.ModelProto
    whole: onnx.ModelProto
    x: dict[str, Array]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def whole_x(self) -> dict[str, Array]:
        reals = {real(n): self.x[n].astype(np.float32) for n in self.inputs}
        return reals | {n: value for n, value in self.x.items() if n not in self.inputs}


def real(name: str) -> str:
    return f"real {name}"


# What onnxruntime says of a type that it has no kernel for.
LACKING = ("NOT_IMPLEMENTED", "INVALID_GRAPH", "Type Error", "size mismatch", "tensor.h")
# And of an operator set or a file format that is newer than it.
LACKING += ("under development", "Unsupported model IR version")


def runs(model: onnx.ModelProto, x: dict[str, Array]) -> bool:
    """Whether onnxruntime has the kernels, and finds finite numbers."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        found = onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, x)
    except Exception as error:
        if not any(text in str(error) for text in LACKING):
            raise  # the model is at fault
        return False
    return all(np.isfinite(y).all() for y in found)


@cache
def by_operator() -> dict[tuple[str, str], list[Any]]:
    """The smallest of the specification's cases that consist of one operator on floats."""
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for case in cases():
        nodes = case.model.graph.node
        given = [array_of(v) for side in case.data_sets[0] for v in side]
        plain = all(isinstance(v, np.ndarray) and v.dtype.kind in "fiub" for v in given)
        if len(nodes) == 1 and plain:
            found[nodes[0].domain, nodes[0].op_type].append(case)
    return {key: sorted(listed, key=_size)[:MOST] for key, listed in found.items()}


def _size(case: Any) -> int:
    return sum(np.size(array_of(v)) for side in case.data_sets[0] for v in side)


def array_of(value: Any) -> Any:
    if isinstance(value, T):
        return onnx.numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.generic) else value


def twins(domain: str, op_type: str) -> Iterator[Twins]:
    """Twins of an operator, at every type that may take the place of floats in its cases."""
    for case in by_operator().get((domain, op_type), ()):
        if _size(case) > LARGEST:
            continue
        for name, kind in KINDS.items():
            made = _twins(case, name, kind)
            if made is not None:
                yield made


def _twins(case: Any, name: str, kind: int) -> Twins | None:
    floats, (call,) = case.model, case.model.graph.node
    given = {i.name: i.type.tensor_type.elem_type for i in floats.graph.input}
    made = {o.name: o.type.tensor_type.elem_type for o in floats.graph.output}
    types = allowed_types(call.op_type, call.domain)
    inputs, outputs = (
        tuple(
            n
            for i, n in enumerate(names)
            if known.get(n) in WIDE and f"tensor({name})" in side[min(i, len(side) - 1)]
        )
        for names, known, side in ((call.input, given, types[0]), (call.output, made, types[1]))
    )
    if not inputs or not outputs or any(a.HasField("g") for a in call.attribute):
        return None
    x = {n: array_of(v) for n, v in zip(given, case.data_sets[0][0], strict=True)}
    x |= {n: _whole(x[n], name) for n in inputs}
    if any(not np.isfinite(v).all() for v in x.values() if v.dtype.kind == "f"):
        return None
    return Twins(
        f"{case.name} {name}", floats, _at(floats, inputs, outputs, kind), x, inputs, outputs
    )


def _whole(value: Array, kind: str) -> Array:
    """Whole numbers that look like some floats and fit a type, with room for sums."""
    fine = np.array_equal(value, np.round(value))
    numbers = value if fine else np.round(value * (4 if kind.endswith("int8") else 16))
    numbers = np.clip(numbers, -100, 100)
    return np.asarray(np.abs(numbers) if kind.startswith("u") else numbers, value.dtype)


def _at(
    floats: onnx.ModelProto, inputs: tuple[str, ...], outputs: tuple[str, ...], kind: int
) -> onnx.ModelProto:
    """The node on integers: quantised by a scale of 1 where that is possible, else cast."""
    model = onnx.ModelProto()
    model.CopyFrom(floats)
    graph = model.graph
    byte = kind in (T.INT8, T.UINT8)
    one = onnx.numpy_helper.from_array(np.float32(1), "one")
    zero = helper.make_tensor("zero", kind, (), [0])
    graph.initializer.extend([one, zero] if byte else [])
    given = [i for i in graph.input if i.name not in inputs]
    given += [_renamed(i) for i in graph.input if i.name in inputs]
    before = [
        helper.make_node("QuantizeLinear", [real(n), "one", "zero"], [n])
        if byte
        else helper.make_node("Cast", [real(n)], [n], to=kind)
        for n in inputs
    ]
    after = [
        helper.make_node("DequantizeLinear", [n, "one", "zero"], [real(n)])
        if byte
        else helper.make_node("Cast", [n], [real(n)], to=T.FLOAT)
        for n in outputs
    ]
    nodes = [*before, *graph.node, *after]
    for field, new in (("input", given), ("node", nodes)):
        graph.ClearField(field)
        getattr(graph, field).extend(new)
    graph.ClearField("output")
    graph.output.extend(onnx.ValueInfoProto(name=real(n)) for n in outputs)
    if "" not in {o.domain for o in model.opset_import}:
        model.opset_import.append(helper.make_opsetid("", 21))
    return model


def _renamed(info: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    new = onnx.ValueInfoProto()
    new.CopyFrom(info)
    new.name, new.type.tensor_type.elem_type = real(info.name), T.FLOAT
    return new
