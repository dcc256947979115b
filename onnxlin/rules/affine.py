"""What a rule answers: the affine piece that a node is at x, or a graph of simpler nodes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import onnx

from onnxlin.primitives import Array, LinearMap
from onnxlin.rules.guards import Guard


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
        node's input; 0 is a tie. Called only when somebody asks. None: it follows from the guards,
        or the node has no kink.
    bias_size : array, optional
        Size of what adds up to the bias where that is more than ``|bias|``, for error bounds.
    roundings : int
        Roundings of the runtime's own evaluation, and of this piece's coefficients, beyond one
        for each entry that an output adds up.
    held : {input position: LinearMap}
        Maps of operands that are coefficients here, the other factor of a product: how an error in
        them reaches the output. Inside a body nothing else tells.
    formed : {input position: LinearMap}
        Instead of a term, the same map of the sizes that its coefficients are formed of, where
        these may cancel to less: an engine that forms them by kernels of its own errs by those.
    guards : callable, optional
        The affine functions of the inputs whose bounds say where this piece holds; called only
        when somebody asks. None: it holds everywhere. A text says why nobody can tell.
    """

    terms: Mapping[int, LinearMap]
    bias: Array | None = None
    margin: Callable[[], Array] | None = field(default=None)
    bias_size: Array | None = None
    roundings: int = 2
    held: Mapping[int, LinearMap] = field(default_factory=dict)
    formed: Mapping[int, LinearMap] = field(default_factory=dict)
    guards: Callable[[], Sequence[Guard]] | str | None = None


@dataclass(frozen=True, eq=False)
class Body:
    """A node written as a graph of simpler nodes, linearised in its place.

    The graph is run by itself on the node's own traced inputs. What it computes is held against
    what the node computed, so a wrong body is seen like a wrong rule.

    Parameters
    ----------
    key : hashable
        Bodies of one node with equal keys are equal, for equal shapes of its inputs.
    make : callable
        Builds the graph, a model of any operator set; called once a key.
    feeds : {input name of the body: tensor name around the node}
    outputs : sequence of str
        For each output of the node, the body's output that stands for it; "" for none.
    """

    key: Hashable
    make: Callable[[], onnx.ModelProto]
    feeds: Mapping[str, str]
    outputs: Sequence[str]
