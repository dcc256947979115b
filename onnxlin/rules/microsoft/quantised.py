"""Products with weights, and look-ups in tables, that are stored in few bits."""

from __future__ import annotations

import numpy as np

from onnxlin.primitives import Array, Diagonal, MatMul, Reshape, Select, chain
from onnxlin.primitives.linear_map import flat_index
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.microsoft.fused import MS
from onnxlin.rules.products.arithmetic import weighted
from onnxlin.rules.registry import rule


def unpacked(packed: Array, bits: int) -> Array:
    """Numbers of a few bits, lowest bits first, along the last axis."""
    stream = np.unpackbits(packed, axis=-1, bitorder="little")
    count = stream.shape[-1] // bits
    apart = stream[..., : count * bits].reshape(*stream.shape[:-1], count, bits)
    return (apart * (1 << np.arange(bits))).sum(axis=-1)


def dequantised(node: NodeAtX) -> Array:
    """Weights ``(K, N)`` of blocks along K: ``(number - zero point) * scale``.

    Input 4 says of each k whose block's scale and zero point it has; without it its own block's.
    """
    bits, n, k = (node.attr(name) for name in ("bits", "N", "K"))
    size = node.attr("block_size")
    blocks = -(-k // size)
    numbers = unpacked(node.constant(1).reshape(n, blocks, -1), bits)[..., :size]
    zero = np.full((n, blocks), 1 << (bits - 1))
    if node.has(3):
        given = node.constant(3)
        if given.dtype == np.uint8:
            given = unpacked(given.reshape(n, -1), bits)
        zero = given.reshape(n, -1)[:, :blocks]
    scale = node.constant(2).reshape(n, blocks)
    block = np.arange(k) // size
    if node.has(4):
        block = node.constant(4)[:k]
    weights = (numbers.reshape(n, -1)[:, :k] - zero[:, block]) * scale[:, block]
    return node.cast(weights.T)


@rule("MatMulNBits", domain=MS, constant=(1, 2, 3, 4))
def matmul_nbits(node: NodeAtX) -> Affine:
    """``x W + bias``, with the columns of W quantised in blocks."""
    if _rounds_input(node):
        raise node.refuse(
            "accuracy_level is 4, so the kernel rounds its input to 8 bits (with 0 it computes in "
            "floats, by the same weights)"
        )
    if node.attr("weight_prepacked"):
        raise node.refuse(
            "its weights are stored in a layout of one machine's own (quantise the model anew with "
            "weight_prepacked=0)"
        )
    if node.has(4) and node.has(3) and node.constant(3).dtype == np.uint8:
        raise node.refuse(
            "with input 4 the kernel for the CPU takes 8 for zero points that are packed (those in "
            "floats it takes as they are)"
        )
    shape, weights = node.shape(0), dequantised(node)
    table = (int(np.prod(shape[:-1])), shape[-1])
    times = MatMul.of(table, weights)
    terms = {0: chain(Reshape(shape, table), times, Reshape(times.out_shape, node.out_shape))}
    if node.has(5):
        terms[5] = weighted(node, 5)
    return Affine(terms, roundings=4)


def _rounds_input(node: NodeAtX) -> bool:
    """Whether the kernel quantises x as well; it has none for other widths and zero points."""
    packed = not node.has(3) or node.operand(3).native.dtype == np.uint8
    return node.attr("accuracy_level") == 4 and node.attr("bits") in (4, 8) and packed


@rule("GatherBlockQuantized", domain=MS, constant=(0, 1, 3))
def gather_block_quantized(node: NodeAtX) -> Affine:
    """Rows of a table of few bits, ``(number - zero point) * scale``: linear in the scales.

    Source: onnxruntime, docs/ContribOperators.md, GatherBlockQuantized.
    """
    bits, size = node.attr("bits") or 4, node.attr("block_size")
    packed = node.native(0).dtype == np.uint8
    numbers = _numbers(node, 0, bits if packed else None)
    axis, along = (node.attr(name) % numbers.ndim for name in ("gather_axis", "quantize_axis"))
    if not np.issubdtype(numbers.dtype, np.integer):
        raise node.refuse("its table holds narrow floats")
    shape, index = node.shape(2), node.native(1).astype(np.int64)
    blocks = np.arange(numbers.shape[along]) // size
    level = np.full(shape, 1 << (bits - 1) if packed else 0)
    if node.has(3):
        level = _numbers(node, 3, bits if packed else None)
        level = np.take(level, np.arange(shape[along]), along)

    def rows(table: Array) -> Array:
        return np.asarray(np.take(np.take(table, blocks, along), index, axis))

    steps = np.take(numbers, index, axis) - rows(level)
    places = Select.of(shape, rows(flat_index(shape)))
    return Affine({2: chain(places, Diagonal.of(node.out_shape, node.cast(steps)))})


def _numbers(node: NodeAtX, i: int, bits: int | None) -> Array:
    """Whole numbers, which may lie several in a byte."""
    given = node.native(i)
    if bits is not None and bits < 8:
        return unpacked(given, bits)
    return given.astype(np.int64) if "int" in given.dtype.name else given
