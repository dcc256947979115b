"""Fourier transforms: products with a matrix of cosines and sines.

A complex number is a pair of reals along the last axis, which has length 1 for real signals.
"""

from __future__ import annotations

from math import prod

import numpy as np

from onnxlin.primitives import (
    Along,
    Array,
    Broadcast,
    Diagonal,
    LinearMap,
    MatMul,
    Reshape,
    Transpose,
    adjoint,
    chain,
)
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bilinear import product_rule
from onnxlin.rules.registry import one_of_two, rule


def fourier(n: int, parts: int, length: int, *, inverse: bool, onesided: bool) -> Array:
    """Matrix of the transform of a signal cut or padded with zeros to a length.

    Parameters
    ----------
    n, parts : int
        Length of the signal, and of the axis of its real and imaginary parts.

    Returns
    -------
    array, shape (n * parts, m * made parts), float64
        Applied from the right to a signal with both axes flattened.
    """
    basis = np.eye(n * parts).reshape(n * parts, n, parts)
    signal = basis[..., 0] + (1j * basis[..., 1] if parts == 2 else 0)
    if inverse and onesided:
        return np.fft.irfft(signal, length)
    found = np.fft.ifft(signal, length) if inverse else np.fft.fft(signal, length)
    if onesided:
        found = found[:, : length // 2 + 1]
    return np.stack([found.real, found.imag], axis=-1).reshape(n * parts, -1)


def _rounded(node: NodeAtX, matrix: Array) -> Array:
    """Bring a matrix to the dtype of the map; what should be 0 is."""
    return node.cast(np.where(np.abs(matrix) < 4 * np.finfo(np.float64).eps, 0, matrix))


@rule("DFT", constant=(1, 2))
def dft(node: NodeAtX) -> Affine:
    """Discrete Fourier transform along an axis, or its inverse.

    ``x : (..., n, ..., 1 or 2) -> y : (..., m, ..., 2)``, or the real signal of an inverse that
    starts from half of a spectrum. Source: ONNX operator specification, DFT.
    """
    shape = node.shape(0)
    rank, parts = len(shape), shape[-1]
    axis = int(node.constant(2).item()) % rank if node.has(2) else rank - 2
    inverse, onesided = bool(node.attr("inverse")), bool(node.attr("onesided"))
    half = onesided and inverse
    own = 2 * (shape[axis] - 1) if half else shape[axis]
    length = int(node.constant(1).item()) if node.has(1) else own
    matrix = fourier(shape[axis], parts, length, inverse=inverse, onesided=onesided)
    others = [i for i in range(rank - 1) if i != axis]
    turn = Transpose.of(shape, (*others, axis, rank - 1))
    rows = (prod(shape[i] for i in others), shape[axis] * parts)
    times = MatMul.of(rows, _rounded(node, matrix))
    made = Transpose.of(node.out_shape, turn.perm)
    if made.rows != times.rows:  # before 1.32 onnxruntime halves the spectrum it is given half of
        raise node.refuse(f"the runtime makes an output of shape {node.out_shape}")
    fold, unfold = Reshape(turn.out_shape, rows), Reshape(times.out_shape, made.out_shape)
    found = chain(turn, fold, times, unfold, adjoint(made))
    every = MatMul.of(rows, np.ones_like(times.matrix))
    reach = chain(turn, fold, every, unfold, adjoint(made))
    return _transformed(node, found, reach, length)


def _transformed(node: NodeAtX, found: LinearMap, reach: LinearMap, length: int) -> Affine:
    """Answer with a transform whose errors are relative to the sum of all absolute entries."""
    size = reach.matvec(np.abs(node.value(0))[None])[0]
    return Affine({0: found}, np.zeros_like(size), None, size, _roundings(length))


def _roundings(length: int) -> int:
    """Roundings of the runtime's transform, for errors relative to the sum of ``|x|``.

    Lengths that are no power of two go by Bluestein's chirps ``exp(i pi n n / length)``. Their
    angles grow to ``pi length``, and so do their errors; measured: up to 2.4 units a length.
    """
    return 8 if length & (length - 1) == 0 else 8 + 4 * length


@rule("STFT", constant=(1, 3), status="smooth", exact_if=lambda t: len(t) < 3 or one_of_two(t[::2]))
def stft(node: NodeAtX) -> Affine:
    """Fourier transforms of windowed frames; linear in the signal, and in the window.

    ``x : (N, n, 1 or 2), window : (frame,) -> y : (N, frames, bins, 2)``.
    Source: ONNX operator specification, STFT.
    """
    shape, parts = node.shape(0), node.shape(0)[2]
    size = _frame_length(node)
    step, count = int(node.constant(1).item()), node.out_shape[1]
    index = (np.arange(count)[:, None] * step + np.arange(size)).reshape(-1)
    cut = Along.take(shape, 1, index)
    frames = (shape[0], count, size, parts)
    matrix = fourier(size, parts, size, inverse=False, onesided=bool(node.attr("onesided")))
    flat = (*frames[:2], size * parts)
    times = MatMul.of(flat, _rounded(node, matrix))
    after = chain(Reshape(frames, flat), times, Reshape(times.out_shape, node.out_shape))
    split: LinearMap = chain(cut, Reshape(cut.out_shape, frames))
    every = MatMul.of(flat, np.ones_like(times.matrix))
    reach = chain(Reshape(frames, flat), every, Reshape(times.out_shape, node.out_shape))
    if not node.has(2):
        return _transformed(node, chain(split, after), chain(split, reach), size)
    window = node.value(2).reshape(1, 1, size, 1)
    spread = chain(Reshape((size,), (size, 1)), Broadcast((size, 1), frames))
    pieces = split.matvec(node.value(0)[None])[0]
    signal = chain(split, Diagonal.of(frames, window), after)
    weights = chain(spread, Diagonal.of(frames, pieces), after)
    found = product_rule(node, (0, lambda: signal), (2, lambda: weights))
    whole = reach.matvec(np.abs(pieces * window)[None])[0]
    bias = np.zeros_like(whole) if found.bias is None else found.bias
    return Affine(found.terms, bias, None, 2 * whole, _roundings(size) + 4)


def _frame_length(node: NodeAtX) -> int:
    if node.has(3):
        return int(node.constant(3).item())
    return node.shape(2)[0] if node.has(2) else node.shape(0)[1]


@rule("MelWeightMatrix", status="constant")
def mel_weight_matrix(node: NodeAtX) -> Affine:
    """Weights of a mel filter bank: their edges are rounded to whole bins, so locally constant."""
    node.ignore("output_datatype")
    return Affine({}, node.cast(node.result()))
