"""Indexing, scatters, and sampling with data that depends on x."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import numpy as np
import onnx
import onnx.parser

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.running import run
from onnxlin.testing.models.shapes import Shape
from onnxlin.testing.models.table import maker


def _full(shape: Shape) -> bool:
    return prod(shape) > 0


def _entries(g: Grow, shape: Shape) -> str:
    """Any entries of a live tensor, in a shape."""
    source = g.choice(*reversed([name for name in g.live if _full(g.shape(name))]))
    flat = g.add("Reshape", [source, g.ints([-1])])
    return g.add("Gather", [flat, g.ints(g.rng.integers(0, prod(g.shape(source)), shape))])


@maker("GatherElements")
def gather_elements(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4, _full)
    shape, axis = g.shape(x), g.axis(g.shape(x))
    sides = [g.integer(1, n) for n in shape]
    sides[axis] = g.integer(1, 3)
    n = shape[axis]
    g.add(op_type, [x, g.ints(g.rng.integers(-n, n, sides))], **({"axis": axis} if axis else {}))


@maker("GatherND")
def gather_nd(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4, _full)
    shape = g.shape(x)
    batch = g.integer(0, len(shape) - 1)
    depth = g.integer(1, len(shape) - batch)
    sides = (*shape[:batch], *g.choice((), (2,), (1, 3)))
    index = [g.rng.integers(-n, n, sides) for n in shape[batch : batch + depth]]
    g.add(
        op_type, [x, g.ints(np.stack(index, axis=-1))], **({"batch_dims": batch} if batch else {})
    )


@maker("Compress")
def compress(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4, _full)
    shape = g.shape(x)
    axis = g.choice(None, g.axis(shape))
    n = prod(shape) if axis is None else shape[axis]
    keep = g.bools(g.integer(1, n))
    g.constants[keep][0] = True
    g.add(op_type, [x, keep], **({} if axis is None else {"axis": axis}))


@cache
def copies_empty_sequences() -> bool:
    """Whether ReverseSequence copies those of length 0; in some onnxruntimes nobody writes them."""
    x, lengths = np.array([[1.5, 2.5], [3.5, 4.5]], np.float32), np.array([1, 0])
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 13]> g (float[2,2] x, int64[2] n) => (float[2,2] y) '
        "{ y = ReverseSequence<time_axis=0, batch_axis=1>(x, n) }"
    )
    return bool((run(model, {"x": x, "n": lengths})[0] == x).all())


@maker("ReverseSequence")
def reverse_sequence(g: Grow, op_type: str) -> None:
    x = g.pick(2, 4, _full)
    time = g.integer(0, 1)
    steps, batch = g.shape(x)[time], g.shape(x)[1 - time]
    lengths = g.ints(g.rng.integers(0 if copies_empty_sequences() else 1, steps + 1, batch))
    g.add(op_type, [x, lengths], time_axis=time, batch_axis=1 - time)


@maker("Trilu")
def trilu(g: Grow, op_type: str) -> None:
    x = g.pick(2, 4)
    inputs = [x, *g.choice([], [g.ints(g.integer(-3, 3))])]
    g.add(op_type, inputs, **g.some(upper=g.integer(0, 1)))


@maker("TopK")
def top_k(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4, _full)
    axis = g.axis(g.shape(x))
    k = g.integer(1, g.shape(x)[axis])
    g.add(op_type, [x, g.ints([k])], 2, axis=axis, **g.some(largest=g.integer(0, 1)))


@maker("Unique")
def unique(g: Grow, op_type: str) -> None:
    x = g.pick(1, 3, _full)
    axis = g.choice({}, {"axis": g.axis(g.shape(x))})
    g.add(op_type, [x], **axis, **g.some(sorted=g.integer(0, 1)))


@maker("ScatterElements")
def scatter_elements(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4, _full)
    shape, axis = g.shape(x), g.axis(g.shape(x))
    reduction = _reduction(g)
    fits = [name for name in g.live if _within(g.shape(name), shape, axis, reduction)]
    updates = g.choice(*reversed(fits)) if fits and g.flag() else g.weight(*shape)
    n, sides = shape[axis], g.shape(updates) if updates in g.values else shape
    index = g.rng.integers(-n, n, sides)
    if reduction == "none":
        # Which of several updates stays is left open, so none may meet.
        index = np.argsort(g.rng.random(sides), axis=axis)
    given: dict[str, Any] = {} if reduction == "none" else {"reduction": reduction}
    g.add(op_type, [x, g.ints(index), updates], axis=axis, **given)


def _reduction(g: Grow) -> str:
    known = {11: ("none",), 16: ("none", "add", "mul")}
    least = max((v for v in known if v <= g.opset), default=11)
    return g.choice(*(("none", "add", "mul", "min", "max") if g.opset >= 18 else known[least]))


def _within(one: Shape, shape: Shape, axis: int, reduction: str) -> bool:
    """Whether updates of one shape fit an input of another."""
    if len(one) != len(shape) or not prod(one):
        return False
    free = axis % len(shape) if reduction != "none" else -1
    return all(a <= b or i == free for i, (a, b) in enumerate(zip(one, shape, strict=True)))


@maker("ScatterND")
def scatter_nd(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4, _full)
    shape = g.shape(x)
    depth, count, reduction = g.integer(1, len(shape)), g.integer(1, 3), _reduction(g)
    index = np.stack([g.rng.integers(-n, n, count) for n in shape[:depth]], axis=-1)
    if reduction == "none":
        index = index[:1]
    updates = g.weight(len(index), *shape[depth:])
    if g.flag():
        updates = _entries(g, (len(index), *shape[depth:]))
    given: dict[str, Any] = {} if reduction == "none" else {"reduction": reduction}
    g.add(op_type, [x, g.ints(index), updates], **given)


@maker("Col2Im")
def col2im(g: Grow, op_type: str) -> None:
    block = g.choice([2, 1], [2, 2], [1, 3])
    x = g.pick(3, 3, lambda s: s[1] % prod(block) == 0 and s[2] in (4, 6, 9) and prod(s) > 0)
    rows = 3 if g.shape(x)[2] == 9 else 2
    counts = [rows, g.shape(x)[2] // rows]
    dilations = [g.integer(1, 2) for _ in block]
    strides = [g.integer(1, 2) for _ in block]
    sizes = zip(counts, block, strides, dilations, strict=True)
    image = [(c - 1) * s + (b - 1) * d + 1 for c, b, s, d in sizes]
    inputs = [x, g.ints(image), g.ints(block)]
    g.add(op_type, inputs, dilations=dilations, strides=strides)


@maker("CenterCropPad")
def center_crop_pad(g: Grow, op_type: str) -> None:
    x = g.pick(1, 4, _full)
    axes = g.axes(g.shape(x))
    sides = [g.integer(1, g.shape(x)[a] + 2) for a in axes]
    g.add(op_type, [x, g.ints(sides)], axes=axes)


@maker("GridSample")
def grid_sample(g: Grow, op_type: str) -> None:
    x = g.pick(4, 4, lambda shape: _full(shape) and min(shape[2:]) > 1)
    n = g.shape(x)[0]
    older = g.opset < 20
    modes = ("bilinear", "nearest", "bicubic") if older else ("linear", "nearest", "cubic")
    grid = g.floats(g.rng.uniform(-1.5, 1.5, (n, 2, 2, 2)))
    paddings = ("zeros", "border", "reflection")
    options = g.some(
        mode=g.choice(*modes), padding_mode=g.choice(*paddings), align_corners=g.integer(0, 1)
    )
    g.add(op_type, [x, grid], **options)


@maker("OneHot")
def one_hot(g: Grow, op_type: str) -> None:
    values = _entries(g, (2,))
    index = g.rng.integers(-3, 4, g.choice((2,), (2, 2)))
    g.add(op_type, [g.ints(index), g.ints(3), values], **g.some(axis=g.choice(0, 1, -1)))


@maker("Mod")
def mod(g: Grow, op_type: str) -> None:
    x = g.pick(0, 4)
    g.add(op_type, [x, g.constant_beside(g.shape(x), 0.5)], fmod=1)


@maker("Sign", "Floor", "Ceil", "Round")
def staircase(g: Grow, op_type: str) -> None:
    g.add(op_type, [g.pick()])
