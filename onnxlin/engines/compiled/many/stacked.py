"""A section for many instances at once, as a section of a model of its own.

Where no operator mixes instances, N of them stacked along the axis that every tensor has for them
go through the same nodes. A row of the stacked map, asked at all instances, then holds that row
of every instance's own map side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from onnxlin.graph import Array, Node
from onnxlin.load import load
from onnxlin.load.newest import NEWEST_RUNNABLE, newest_node
from onnxlin.operators.batch_axis import MixedError, Place, Shape, follow
from onnxlin.operators.families import RANDOM
from onnxlin.operators.shapes import shaped_by_constant, valued
from onnxlin.section import Section, make_section


@dataclass(frozen=True, eq=False)
class Stacked:
    """A section for N instances.

    Parameters
    ----------
    section : Section
        Of the rewritten model.
    axes : {tensor name: axis}
        Where every tensor has the axis of the instances.
    count : int
        N.
    """

    section: Section
    axes: Mapping[str, int]
    count: int


def stacked(section: Section, values: Mapping[str, Array], count: int) -> Stacked:
    """Rewrite a section for ``count`` instances.

    Parameters
    ----------
    values : {tensor name: array}
        Every tensor of one instance's run, and what it was fed.

    Raises
    ------
    MixedError
        An operator may mix instances, or an input or output has no axis for them.
    """
    values = {**section.graph.initialisers, **values}
    axes = _input_axes(section, values)
    shapes = {name: value.shape for name, value in values.items() if hasattr(value, "shape")}
    kept: list[Node] = []
    for node in _needed(section):
        if not any(name in axes for name in valued(node.op_type, node.reads)):
            if node.op_type in RANDOM:
                raise MixedError(f"{node.op_type} at node {node.name!r} draws at random")
            continue
        if node.implicit or any(name not in shapes for name in node.reads + node.writes):
            raise MixedError(f"{node.op_type} at node {node.name!r} may mix instances")
        axis = follow(Place(node, shapes, axes, values))
        axes |= dict.fromkeys(node.writes, axis)
        kept.append(node)
    for name in (*section.inputs, *section.outputs):
        if name not in axes:
            raise MixedError(f"tensor {name!r} does not depend on the instance")
    model = _model(section, kept, values, axes, count)
    ends = list(section.inputs), list(section.outputs)
    whole = make_section(load(model), *ends, section.rounding, gates=section.gates)
    return Stacked(whole, axes, count)


def _needed(section: Section) -> list[Node]:
    """Nodes that the ends of the section need, in order."""
    wanted, found = {*section.inputs, *section.outputs}, []
    for node in reversed(section.graph.nodes):
        if wanted.intersection(node.writes):
            wanted.update(node.reads)
            found.append(node)
    return found[::-1]


def _input_axes(section: Section, values: Mapping[str, Array]) -> dict[str, int]:
    """Axis 0 of every input of the model, which must have length 1 there."""
    for name in section.graph.inputs:
        if np.shape(values[name])[:1] != (1,):
            raise MixedError(f"input {name!r} has no axis for instances")
    return dict.fromkeys(section.graph.inputs, 0)


def with_count(shape: Shape, axis: int, count: int) -> Shape:
    """The shape of so many instances."""
    return (*shape[:axis], count, *shape[axis + 1 :])


def _model(
    section: Section,
    nodes: list[Node],
    values: Mapping[str, Array],
    axes: Mapping[str, int],
    count: int,
) -> onnx.ModelProto:
    helper = onnx.helper
    protos, made = [], {name for node in nodes for name in node.writes}
    stored: dict[str, Array] = {}
    for node in nodes:
        proto = newest_node(section.graph, node)
        if (op_type := shaped_by_constant(node)) is not None:
            name = node.outputs[0]
            shape = with_count(values[name].shape, axes[name], count)
            stored[f"{name}/shape"] = np.array(shape, np.int64)
            proto = helper.make_node(
                op_type, [node.inputs[0], f"{name}/shape"], [name], name=node.name
            )
        protos.append(proto)
    read = {name for proto in protos for name in proto.input if name}
    stored |= {name: values[name] for name in read - made - set(axes) - set(stored)}
    given = [_info(name, values[name], axes[name], count) for name in section.graph.inputs]
    ends = [onnx.ValueInfoProto(name=name) for name in section.graph.outputs if name in made]
    ends = ends or [onnx.ValueInfoProto(name=name) for name in section.outputs]
    body = helper.make_graph(
        protos,
        "instances",
        given,
        ends,
        [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in stored.items()],
    )
    imports = [helper.make_opsetid("", NEWEST_RUNNABLE)]
    return helper.make_model(body, opset_imports=imports, ir_version=10)


def _info(name: str, value: Array, axis: int, count: int) -> onnx.ValueInfoProto:
    kind = int(onnx.helper.np_dtype_to_tensor_dtype(value.dtype))
    return onnx.helper.make_tensor_value_info(name, kind, with_count(value.shape, axis, count))
