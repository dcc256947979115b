"""What sweeps take, and compiling, in seconds, as far as sizes tell.

Rough, but repeatable, which a clock would not be: the engine that is chosen decides last bits of
W. Fitted to nets from a small MLP to ResNet-18 and a ViT on two common processors (``python -m
tests.benchmarks --auto``).
"""

from __future__ import annotations

from math import prod

import numpy as np

from onnxlin.primitives import Array, Conv, MatMul, coefficients
from onnxlin.program import LinearProgram

A_STEP = 1e-4
"""A step of a program: its rule and its part of a sweep."""

A_PRODUCT, AN_UNFOLDED, A_SWEPT = 2e-11, 1.5e-9, 6.5e-10
"""For each row: a multiplication, an entry of unfolded windows, an entry of a tensor."""

A_RUN = 3e-9
"""An entry of a tensor, in the run and in its piece."""

A_READ = 2e-10
"""A byte of weights: what reading them takes an interpreted map, with its run, beyond a graph."""

A_NODE, AN_INNER, A_BYTE, OF_A_MATRIX = 1e-3, 5.5e-4, 2e-9, 3e-9
"""To compile: a step, one of what a node is opened into, a byte of weights, which are laid out, and
what one of a matrix takes beyond, which is turned round for the sweep and packed both ways."""

A_MAP, A_PLACE = 4e-4, 3.2e-8
"""To plan at an x what `onnxlin.engines.live` does: a map, and an entry of a tensor. Fitted to nine
nets, within a third."""

A_DENSE, AN_ENTRY = 1.25e-11, 7e-10
"""In a graph, for each row: a multiplication, and an entry of a tensor, written and read
(SqueezeNet, ResNet-18)."""


def entries(program: LinearProgram) -> int:
    """Entries of all tensors."""
    return sum(prod(step.shape) for step in program.steps)


def interpreted(program: LinearProgram, sweeps: int) -> float:
    """Estimate a map by a program that is interpreted, with its run, by so many rows or columns."""
    unfolded = sum(
        op.workspace
        for step in program.steps
        for _, op in step.terms
        if isinstance(getattr(op, "base", op), Conv)
    )
    tensors = entries(program)
    each = A_PRODUCT * program.nnz + AN_UNFOLDED * unfolded + A_SWEPT * tensors
    return A_STEP * len(program.steps) + A_RUN * tensors + sweeps * each


def dense(program: LinearProgram, rows: int) -> float:
    """Estimate so many rows by a graph of dense products."""
    return rows * (A_DENSE * program.nnz + AN_ENTRY * entries(program))


def planning(program: LinearProgram) -> float:
    """Estimate what the live engine takes at each x before it sweeps."""
    return A_MAP * sum(len(step.terms) for step in program.steps) + A_PLACE * entries(program)


def weight(program: LinearProgram) -> int:
    """Bytes of all coefficients."""
    parts = [p for step in program.steps for _, op in step.terms for p in coefficients(op)]
    weights: dict[int, Array] = {id(p): p for p in parts if isinstance(p, np.ndarray)}
    return sum(array.nbytes for array in weights.values())


def opening(program: LinearProgram) -> float:
    """Estimate writing and opening the graph of a program."""
    inner = sum(step.inner for step in program.steps)
    nodes = A_NODE * (len(program.steps) - inner) + AN_INNER * inner
    return nodes + A_BYTE * weight(program) + OF_A_MATRIX * _matrices(program)


def _matrices(program: LinearProgram) -> int:
    """Bytes of the constant matrices of two axes."""
    ops = (op for step in program.steps for _, op in step.terms)
    found = (op.matrix for op in ops if isinstance(op, MatMul) and op.matrix.ndim == 2)
    return sum({id(matrix): matrix.nbytes for matrix in found}.values())


def saved(program: LinearProgram, rows: int, sweeps: int) -> float:
    """Estimate what a graph saves of so many rows that are interpreted by so many sweeps."""
    # The forward pass is one row more.
    graph = dense(program, rows + 1)
    return interpreted(program, sweeps) + A_READ * weight(program) - graph
