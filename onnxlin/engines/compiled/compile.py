"""Compile a section at the shapes of one x into a model: x, seeds -> y, seeds @ W, seeds @ b.

In the other direction the model takes tangents: x, tangents -> y, tangents @ W.T.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import prod
from typing import Any

import numpy as np
import onnx

from onnxlin.engines.compiled.assemble import assembled, info, stacked_info
from onnxlin.engines.compiled.results import Names, results
from onnxlin.engines.compiled.size import Layout, Size, sized, uses
from onnxlin.engines.compiled.sweep import adjoint_sweep, tangent_sweep
from onnxlin.engines.compiled.tracer import GraphTracer
from onnxlin.graph import Array
from onnxlin.graph.weights import beside
from onnxlin.lowering import Emitter, NotStaticError, Traced
from onnxlin.primitives import Shape
from onnxlin.program import LinearProgram
from onnxlin.program.builder import Builder
from onnxlin.section import Section
from onnxlin.section.trace import Tracer
from onnxlin.section.widened import is_narrow, wide, widened

ADJOINT, TANGENT = "adjoint", "tangent"


NAMES = {
    ADJOINT: Names("seeds", "seeds_W", "seeds_b", "shares"),
    TANGENT: Names("tangents", "W_tangents"),
}
"""Direction -> the names where the source has not taken them."""


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
        tangent direction (K, n_in) and ``seeds @ W.T`` (K, n_out), and "" for the other two. Where
        the model is not to be run by others ``seeds @ W`` has these entries in some other shape,
        and for ``seeds @ b`` there is "".
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
    nnz : int
        Multiplications of one sweep.
    work : float
        Multiplications of one row at a node, on average.
    single : bool
        Whether the graph takes one row at a time.
    rounds : bool
        Whether the model rounds to steps on the way: what floats come out at before must not move.
    direction : {"adjoint", "tangent"}
    size : Size or None
        What a session of it takes.
    lean : frozenset of str
        Weights that a run is fed: onnxruntime copies none of those.
    widened : bool
        Whether the graph has in float32 what the model has in 16 bits.
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
    nnz: int
    work: float
    single: bool
    rounds: bool
    direction: str = ADJOINT
    size: Size | None = None
    lean: frozenset[str] = frozenset()
    widened: bool = False

    @property
    def weight(self) -> int:
        """Bytes of the large weights."""
        return sum(array.nbytes for array in self.weights.values())

    def __getstate__(self) -> dict[str, Any]:
        """Pickle a copy: other threads may find out more meanwhile."""
        return dict(vars(self))

    def __deepcopy__(self, memo: Mapping[int, Any]) -> Compiled:
        """Nobody changes it, and its weights are large."""
        return self

    @cached_property
    def n_rows(self) -> int:
        """Number of outputs."""
        return sum(prod(shape) for shape in self.outputs.values())

    @cached_property
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
    standing: Tracer | None = None,
    layout: Layout | None = None,
    alone: bool = False,
    steep: bool = True,
) -> Compiled:
    """Compile for the shapes of these feeds.

    Parameters
    ----------
    single : bool
        For one row at a time, and not for any number: what is fastest differs.
    direction : {"adjoint", "tangent"}
    axes : {tensor name: axis}, optional
        Along which instances lie side by side: shares and ``seeds @ b`` are then those of each.
    standing : Tracer, optional
        One of this section that is open already.
    layout : callable, optional
        Says of sizes whether weights are to be kept once and no more (`onnxlin.engines.compiled.
        size`), and may raise MemoryBudgetError; by default the graph is what is fastest.
    alone : bool
        Whether the model is to be run by others. Else it leaves to `Runner` what is cheaper there:
        to shape rows, and to sum shares.
    steep : bool
        Whether masks may be steep HardSigmoids, as is fast on the CPU provider. OpenVINO's makes
        0.5 of those at 0.

    Raises
    ------
    NotStaticError
        A rule decides from values, or there is no form of something in a graph.
    """
    narrow = is_narrow(section)
    if narrow:
        section, feeds, standing = widened(section), wide(feeds), None
    dtype = float_type(section, feeds)
    graph = Emitter(dtype, section.graph.tensors, single=single)
    graph.steep = steep
    names = NAMES[direction].beside(section.graph.tensors, graph)
    names = names if alone else replace(names, bias="")
    written = _written(graph, section, mode, feeds, standing)
    program = written.program
    size = sized(graph, program, written.size)
    if layout is not None and not written.rounds:
        size, graph.lean = layout(size, uses(graph, program))
    if direction == ADJOINT:
        swept = adjoint_sweep(graph, program, names.given, written.values, axes, flat=alone)
    else:
        swept = tangent_sweep(graph, program, names.given)
    found = results(graph, program, swept, names, axes)
    width = program.rows if direction == ADJOINT else program.columns
    given = [info(n, v.dtype, v.shape) for n, v in feeds.items()]
    given.append(stacked_info(graph, names.given, 1, (width,)))
    made = [info(n, v.dtype, v.shape) for n, v in written.ends.items()]
    made += [stacked_info(graph, name, *shaped) for name, shaped in found.items()]
    model = assembled(graph, section, given, made)
    return Compiled(
        model=model,
        weights=beside(model, graph.stored),
        feeds=tuple(feeds),
        seeds=names.given,
        rows=names.rows,
        bias=names.bias,
        shares=names.shares,
        nodes=swept.nodes,
        inputs=dict(program.inputs),
        outputs=dict(program.outputs),
        further=_computed(section),
        dtype=dtype,
        row_bytes=size.row,
        nnz=program.nnz,
        work=program.nnz / max(len(program.steps), 1),
        single=single,
        rounds=written.rounds,
        direction=direction,
        size=size,
        lean=frozenset(graph.lean),
        widened=narrow,
    )


@dataclass(frozen=True, eq=False)
class _Written:
    """The forward pass in a graph: its tensors, and the linear program that follows from them."""

    values: Mapping[str, Any]
    program: LinearProgram
    ends: Mapping[str, Array]
    """Examples of what the model gives, and of what of the section's inputs it computes itself."""
    rounds: bool
    size: int
    """Bytes of the tensors of the forward pass."""


def _written(
    graph: Emitter,
    section: Section,
    mode: str,
    feeds: Mapping[str, Array],
    standing: Tracer | None,
) -> _Written:
    """Write the forward pass, and the coefficients of the linear program."""
    for name, value in feeds.items():
        if value.dtype.isbuiltin == 2:  # 8-bit floats and the like, which NumPy has not itself
            raise NotStaticError(f"input {name!r} is {value.dtype}, which onnxruntime cannot take")
    builder = Builder(section, partial(GraphTracer, emitter=graph, standing=standing), mode)
    tracer = builder.tracer
    assert isinstance(tracer, GraphTracer)
    values = tracer({name: Traced(graph, name, value) for name, value in feeds.items()})
    program = builder(values, graph.dtype)
    ends = {name: tracer.native(name) for name in (*section.outputs, *_computed(section))}
    return _Written(values, program, ends, tracer.rounds, tracer.size)


def _computed(section: Section) -> tuple[str, ...]:
    """Inputs of the section that the model computes from its own."""
    return tuple(name for name in section.inputs if name not in section.graph.inputs)
