"""What a rule answers: the affine piece that a node is at x."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from onnxlin.primitives import Array, LinearMap


@dataclass(frozen=True, eq=False)
class Affine:
    """``y = sum over positions i of terms[i](x_i) + bias``.

    Parameters
    ----------
    terms : {input position: LinearMap}
        One map for every operand that y is linear in, whether it depends on x or not: the program
        moves the terms of operands that do not into the bias. An absent position is a zero map.
    bias : array, optional
        Broadcastable to the output shape.
    margin : callable, optional
        Distance of every unit from its nearest kink, an array of any shape, in units of the
        node's input; 0 is a tie. Called only when somebody asks. None: the node has no kink.
    bias_size : array, optional
        Size of what adds up to the bias where that is more than ``|bias|``, for error bounds.
    roundings : int
        Roundings of the runtime's own evaluation, and of this piece's coefficients, beyond one
        for each entry that an output adds up.
    """

    terms: Mapping[int, LinearMap]
    bias: Array | None = None
    margin: Callable[[], Array] | None = field(default=None)
    bias_size: Array | None = None
    roundings: int = 2
