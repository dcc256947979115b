"""Compile a section at the shapes of one x into a model: x, seeds -> y, seeds @ W, seeds @ b.

In the other direction the model takes tangents: x, tangents -> y, tangents @ W.T.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np
import onnx

from onnxlin.build import Builder
from onnxlin.compiled.sweep import Swept, adjoint_sweep, tangent_sweep
from onnxlin.compiled.tracing import GraphTracer
from onnxlin.engines.reverse import row_bytes
from onnxlin.graph import Array
from onnxlin.load import NEWEST_RUNNABLE, implicit
from onnxlin.lowering import Emitter, NotStaticError, Stack, Traced
from onnxlin.primitives import Shape
from onnxlin.program import LinearProgram
from onnxlin.section import Section
from onnxlin.weights import beside, stored

STACKING = "K"
"""Name of the one axis whose length is open."""

ADJOINT, TANGENT = "adjoint", "tangent"
NAMES = {
    ADJOINT: ("seeds", "seeds_W", "seeds_b", "shares"),
    TANGENT: ("tangents", "W_tangents", "", ""),
}
"""Direction -> what is given, and what is made of it, where the model has not taken the name."""


@dataclass(frozen=True, eq=False)
class Compiled:
    """A section as a model.

    Parameters
    ----------
    model : onnx.ModelProto
        Without its large weights.
    weights : {tensor name: array}
        Those.
    feeds : tuple of str
        The model's inputs, without the seeds.
    seeds, rows, bias, shares : str
        Tensors (K, n_out), and ``seeds @ W`` (K, n_in), ``seeds @ b`` (K,), (K, nodes). In the
        tangent direction (K, n_in) and ``seeds @ W.T`` (K, n_out), and "" for the other two.
    nodes : tuple of str
        What the columns of the shares belong to.
    inputs, outputs : {tensor name: shape}
        Of the section.
    further : tuple of str
        Inputs of the section that the graph computes itself.
    dtype : numpy.dtype
        Of everything that is computed.
    row_bytes : int
        Estimate of the memory that one row needs at the widest point of the sweep.
    work : float
        Multiplications of one row at a node, on average.
    single : bool
        Whether the graph takes one row at a time.
    direction : {"adjoint", "tangent"}
    """

    model: onnx.ModelProto
    weights: Mapping[str, Array]
    feeds: tuple[str, ...]
    seeds: str
    rows: str
    bias: str
    shares: str
    nodes: tuple[str, ...]
    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    further: tuple[str, ...]
    dtype: np.dtype[Any]
    row_bytes: int
    work: float
    single: bool
    direction: str = ADJOINT

    @property
    def weight(self) -> int:
        """Bytes of the large weights."""
        return sum(array.nbytes for array in self.weights.values())

    @property
    def n_rows(self) -> int:
        """Number of outputs."""
        return sum(prod(shape) for shape in self.outputs.values())

    @property
    def columns(self) -> int:
        """Number of input features."""
        return sum(prod(shape) for shape in self.inputs.values())


def float_type(section: Section, feeds: Mapping[str, Array]) -> np.dtype[Any]:
    """Return the precision of a compiled section: that of the model."""
    types = section.graph.elem_types
    double = any(types.get(name) == onnx.TensorProto.DOUBLE for name in section.inputs)
    return np.dtype(np.float64 if double else np.float32)


def compile_section(
    section: Section,
    mode: str,
    feeds: Mapping[str, Array],
    *,
    single: bool = False,
    direction: str = ADJOINT,
    axes: Mapping[str, int] | None = None,
) -> Compiled:
    """Compile for the shapes of these feeds.

    Parameters
    ----------
    single : bool
        For one row at a time, and not for any number: what is fastest differs.
    direction : {"adjoint", "tangent"}
    axes : {tensor name: axis}, optional
        Along which instances lie side by side: shares and ``seeds @ b`` are then those of each.

    Raises
    ------
    NotStaticError
        A rule decides from values, or there is no form of something in a graph.
    """
    for name, value in feeds.items():
        if value.dtype.kind == "V":
            raise NotStaticError(f"input {name!r} is {value.dtype}, which onnxruntime cannot take")
    dtype = float_type(section, feeds)
    tensors = section.graph.tensors
    graph = Emitter(dtype, tensors, single=single)
    names = [n if n not in tensors else graph.fresh(n) for n in NAMES[direction]]
    builder = Builder(section, partial(GraphTracer, emitter=graph), mode)
    traced: dict[str, Any] = {n: Traced(graph, n, v) for n, v in feeds.items()}
    tracer = builder.tracer
    assert isinstance(tracer, GraphTracer)
    values = tracer(traced)
    program = builder(values, dtype)
    if direction == ADJOINT:
        swept = adjoint_sweep(graph, program, names[0], values, axes)
    else:
        swept = tangent_sweep(graph, program, names[0])
    results = _results(graph, program, swept, names, axes)
    extra = [n for n in section.inputs if n not in section.graph.inputs]
    ends = {n: tracer.native(n) for n in (*section.outputs, *extra)}
    model = _assemble(
        graph,
        feeds=feeds,
        seeds=names[0],
        width=program.rows if direction == ADJOINT else program.columns,
        ends=ends,
        made=results,
        section=section,
    )
    return Compiled(
        model=model,
        weights=beside(model, graph.stored),
        feeds=tuple(feeds),
        seeds=names[0],
        rows=names[1],
        bias=names[2],
        shares=names[3],
        nodes=swept.nodes,
        inputs=dict(program.inputs),
        outputs=dict(program.outputs),
        further=tuple(extra),
        dtype=dtype,
        row_bytes=row_bytes(program),
        work=program.nnz / max(len(program.steps), 1),
        single=single,
        direction=direction,
    )


def _results(
    graph: Emitter,
    program: LinearProgram,
    swept: Swept,
    names: Sequence[str],
    axes: Mapping[str, int] | None,
) -> dict[str, Shape]:
    """Name what a sweep has made; return the shapes of one row of each."""
    given, rows, bias, shares = names
    made: dict[str, tuple[str, Shape]]
    if not bias:
        made = {rows: (swept.rows, (program.rows,))}
    else:
        name, shape = next(iter(program.outputs.items()))
        apart = () if axes is None else (shape[axes[name]],)
        stack = Stack.of(graph, given, (program.rows,))
        parts = swept.shares or stack.zeros(0)
        if axes is not None and not swept.shares:
            parts = graph(
                "Expand", graph("Unsqueeze", parts, graph.ints([1])), graph.ints([1, *apart, 0])
            )
        if swept.shares:
            total = graph("ReduceSum", parts, graph.ints([-1]), keepdims=0)
        else:  # along an axis without entries some onnxruntimes sum to the wrong shape
            total = stack.zeros(prod(apart))
            total = total if apart else graph("Squeeze", total, graph.ints([-1]))
        made = {
            rows: (swept.rows, (program.columns,)),
            bias: (total, apart),
            shares: (parts, (*apart, len(swept.nodes))),
        }
    for name, (tensor, _) in made.items():
        graph.add(onnx.helper.make_node("Identity", [tensor], [name]))
    return {name: shape for name, (_, shape) in made.items()}


def _assemble(
    graph: Emitter,
    *,
    feeds: Mapping[str, Array],
    seeds: str,
    width: int,
    ends: Mapping[str, Any],
    made: Mapping[str, Shape],
    section: Section,
) -> onnx.ModelProto:
    helper = onnx.helper
    kind = int(helper.np_dtype_to_tensor_dtype(graph.dtype))
    given = [_info(n, v.dtype, v.shape) for n, v in feeds.items()]
    stack: str | int = 1 if graph.single else STACKING
    given.append(helper.make_tensor_value_info(seeds, kind, [stack, width]))
    outputs = [_info(n, v.dtype, v.shape) for n, v in ends.items()]
    outputs += [helper.make_tensor_value_info(n, kind, [stack, *s]) for n, s in made.items()]
    nodes = graph.finished([o.name for o in outputs])
    read = {n for node in nodes for n in (*node.input, *implicit(node))}
    read |= {o.name for o in outputs}
    kept = [stored(name, array) for name, array in graph.stored.items() if name in read]
    body = helper.make_graph(nodes, "linearisation", given, outputs, kept)
    opsets = {**section.graph.opsets, "": NEWEST_RUNNABLE}
    imports = [helper.make_opsetid(d, v) for d, v in opsets.items()]
    return helper.make_model(body, opset_imports=imports, ir_version=10, producer_name="onnxlin")


def _info(name: str, dtype: Any, shape: Shape) -> onnx.ValueInfoProto:
    kind = int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    return onnx.helper.make_tensor_value_info(name, kind, shape)
