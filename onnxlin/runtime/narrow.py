"""Element types that onnxruntime can compute with but not hand over, or not compute with.

There are no NumPy arrays of its 8-bit floats and 4-bit integers, so those tensors cross as float32,
which holds every number of them. For bfloat16 the CPU provider has hardly any kernel: a node of
that type runs in float32 and its results are rounded to bfloat16, which is what the runtime itself
does for float16.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from onnxlin.graph import Array, Node
from onnxlin.graph.typed import element_types
from onnxlin.runtime.installed import float16_kernels

T = onnx.TensorProto
_NAMES = """
    BFLOAT16 FLOAT8E4M3FN FLOAT8E4M3FNUZ FLOAT8E5M2 FLOAT8E5M2FNUZ FLOAT8E8M0 FLOAT4E2M1
    INT4 UINT4 INT2 UINT2
"""
_LEFT = frozenset({"Cast", "Constant"})  # that have kernels, or need none
# Those of an older onnx package are fewer.
NARROW = frozenset(getattr(T, name) for name in _NAMES.split() if hasattr(T, name))


@dataclass(frozen=True)
class Crossing:
    """Tensors that cross to the runtime, or back, as float32.

    Parameters
    ----------
    feeds, fetches : {tensor name: dtype}
        The dtype that the model has them in.
    """

    feeds: Mapping[str, np.dtype[Any]] = field(default_factory=dict)
    fetches: Mapping[str, np.dtype[Any]] = field(default_factory=dict)

    def given(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Name and type feeds as the runtime takes them."""
        return {
            _wide(n) if n in self.feeds else n: v.astype(np.float32) if n in self.feeds else v
            for n, v in feeds.items()
        }

    def name(self, output: str) -> str:
        """Name under which the runtime has an output."""
        return _wide(output) if output in self.fetches else output

    def taken(self, output: str, value: Any) -> Any:
        """Bring an output back to its own type."""
        return value.astype(self.fetches[output]) if output in self.fetches else value


def prepare(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Crossing]:
    """Return the model with narrow tensors widened where they cross, or are computed with."""
    if not _uses_narrow(model.graph):
        return model, Crossing()
    types = element_types(model)
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    graph = wide.graph
    nodes = [new for node in graph.node for new in _computable(node, types)]
    stored = {t.name for t in graph.initializer}
    feeds, fetches = {}, {}
    for given in graph.input:
        kind = given.type.tensor_type.elem_type
        if kind in NARROW and given.name not in stored:
            feeds[given.name] = onnx.helper.tensor_dtype_to_np_dtype(kind)
            nodes.insert(0, _cast(_wide(given.name), given.name, kind))
            given.name, given.type.tensor_type.elem_type = _wide(given.name), T.FLOAT
    for i, made in enumerate(graph.output):
        kind = types.get(made.name, T.UNDEFINED)
        if kind in NARROW:
            fetches[made.name] = onnx.helper.tensor_dtype_to_np_dtype(kind)
            if made.name not in feeds:
                nodes.append(_cast(made.name, _wide(made.name), T.FLOAT))
            graph.output[i].CopyFrom(onnx.ValueInfoProto(name=_wide(made.name)))
    del graph.node[:]
    graph.node.extend(nodes)
    return wide, Crossing(feeds, fetches)


def computes_wide(node: Node, dtype: np.dtype[Any]) -> bool:
    """Whether a node of a 16-bit type is computed in float32 and rounded once, at the end.

    That is so where the CPU provider has no kernel of the type, unless it opens the operator as
    the function that its schema defines.
    """
    if dtype == "bfloat16":
        return node.op_type not in _LEFT
    has = onnx.defs.has(node.op_type, node.domain)
    schema: Any = onnx.defs.get_schema(node.op_type, node.domain) if has else None
    function = schema and (schema.has_function or schema.has_context_dependent_function)
    return not function and (node.domain, node.op_type) not in float16_kernels()


def _wide(name: str) -> str:
    return f"{name}/float32"


def _uses_narrow(graph: onnx.GraphProto) -> bool:
    """Whether a narrow type is named anywhere; without one, no tensor can be of one."""
    if any(tensor.data_type in NARROW for tensor in graph.initializer):
        return True
    if any(info.type.tensor_type.elem_type in NARROW for info in (*graph.input, *graph.output)):
        return True
    return any(
        (a.name in ("to", "dtype", "output_dtype") and a.i in NARROW) or a.t.data_type in NARROW
        for node in graph.node
        for a in node.attribute
    )


def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    return onnx.helper.make_node("Cast", [source], [target], f"{source}->{target}", to=kind)


def _computable(node: onnx.NodeProto, types: Mapping[str, int]) -> list[onnx.NodeProto]:
    """Run a bfloat16 node in float32, and round what it makes."""
    inner = any(a.HasField("g") or a.graphs for a in node.attribute)
    narrow = {n for n in (*node.input, *node.output) if n and types.get(n) == T.BFLOAT16}
    if not narrow or inner or node.op_type in _LEFT:
        return [node]
    run = onnx.NodeProto()
    run.CopyFrom(node)
    before, after = [], []
    for i, name in enumerate(node.input):
        if name in narrow:
            run.input[i] = f"{node.name}<-{name}"
            before.append(_cast(name, run.input[i], T.FLOAT))
    for i, name in enumerate(node.output):
        if name in narrow:
            run.output[i] = f"{node.name}->{name}"
            after.append(_cast(run.output[i], name, T.BFLOAT16))
    unique = {cast.output[0]: cast for cast in before}
    return [*unique.values(), run, *after]
