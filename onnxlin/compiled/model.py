"""Compile a section at the shapes of one x into a model: x, seeds -> y, seeds @ W, seeds @ b."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np
import onnx

from onnxlin.build import Builder
from onnxlin.compiled.batching import Formulas
from onnxlin.compiled.sizes import require_known_sizes
from onnxlin.compiled.sweep import adjoint_sweep
from onnxlin.compiled.tracing import GraphTracer
from onnxlin.engines.reverse import row_bytes
from onnxlin.graph import Array
from onnxlin.load import NEWEST_RUNNABLE, implicit
from onnxlin.lowering import Emitter, NotStaticError, Traced
from onnxlin.primitives import Shape
from onnxlin.section import Section

STACKING = "K"
"""Name of the one axis whose length is open."""


@dataclass(frozen=True, eq=False)
class Compiled:
    """A section as a model.

    Parameters
    ----------
    model : onnx.ModelProto
    feeds : tuple of str
        The model's inputs, without the seeds.
    seeds, rows, bias, shares : str
        Tensors (K, n_out), and ``seeds @ W`` (K, n_in), ``seeds @ b`` (K,), (K, nodes).
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
    """

    model: onnx.ModelProto
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
    kinds = {np.dtype(value.dtype) for name, value in feeds.items() if name in section.inputs}
    return np.dtype(np.float64 if np.dtype(np.float64) in kinds else np.float32)


def compile_section(
    section: Section, mode: str, feeds: Mapping[str, Array], *, single: bool = False
) -> Compiled:
    """Compile for the shapes of these feeds.

    Parameters
    ----------
    single : bool
        For one row at a time, and not for any number: what is fastest differs.

    Raises
    ------
    NotStaticError
        A rule decides from values, or there is no form of something in a graph.
    """
    for name, value in feeds.items():
        if value.dtype.kind == "V":
            raise NotStaticError(f"input {name!r} is {value.dtype}, which onnxruntime cannot take")
    dtype = float_type(section, feeds)
    graph = Emitter(dtype, section.graph.tensors, single=single)
    seeds = _free(graph, section, "seeds")
    builder = Builder(section, partial(GraphTracer, emitter=graph), mode)
    traced: dict[str, Any] = {n: Traced(graph, n, v) for n, v in feeds.items()}
    tracer = builder.tracer
    assert isinstance(tracer, GraphTracer)
    values = tracer(traced)
    program = builder(values, dtype)
    swept = adjoint_sweep(graph, program, seeds)
    parts = swept.shares or _no_shares(graph, seeds)
    total = graph("ReduceSum", parts, graph.ints([1]), keepdims=0)
    Formulas(graph).batch()
    results = {"seeds_W": swept.rows, "seeds_b": total, "shares": parts}
    names = [_free(graph, section, base) for base in results]
    for name, made in zip(names, results.values(), strict=True):
        graph.add(onnx.helper.make_node("Identity", [made], [name]))
    extra = [n for n in section.inputs if n not in section.graph.inputs]
    ends = {n: tracer.native(n) for n in (*section.outputs, *extra)}
    model = _assemble(
        graph,
        feeds=feeds,
        seeds=seeds,
        rows=program.rows,
        ends=ends,
        made=names,
        section=section,
    )
    return Compiled(
        model=model,
        feeds=tuple(feeds),
        seeds=seeds,
        rows=names[0],
        bias=names[1],
        shares=names[2],
        nodes=swept.nodes,
        inputs=dict(program.inputs),
        outputs=dict(program.outputs),
        further=tuple(extra),
        dtype=dtype,
        row_bytes=row_bytes(program),
        work=program.nnz / max(len(program.steps), 1),
        single=single,
    )


def _free(graph: Emitter, section: Section, base: str) -> str:
    """Return a name that no tensor of the section has."""
    return base if base not in section.graph.tensors else graph.fresh(base)


def _no_shares(graph: Emitter, seeds: str) -> str:
    zero = graph("Mul", seeds, graph.floats(0))
    return graph("ReduceSum", zero, graph.ints([1]), keepdims=1)


def _assemble(
    graph: Emitter,
    *,
    feeds: Mapping[str, Array],
    seeds: str,
    rows: int,
    ends: Mapping[str, Any],
    made: Sequence[str],
    section: Section,
) -> onnx.ModelProto:
    helper = onnx.helper
    kind = int(helper.np_dtype_to_tensor_dtype(graph.dtype))
    given = [_info(n, v.dtype, v.shape) for n, v in feeds.items()]
    given.append(
        helper.make_tensor_value_info(seeds, kind, [1 if graph.single else STACKING, rows])
    )
    outputs = [_info(n, v.dtype, v.shape) for n, v in ends.items()]
    stack = 1 if graph.single else STACKING
    shapes: list[list[str | int | None]] = [[stack, None], [stack], [stack, None]]
    outputs += [
        helper.make_tensor_value_info(n, kind, s) for n, s in zip(made, shapes, strict=True)
    ]
    nodes = graph.finished([o.name for o in outputs])
    require_known_sizes(graph, nodes)
    read = {n for node in nodes for n in (*node.input, *implicit(node))}
    read |= {o.name for o in outputs}
    stored = [onnx.numpy_helper.from_array(a, n) for n, a in graph.stored.items() if n in read]
    body = helper.make_graph(nodes, "linearisation", given, outputs, stored)
    opsets = {**section.graph.opsets, "": NEWEST_RUNNABLE}
    imports = [helper.make_opsetid(d, v) for d, v in opsets.items()]
    return helper.make_model(body, opset_imports=imports, ir_version=10, producer_name="onnxlin")


def _info(name: str, dtype: Any, shape: Shape) -> onnx.ValueInfoProto:
    kind = int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    return onnx.helper.make_tensor_value_info(name, kind, shape)
