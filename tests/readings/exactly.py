"""What the tests of region and path share: nets in double precision, and what rounding may hide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from onnxlin import AffineMap, Linearizer
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram
from onnxlin.program.roundoff import charges
from onnxlin.readings.region import Region
from onnxlin.readings.region.walls import Wall, stacked


def in_double(path: Path) -> onnx.ModelProto:
    """A float32 net with float64 inputs, weights and outputs: its runs round 5e8 times less."""
    model = onnx.load(path)
    double = onnx.TensorProto.DOUBLE
    for i, tensor in enumerate(model.graph.initializer):
        if tensor.data_type == onnx.TensorProto.FLOAT:
            wide = onnx.numpy_helper.to_array(tensor).astype(np.float64)
            model.graph.initializer[i].CopyFrom(onnx.numpy_helper.from_array(wide, tensor.name))
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.elem_type = double
    del model.graph.value_info[:]
    return model


def instance(lin: Linearizer, seed: int = 0) -> Array:
    """Uniform numbers in the shape of a model's one input."""
    (kind,) = lin.graph.inputs.values()
    shape = [n if isinstance(n, int) else 1 for n in kind.shape or ()]
    return np.random.default_rng(seed).random(shape).astype(kind.dtype)


def doubts(program: LinearProgram, values: dict[str, Array], walls: list[Wall]) -> list[Array]:
    """How far the runtime's rounding may put each guard from where it is in exact numbers.

    The bound of docs/exactness.md, carried to the guards: ``e = charge + |A| e`` step by step.
    """
    own = charges(program, values, native=True)
    errors = {name: np.zeros((1, *shape)) for name, shape in program.inputs.items()}
    for step in program.steps:
        total = np.broadcast_to(own[step.output], step.shape)[None].astype(np.float64)
        for name, op in step.terms:
            total = total + op.absolute().matvec(errors[name])
        errors[step.output] = total
    return [
        sum(op.absolute().matvec(errors[name])[0] for name, op in wall.bounds.terms)
        for wall in walls
    ]


def verdict(region: Region, lin: Linearizer, other: AffineMap) -> bool | None:
    """Whether a run at x' must have chosen the pieces of the region; None if rounding may decide.

    Nodes are looked at in order: behind the first one that is on another piece nothing is known.
    """
    values = lin.decider.tracer(lin.feeds(other.inputs))
    tensors = region.program.forward(other.x)
    for wall, doubt in zip(
        region.walls, doubts(region.program, {**values, **tensors}, region.walls), strict=True
    ):
        value = wall.bounds(stacked(wall.bounds, tensors))[0]
        room = np.minimum(value - wall.bounds.low, wall.bounds.high - value)
        room = np.where(np.isnan(room), np.inf, room)
        # What cannot move, in exact numbers or in rounded ones, is where it was.
        still = (doubt == 0) & (room >= 0)
        if not (still | (room > doubt)).all():
            return False if (room < -doubt).any() else None
    return True


def same_pieces(region: Region, other: Region) -> bool:
    """Whether two regions of a model have the same guards with the same bounds."""
    pairs = zip(region.walls, other.walls, strict=True)
    return all(
        np.array_equal(a.bounds.low, b.bounds.low) and np.array_equal(a.bounds.high, b.bounds.high)
        for a, b in pairs
    )
