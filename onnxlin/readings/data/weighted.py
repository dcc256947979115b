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
from onnxlin.program.sizes import Measured

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
    origins = [m.made_from("ensemble") for m in maps]
    values: dict[str, Array] = {}
    for origin, names in zip(origins, shared, strict=True):
        values |= origin.values
        values |= {name: origin.values[own] for own, name in names.items() if own in origin.values}
    programs = [origin.program for origin in origins]
    for i, name in enumerate(outputs):
        parts = [values[list(p.outputs)[i]].astype(np.float64) for p in programs]
        # Not `outputs`: a compiled graph may have computed those, and rounded differently.
        values[name] = np.tensordot(weights, parts, axes=1)
    shapes = {name: value.shape for name, value in outputs.items()}
    program = _joined(weights, programs, shared, shapes)
    job = Job(program, origins[0].job.seeds, origins[0].job.memory)
    makers = [origin.decided for origin in origins]

    def decided() -> LinearProgram:
        made = [make() for make in makers if make is not None]
        return _joined(weights, made, shared, shapes)

    return Origin(program, Measured(values), job, decided)


def _joined(
    weights: Sequence[float],
    programs: Sequence[LinearProgram],
    shared: Sequence[Mapping[str, str]],
    outputs: Mapping[str, Shape],
) -> LinearProgram:
    """Put programs one after the other, and their weighted sums at the end."""
    first, steps = programs[0], list[Step]()
    for program, names in zip(programs, shared, strict=True):
        for own, name in names.items():
            if own in program.inputs:
                shape = program.inputs[own]
                steps.append(_step("Identity", own, (own, shape), [(name, identity(shape))]))
        steps += program.steps
        for name, constant in program.constants.items():
            bias = constant.astype(program.dtype)
            steps.append(_step("Constant", name, (name, constant.shape), [], bias))
    for i, name in enumerate(outputs):
        parts = [list(p.outputs)[i] for p in programs]
        steps.append(_sum(name, parts, weights, first, i))
    return LinearProgram(
        inputs={shared[0][own]: shape for own, shape in first.inputs.items()},
        outputs=dict(outputs),
        steps=tuple(steps),
        constants={},
        dtype=first.dtype,
        decisions=tuple(decision for p in programs for decision in p.decisions),
    )


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
