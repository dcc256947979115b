"""Maps written into a graph and run, to be held against what NumPy makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import onnx
import onnxruntime

from onnxlin.load.newest import NEWEST_RUNNABLE
from onnxlin.lowering import Emitter, Laid, Stack, Traced
from onnxlin.primitives import Array, Conv, Diagonal, LinearMap, MatMul, Select, Shape

# Whole numbers below this are exact in float32.
EXACT = 2**24
COEFFICIENTS = {Diagonal: "scale", MatMul: "matrix", Conv: "weight", Select: "index"}


def holds(op: Any, kind: type[LinearMap]) -> bool:
    """Whether a map is, or is made of, maps of a kind."""
    if isinstance(op, tuple):
        return any(holds(part, kind) for part in op)
    if not isinstance(op, LinearMap):
        return False
    return isinstance(op, kind) or any(holds(getattr(op, f.name), kind) for f in fields(op))


def is_empty(op: Any) -> bool:
    """Whether a map is, or is made of, maps of no entries: a sweep leaves those out."""
    if isinstance(op, tuple):
        return any(map(is_empty, op))
    if not isinstance(op, LinearMap):
        return False
    return not (op.rows and op.columns) or any(is_empty(getattr(op, f.name)) for f in fields(op))


class Written:
    """A graph of many maps, each with a stack of its own.

    Parameters
    ----------
    dtype : numpy.dtype
    single : bool
        Whether stacks hold one array.
    """

    def __init__(self, dtype: Any, *, single: bool) -> None:
        self.graph = Emitter(dtype, single=single)
        self.feeds: dict[str, Array] = {}
        self.wanted: list[tuple[str, Array]] = []

    def add(self, op: LinearMap, x: Array, y: Array, *, traced: bool = False) -> None:
        """Write both directions of a map, with what they must give for these stacks."""
        written = self._traced(op) if traced else op
        self._add(written.lower, x, op.in_shape, op.matvec(x))
        self._add(written.lower_adjoint, y, op.out_shape, op.rmatvec(y))

    def _add(
        self, lower: Callable[[Stack], Stack], x: Array, shape: Shape, expected: Array
    ) -> None:
        for merged in {1, shape[0]} if shape else {1}:
            # The stack comes in either layout, and is asked for in every one.
            rest = shape if merged == 1 else shape[1:]
            name = self._given(x.reshape(len(x) * merged, *rest))
            made = lower(Laid(self.graph, shape, name, merged, rest))
            assert made.shape == expected.shape[1:]
            self.wanted.append((made.per_row, expected))
            self.wanted.append((made.flat, expected.reshape(len(x), made_size(made))))
            if made.shape:
                flat = expected.reshape(len(x) * made.shape[0], *made.shape[1:])
                self.wanted.append((made.rows_merged, flat))

    def _given(self, array: Array, dtype: Any = None) -> str:
        name = f"input{len(self.feeds)}"
        self.feeds[name] = array.astype(dtype or self.graph.dtype)
        return name

    def _traced(self, op: LinearMap) -> LinearMap:
        """The same map with coefficients that only a run knows."""
        inner = {f.name: getattr(op, f.name) for f in fields(op)}
        changed: dict[str, Any] = {}
        for name, value in inner.items():
            if isinstance(value, LinearMap):
                changed[name] = self._traced(value)
            elif name == "maps":
                changed[name] = tuple(self._traced(part) for part in value)
        name = COEFFICIENTS.get(type(op), "")
        if name:
            array = inner[name]
            kind = np.int64 if name == "index" else self.graph.dtype
            changed[name] = Traced(self.graph, self._given(array, kind), array.astype(kind))
        if isinstance(op, Select):
            kept = op.index[op.index >= 0]
            changed |= {"whole": kept.size == op.index.size}
            changed |= {"distinct": len(np.unique(kept)) == kept.size}
        return replace(op, **changed)

    def run(self) -> None:
        """Run the graph; every tensor is what is expected of it, to the last bit."""
        given = [_info(n, a.dtype, [None] * a.ndim) for n, a in self.feeds.items()]
        names = list(dict.fromkeys(name for name, _ in self.wanted))
        nodes = self.graph.finished(names)
        ends = [_info(n, self.graph.dtype, None) for n in names if n not in self.feeds]
        found = dict(self.feeds)
        if ends:
            stored = [onnx.numpy_helper.from_array(a, n) for n, a in self.graph.stored.items()]
            body = onnx.helper.make_graph(nodes, "maps", given, ends, stored)
            found |= dict(zip([e.name for e in ends], _run(body, self.feeds), strict=True))
        for name, expected in self.wanted:
            np.testing.assert_array_equal(found[name], expected, strict=False)
            assert found[name].shape == expected.shape
            assert found[name].dtype == self.graph.dtype


def made_size(made: Stack) -> int:
    """Entries of one array of a stack."""
    return int(np.prod(made.shape, dtype=int))


def _info(name: str, dtype: Any, shape: Sequence[None] | None) -> onnx.ValueInfoProto:
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return onnx.helper.make_tensor_value_info(name, kind, shape)


def _run(body: onnx.GraphProto, feeds: dict[str, Array]) -> list[Array]:
    opset = onnx.helper.make_opsetid("", NEWEST_RUNNABLE)
    model = onnx.helper.make_model(body, opset_imports=[opset], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    read = {i.name for i in session.get_inputs()}
    return session.run(None, {name: value for name, value in feeds.items() if name in read})


def fits(op: LinearMap, x: Array, y: Array) -> bool:
    """Whether all that is added up on the way stays a whole number that float32 has."""
    size = op.absolute()
    tops = (size.matvec(np.abs(x)).max(initial=0), size.rmatvec(np.abs(y)).max(initial=0))
    return max(tops) < EXACT
