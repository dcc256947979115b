"""Operators that move, repeat, cut and join entries."""

from __future__ import annotations

from math import prod
from typing import Any

import onnx

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.shapes import Shape
from onnxlin.testing.models.table import maker


@maker("Flatten")
def flatten(g: Grow, op_type: str) -> None:
    x = g.pick()
    rank = len(g.shape(x))
    g.add(op_type, [x], **(g.some(axis=g.integer(-rank, rank)) if rank else {"axis": 0}))


@maker("Reshape")
def reshape(g: Grow, op_type: str) -> None:
    x = g.pick(1)
    shape = g.shape(x)
    sides = [prod(shape[:2]), *shape[2:]] if g.flag() else [*shape[1:], shape[0]]
    if g.flag():
        sides[g.integer(0, len(sides) - 1)] = -1
    # 0 copies the side of the input in that place.
    copied = [
        0 if i < len(shape) and n == shape[i] and g.flag() else n for i, n in enumerate(sides)
    ]
    g.add(op_type, [x, g.ints(copied)])


@maker("Unsqueeze")
def unsqueeze(g: Grow, op_type: str) -> None:
    x = g.pick(0, 4)
    rank = len(g.shape(x))
    axes = g.choice([0], [rank], [-1], [0, rank + 1])
    g.add(op_type, [x, g.ints(axes)])


@maker("Squeeze")
def squeeze(g: Grow, op_type: str) -> None:
    x = g.pick(1, 5, lambda shape: 1 in shape)
    ones = [i for i, n in enumerate(g.shape(x)) if n == 1]
    axis = g.choice(*ones)
    axis = axis - len(g.shape(x)) if g.flag() else axis
    g.add(op_type, g.choice([x, g.ints([axis])], [x]))


@maker("Transpose")
def transpose(g: Grow, op_type: str) -> None:
    x = g.pick()
    perm = g.permuted(list(range(len(g.shape(x)))))
    given: dict[str, Any] = {"perm": perm} if perm and g.flag() else {}
    g.add(op_type, [x], **given)


@maker("Concat")
def concat(g: Grow, op_type: str) -> None:
    x = g.pick(1)
    shape = g.shape(x)
    axis = g.integer(0, len(shape) - 1)
    mates = [name for name in g.live if _beside(g.shape(name), shape, axis)]
    constant = g.weight(*shape[:axis], g.integer(0, 2), *shape[axis + 1 :])
    others = [g.choice(*mates, constant) for _ in range(g.integer(0, 2))]
    axis = axis - len(shape) if g.flag() else axis
    g.add(op_type, g.permuted([x, *others]), axis=axis)


def _beside(one: Shape, other: Shape, axis: int) -> bool:
    """Whether two shapes differ along one axis at most."""
    cut = slice(axis, axis + 1)
    return (
        len(one) == len(other)
        and [*one][:axis] == [*other][:axis]
        and ([*one][cut.stop :] == [*other][cut.stop :])
    )


@maker("Split")
def split(g: Grow, op_type: str) -> None:
    x = g.pick(1, 5, lambda shape: shape[0] > 1 or shape[-1] > 1)
    shape = g.shape(x)
    axis = g.choice(*(i for i in (0, len(shape) - 1) if shape[i] > 1))
    n = shape[axis]
    first = g.integer(1, n - 1)
    axis = axis - len(shape) if g.flag() else axis
    if g.flag():
        g.add(op_type, [x, g.ints([first, n - first])], 2, axis=axis)
    elif g.opset >= 18:
        # The last piece is smaller where the length cannot be divided.
        g.add(op_type, [x], 2, axis=axis, num_outputs=2)
    elif n % 2 == 0:
        g.add(op_type, [x], 2, axis=axis)


@maker("Slice")
def slice_(g: Grow, op_type: str) -> None:
    x = g.pick(1)
    shape = g.shape(x)
    axes = g.axes(shape)
    bounds = [_bounds(g, shape[a]) for a in axes]
    starts, ends, steps = (g.ints(part) for part in zip(*bounds, strict=True))
    inputs = [x, starts, ends, g.ints(axes), steps]
    if axes == list(range(len(axes))) and all(step == 1 for _, _, step in bounds):
        inputs = inputs[: g.integer(3, 5)]
    g.add(op_type, inputs)


def _bounds(g: Grow, n: int) -> tuple[int, int, int]:
    """Start, end and step that leave at least one of n entries."""
    step = g.choice(1, 2, -1, -2)
    first = g.integer(0, n - 1)
    if step > 0:
        return first, g.choice(n, 2**63 - 1, first + 1, -n + first + 1 or n), step
    return g.choice(first, first - n), g.choice(-(2**63) + 1, -n - 1), step


@maker("Pad")
def pad(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4, lambda shape: prod(shape) > 0)
    shape = g.shape(x)
    modes = ["constant", "reflect", "edge", *(["wrap"] if g.opset >= 19 else [])]
    mode = g.choice(*modes)
    some_axes = g.opset >= 18 and g.flag()
    axes = g.axes(shape) if some_axes else list(range(len(shape)))
    sides = [shape[a] for a in axes]
    pads = [g.integer(0, min(2, n - 1 if mode == "reflect" else n)) for n in sides * 2]
    if mode == "constant":
        pads = [p - 1 if n > 3 and g.flag() else p for p, n in zip(pads, sides * 2, strict=True)]
    value = g.choice(g.floats(1.5), "") if mode == "constant" else ""
    inputs = [x, g.ints(pads), value, *([g.ints(axes)] if some_axes else [])]
    g.add(op_type, inputs if some_axes or value else inputs[:2], mode=mode)


@maker("Expand")
def expand(g: Grow, op_type: str) -> None:
    x = g.pick(0, 4)
    shape = g.shape(x)
    sides = [g.integer(1, 3) if n == 1 else g.choice(n, 1) for n in shape]
    g.add(op_type, [x, g.ints([*g.choice((), (1,), (2,)), *sides])])


@maker("Tile")
def tile(g: Grow, op_type: str) -> None:
    x = g.pick(1)
    g.add(op_type, [x, g.ints([g.integer(1, 2) for _ in g.shape(x)])])


@maker("Gather")
def gather(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4, lambda shape: prod(shape) > 0)
    axis = g.axis(g.shape(x))
    n = g.shape(x)[axis]
    count = g.choice((), (1,), (3,), (2, 2))
    index = g.ints(g.rng.integers(-n, n, count))
    if g.choice(False, False, True):
        # Positions that x decides, as in an embedding whose tokens are held as floats.
        cut = g.add("Clip", [g.pick(0, 2), g.floats(-n), g.floats(n - 1)])
        (index,) = g.add_all("Cast", [cut], to=onnx.TensorProto.INT64)
    g.add(op_type, [x, index], **({"axis": axis} if g.flag() or axis else {}))


@maker("DepthToSpace")
def depth_to_space(g: Grow, op_type: str) -> None:
    x = g.pick(4, 4, lambda shape: shape[1] % 4 == 0)
    g.add(op_type, [x], blocksize=2, **g.some(mode=g.choice("DCR", "CRD")))


@maker("SpaceToDepth")
def space_to_depth(g: Grow, op_type: str) -> None:
    x = g.pick(4, 4, lambda shape: shape[2] % 2 == 0 and shape[3] % 2 == 0 and prod(shape) > 0)
    g.add(op_type, [x], blocksize=2)
