"""The adjoint of a convolution as one product of all samples with the kernel as it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from onnxlin.lowering import Stack, tensor
from onnxlin.primitives.linear_map import Array, Shape


def spread(
    y: Stack, weight: Array, in_shape: Shape, attributes: Mapping[str, Any], *, packed: bool
) -> Stack:
    """Write the product, and the sum over windows: ``(K, N, M, h, w) -> (K, *in_shape)``.

    Parameters
    ----------
    weight : array (M, C, kh, kw)
        Stored already.
    in_shape : (N, C, height, width)
    attributes : {name: value}
        Those of a convolution without groups.
    packed : bool
        Whether the kernel is there as a constant of its own, which runtimes pack once and for all.
    """
    graph, m, kernel = y.emitter, weight.shape[0], weight.shape[2:]
    points, taps = prod(y.shape[2:]), prod(weight.shape[1:])
    if packed:
        matrix = graph.apart(weight.reshape(m, taps))
    else:
        matrix = graph("Reshape", tensor(graph, weight, graph.dtype), graph.ints([m, taps]))
    apart = graph("Reshape", y.rows_merged, graph.ints([-1, m, points]))
    lines = graph("Reshape", graph("Transpose", apart, perm=[0, 2, 1]), graph.ints([-1, m]))
    made = graph("Reshape", graph("MatMul", lines, matrix), graph.ints([-1, points, taps]))
    made = graph("Transpose", made, perm=[0, 2, 1])
    sizes = graph.ints(in_shape[2:]), graph.ints(kernel)
    kept = {name: attributes[name] for name in ("dilations", "pads", "strides")}
    return y.as_rows_merged(graph("Col2Im", made, *sizes, **kept), in_shape)
