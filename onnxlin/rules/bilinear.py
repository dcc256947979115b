"""Products of two operands that may both depend on x."""

from __future__ import annotations

import numpy as np

from onnxlin.primitives import Diagonal, LinearMap, chain
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX


def product_rule(
    node: NodeAtX,
    first: tuple[int, LinearMap],
    second: tuple[int, LinearMap],
    roundings: int = 4,
    *,
    alone: bool = False,
) -> Affine:
    """Answer for ``y = a * b``, linear in each of two operands.

    Parameters
    ----------
    first, second : (input position, LinearMap)
        Each map has the other operand's value for its coefficients, so that each of them maps its
        operand's value to y.

    With one operand constant this is the other one's map. With both traced, ``tangent`` takes both
    terms and the bias ``-a0 * b0``; ``frozen`` takes half of each term and no bias. ``alone`` says
    that the node's output is the product and nothing else.
    """
    (i, a), (j, b) = first, second
    if not (node.traced(i) and node.traced(j)):
        (side, op), held = (second, first) if node.traced(j) else (first, second)
        return Affine({side: op}, roundings=roundings, held=dict([held]))
    if node.frozen:
        half = Diagonal.of(node.out_shape, node.cast(0.5))
        return Affine({i: chain(a, half), j: chain(b, half)}, roundings=roundings)
    value = node.value(i)[None]
    size = a.absolute().matvec(np.abs(value))[0]
    product = node.computed(lambda: a.matvec(value)[0]) if alone else a.matvec(value)[0]
    return Affine({i: a, j: b}, -product, None, size, roundings)
