"""Normalisation with constant statistics."""

from __future__ import annotations

import numpy as np

from onnxlin.primitives import Array, Broadcast, Diagonal, LinearMap, Reshape, Shape, chain
from onnxlin.rules.affine import Affine, Body
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.normalisation.training import live_body, training_body
from onnxlin.rules.registry import rule


@rule("BatchNormalization")
def batch_normalization(node: NodeAtX) -> Affine | Body:
    """``scale * (x - mean) / sqrt(var + epsilon) + B``, statistics as stored.

    With ``training_mode`` the statistics are those of the batch: an expansion of its own.

    ``x : (N, C, *spatial)``, parameters ``(C,)`` or, as operator sets before 9 allow, the full
    ``(C, *spatial)``. Source: ONNX operator specification, BatchNormalization.
    """
    node.ignore("momentum", "spatial")
    if node.attr("training_mode"):
        return training_body(node)
    if any(node.traced(i) for i in (1, 3, 4)):
        return live_body(node, _across(node, node.shape(1)))
    scale, mean, var = (node.constant(i) for i in (1, 3, 4))
    factor = scale / np.sqrt(var + node.cast(node.attr("epsilon")))
    across = _across(node, scale.shape)
    shift: LinearMap = Reshape(node.shape(2), across)
    terms = {
        0: Diagonal.of(node.shape(0), factor.reshape(across)),
        2: chain(shift, Broadcast(across, node.out_shape)),
    }
    offset: Array = -(factor * mean).reshape(across)
    return Affine(terms, offset, roundings=6)


def _across(node: NodeAtX, shape: Shape) -> Shape:
    """Shape in which a parameter broadcasts to the input."""
    rank = len(node.shape(0))
    if rank < 2 or len(shape) > 1:
        return shape
    return (*shape, *(1,) * (rank - 2))
