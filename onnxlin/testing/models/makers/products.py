"""Products and quotients of two tensors that both depend on x."""

from __future__ import annotations

import numpy as np

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.shapes import Shape
from onnxlin.testing.models.table import maker


@maker("Mul")
def multiply(g: Grow, op_type: str) -> None:
    x = g.tame(g.pick())
    pair = [x, g.beside(g.shape(x))]
    g.add(op_type, pair if g.flag() else pair[::-1])


@maker("Div")
def divide(g: Grow, op_type: str) -> None:
    x = g.pick()
    if g.flag():
        g.add(op_type, [x, g.constant_beside(g.shape(x), offset=0.5)])
        return
    below = g.between(g.choice(x, *_mates(g, g.shape(x))), 0.5, 2)
    g.add(op_type, [g.choice(x, g.constant_beside(g.shape(x))), below])


def _mates(g: Grow, shape: Shape) -> list[str]:
    return [name for name in g.live if g.shape(name) == shape]


@maker("MatMul")
def matmul(g: Grow, op_type: str) -> None:
    x = g.tame(g.pick(1, 4))
    shape = g.shape(x)
    if len(shape) > 1 and g.flag():
        # A Gram matrix: both sides are x.
        turned = g.add(
            "Transpose", [x], perm=[*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
        )
        g.add(op_type, g.choice([x, turned], [turned, x]))
        return
    right = g.flag()
    inner = shape[-1] if right or len(shape) == 1 else shape[-2]
    core = (inner, g.integer(1, 3)) if right else (g.integer(1, 3), inner)
    core = g.choice(core, (inner,))
    batch: Shape = ()
    if len(core) == 2:
        batch = g.choice((), tuple(1 if g.flag() else n for n in shape[:-2]), (2, *shape[:-2]))
    weight = g.weight(*batch, *core, fan=inner)
    g.add(op_type, [x, weight] if right else [weight, x])


@maker("Gemm")
def gemm(g: Grow, op_type: str) -> None:
    x = g.tame(g.pick(2, 2))
    m, k = g.shape(x)
    if g.flag():
        square = g.choice({"transA": 1}, {"transB": 1})
        g.add(op_type, [x, x], **square, **g.some(alpha=0.5))
        return
    first = g.flag()
    turned = {name: int(g.flag()) for name in ("transA", "transB")}
    own = turned["transA" if first else "transB"]
    inner = (k, m)[own] if first else (m, k)[own]
    outer = (m, k)[own] if first else (k, m)[own]
    other = g.integer(1, 4)
    flipped = turned["transB" if first else "transA"]
    shape = (inner, other) if first else (other, inner)
    weight = g.weight(*(shape[::-1] if flipped else shape), fan=inner)
    out = (outer, other) if first else (other, outer)
    c = g.choice(None, out, (out[1],), (1, out[1]), (out[0], 1), ())
    inputs = [x, weight] if first else [weight, x]
    fits = [name for name in g.live if g.shape(name) in (out, (1, out[1]))]
    if c is not None:
        inputs.append(g.choice(g.weight(*c), *fits))
    g.add(op_type, inputs, **g.some(alpha=0.5, beta=-1.5), **turned)


@maker("Einsum")
def einsum(g: Grow, op_type: str) -> None:
    x = g.tame(g.pick(2, 3))
    shape, letters = g.shape(x), "abc"[: len(g.shape(x))]
    other = g.choice(letters, letters[1:], letters[-1] + "d")
    sides = dict(zip(letters, shape, strict=True)) | {"d": 2}
    y = x if other == letters and g.flag() else g.weight(*(sides[c] for c in other))
    free = sorted({*letters, *other})
    kept = g.permuted(free)[: g.integer(0, min(3, len(free)))]
    g.add(op_type, [x, y], equation=f"{letters},{other}->{''.join(kept)}")


@maker("Det")
def determinant(g: Grow, op_type: str) -> None:
    x = g.pick(2, 4, lambda shape: shape[-1] == shape[-2] and 0 not in shape)
    n = g.shape(x)[-1]
    far = g.add("Add", [g.tame(x, 0.5), g.floats(2 * np.eye(n))])
    g.add(op_type, [far])
