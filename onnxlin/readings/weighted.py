"""The weighted sum of linear programs on shared inputs, as one linear program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from onnxlin.affine_map import AffineMap, Origin
from onnxlin.engines.job import Job
from onnxlin.graph import Node
from onnxlin.primitives import Array, Diagonal, LinearMap, Shape, identity
from onnxlin.program import LinearProgram, Step

SUM = "ensemble"
"""Name of the node that adds up."""


def weighted_origin(
    weights: Sequence[float],
    maps: Sequence[AffineMap],
    shared: Sequence[Mapping[str, str]],
    outputs: Mapping[str, Array],
) -> Origin:
    """Join the programs and the tensors of maps.

    Parameters
    ----------
    weights : n numbers
    maps : n maps
        No tensor and no node of one has a name of another's.
    shared : n times {input name of the map: name of the shared input}
    outputs : {output name: array}
        The weighted sums; here for their names and shapes.
    """
    origins = [m._made_from("ensemble") for m in maps]
    first = origins[0]
    values: dict[str, Array] = {}
    steps: list[Step] = []
    for origin, names in zip(origins, shared, strict=True):
        values |= origin.values
        for own, name in names.items():
            if own in origin.program.inputs:
                values[name] = origin.values[own]
                shape = origin.program.inputs[own]
                steps.append(_step("Identity", own, (own, shape), [(name, identity(shape))]))
        steps += origin.program.steps
        for name, constant in origin.program.constants.items():
            bias = constant.astype(origin.program.dtype)
            steps.append(_step("Constant", name, (name, constant.shape), [], bias))
    programs = [origin.program for origin in origins]
    for i, name in enumerate(outputs):
        parts = [values[list(p.outputs)[i]].astype(np.float64) for p in programs]
        # Not `outputs`: a compiled graph may have computed those, and rounded differently.
        values[name] = np.tensordot(weights, parts, axes=1)
        steps.append(_sum(name, [list(p.outputs)[i] for p in programs], weights, first.program, i))
    program = LinearProgram(
        inputs={shared[0][own]: shape for own, shape in first.program.inputs.items()},
        outputs={name: value.shape for name, value in outputs.items()},
        steps=tuple(steps),
        constants={},
        dtype=first.program.dtype,
    )
    return Origin(program, values, Job(program, first.job.seeds, first.job.memory))


def _sum(
    name: str, parts: Sequence[str], weights: Sequence[float], first: LinearProgram, i: int
) -> Step:
    shape = list(first.outputs.values())[i]
    factors = [np.asarray(weight, dtype=first.dtype) for weight in weights]
    terms = [(part, Diagonal.of(shape, w)) for part, w in zip(parts, factors, strict=True)]
    return _step("Sum", SUM if not i else f"{SUM}/{name}", (name, shape), terms)


def _step(
    op_type: str,
    name: str,
    output: tuple[str, Shape],
    terms: Sequence[tuple[str, LinearMap]],
    bias: Array | None = None,
) -> Step:
    reads, (made, shape) = tuple(tensor for tensor, _ in terms), output
    source = onnx.helper.make_node(op_type, reads, [made], name)
    node = Node(name, op_type, "", reads, (made,), {}, frozenset(), source)
    size = None if bias is None else np.abs(bias)
    return Step(node, made, shape, "exact", tuple(terms), bias, size, None, 2, varies=False)
