"""Products of two operands that may both depend on x."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onnxlin.primitives import Diagonal, LinearMap, chain
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX

Side = tuple[int, Callable[[], LinearMap]]
"""Position of a factor, and what makes the map that it goes through."""


def product_rule(
    node: NodeAtX,
    first: Side,
    second: Side,
    roundings: int = 4,
    *,
    alone: bool = False,
) -> Affine:
    """Answer for ``y = a * b``, linear in each of two operands.

    Parameters
    ----------
    first, second : (input position, callable)
        Each makes a map that has the other operand's value for its coefficients, so that each map
        takes its operand's value to y.

    With one operand constant this is the other one's map. With both traced, ``tangent`` takes both
    terms and the bias ``-a0 * b0``; ``frozen`` takes half of each term and no bias. ``alone`` says
    that the node's output is the product and nothing else.
    """
    (i, make_a), (j, make_b) = first, second
    if not (node.traced(i) and node.traced(j)):
        (side, op), (other, back) = (second, first) if node.traced(j) else (first, second)
        # A factor that is the same for every x is without error; its map would look at x in vain.
        held = {} if node.operand(other).fixed else {other: back()}
        return Affine({side: op()}, roundings=roundings, held=held)
    a, b = make_a(), make_b()
    if node.frozen:
        half = Diagonal.of(node.out_shape, node.cast(0.5))
        return Affine({i: chain(a, half), j: chain(b, half)}, roundings=roundings)
    value = node.value(i)[None]
    size = a.absolute().matvec(np.abs(value))[0]
    product = node.computed(lambda: a.matvec(value)[0]) if alone else a.matvec(value)[0]
    return Affine({i: a, j: b}, -product, None, size, roundings)
