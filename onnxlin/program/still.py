"""Entries that no x moves: what a mask of -1e9, or of the lowest float, has swallowed.

``x + c`` is c where c is so large that the runtime's sum does not change with x. Whatever is made
of such an entry is constant in it, but its products with slopes are sums of huge numbers that
cancel: of a row that is masked throughout, a softmax would have a bias with no digit that is right.
So entries that are still are marked, and a node in which several numbers meet, or that is curved,
takes them as part of its value at x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from onnxlin.lowering import is_traced as in_graph
from onnxlin.primitives import Array, Diagonal, LinearMap, applied, chain, weighable
from onnxlin.program.linear_program import Step
from onnxlin.rules import NodeAtX
from onnxlin.rules.absorbed import may_swallow, swallows

Terms = Sequence[tuple[str, LinearMap]]


def settled(step: Step, at_x: NodeAtX, i: int) -> Step:
    """Hold what is still among the operands of a step at its value, and mark what it makes of it.

    Parameters
    ----------
    at_x : NodeAtX
        The node, with the marks of its operands.
    i : int
        Which of its outputs the step makes.
    """
    marks = {o.name: o.still for o in at_x.operands if o is not None and o.still is not None}
    marks = {name: mark for name, mark in marks.items() if name in dict(step.terms)}
    if not marks:
        return _swallowing(step, at_x, i)
    at_x.looked = True
    native = at_x.result(i)
    if len(step.terms) > 1 or step.status != "exact":
        step = _held(step, marks, at_x, native)
    if not may_swallow(native, at_x.precision):
        return step
    return replace(step, still=_still(step, marks, native, at_x))


def _swallowing(step: Step, at_x: NodeAtX, i: int) -> Step:
    """Mark where the bias is all there is, and large: in a graph, where the output may be large."""
    bias, output = step.bias, at_x.results[i]
    if bias is None or not may_swallow(output if in_graph(bias) else bias, at_x.precision):
        return step
    return replace(step, still=_still(step, {}, bias, at_x))


def _held(step: Step, marks: dict[str, Array], at_x: NodeAtX, native: Array) -> Step:
    """Leave the operands out where they are still; the bias is what that leaves of the value."""
    live = {name: at_x.cast(~mark) for name, mark in marks.items()}
    terms = tuple(
        (name, chain(Diagonal.of(op.in_shape, live[name]), op) if name in live else op)
        for name, op in step.terms
    )
    values = {o.name: at_x.value(j) for j, o in enumerate(at_x.operands) if o is not None}
    held = _reach([term for term in step.terms if term[0] in marks], _numbers(marks, at_x)) > 0
    parts = [applied(op, weighable(values[name])) for name, op in terms]
    rest = at_x.cast(native) - sum(parts[1:], start=parts[0])
    zero = np.zeros((), at_x.dtype)
    bias = weighable(np.where(held, rest, zero if step.bias is None else step.bias))
    size = step.bias_size
    if not in_graph(bias):
        sizes = {name: np.abs(weighable(values[name])) for name, _ in terms}
        whole = np.abs(weighable(native.astype(np.float64))) + _reach(terms, sizes)
        size = np.where(held, whole, np.abs(zero) if size is None else size)
    return replace(step, terms=terms, bias=bias, bias_size=size)


def _still(step: Step, marks: dict[str, Array], value: Array, at_x: NodeAtX) -> Array | None:
    """Which entries of the output nothing moves, and are so large that they will swallow others."""
    large = swallows(value, 0, at_x.precision)
    if step.terms:
        ones = {name: np.ones(op.in_shape, at_x.dtype) for name, op in step.terms}
        live = ones | {name: at_x.cast(~mark) for name, mark in marks.items()}
        large = large & ~(_reach(step.terms, live) > 0)
    if not in_graph(large) and not large.any():
        return None
    return np.broadcast_to(large, step.shape)


def _numbers(marks: dict[str, Array], at_x: NodeAtX) -> dict[str, Array]:
    return {name: at_x.cast(mark) for name, mark in marks.items()}


def _reach(terms: Terms, sizes: dict[str, Array]) -> Any:
    """``sum of |A| sizes``, in a graph, too."""
    parts = [applied(op.absolute(), sizes[name]) for name, op in terms]
    return sum(parts[1:], start=parts[0])
