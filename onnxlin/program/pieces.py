"""How a rule's answer becomes a step of a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from onnxlin.errors import RuleError
from onnxlin.graph import Node, is_float
from onnxlin.lowering import Traced
from onnxlin.lowering import is_traced as in_graph
from onnxlin.primitives import Array, Diagonal, LinearMap, applied, identity, weighable
from onnxlin.program.build import Build
from onnxlin.program.linear_program import Bounds, Decision, Step
from onnxlin.program.still import settled
from onnxlin.program.sweep import finite
from onnxlin.rules import Affine, NodeAtX
from onnxlin.rules.guards import Guard, margin


def is_float_array(value: Any) -> bool:
    """Whether a value of a run is a tensor of floats."""
    return isinstance(value, np.ndarray | Traced) and is_float(value.dtype)


def alias(node: Node, source: str, target: str, build: Build) -> Step:
    """Hand a tensor on under another name; infinities are as the runtime has them there."""
    shape = build.values[target].shape
    value, size = None, None
    term: tuple[tuple[str, LinearMap], ...] = ()
    fine = _finite(build.values[source])
    if source not in build.alive or not fine.all():
        value = np.where(fine & (source in build.alive), 0, build.values[target])
        value = value.astype(build.dtype)
        size = np.abs(value)
    if source in build.alive:
        whole = identity(shape)
        op = whole if fine.all() else Diagonal.of(shape, fine.astype(build.dtype))
        term = ((source, op),)
    made = Step(node, target, shape, "expanded", term, value, size, None, 1, varies=True)
    return replace(made, still=build.still.get(source))


def _finite(value: Array) -> Array:
    """Which entries are finite: all, where x can move them, of an array that a graph computes."""
    return np.ones(value.shape, bool) if in_graph(value) else np.isfinite(value)


def make_step(at_x: NodeAtX, i: int, piece: Affine, status: str) -> Step:
    """Move the terms of operands that do not depend on x into the bias, and check the shapes."""
    shape, node = at_x.out_shapes[i], at_x.node
    terms, biases, sizes, added = [], [], [], 0
    if piece.bias is not None:
        biases.append(piece.bias)
        sizes.append(np.abs(piece.bias) if piece.bias_size is None else piece.bias_size)
    elif piece.bias_size is not None:
        sizes.append(piece.bias_size)
    for position, given in piece.terms.items():
        operand, op = at_x.operand(position), weighable(given)
        if op.in_shape != operand.shape or op.out_shape != shape:
            raise RuleError(
                f"The rule of {node.op_type} answered at node {node.name!r} with a map "
                f"{op.in_shape} -> {op.out_shape} for input {position}; the run has "
                f"{operand.shape} -> {shape}."
            )
        if not prod(operand.shape) or not prod(shape):
            continue  # nothing goes through: a cache before the first token, say
        if operand.traced:
            terms.append((operand.name, op))
        else:
            value = at_x.value(position).astype(at_x.dtype, copy=False)
            biases.append(applied(op, weighable(value)))
            added += op.fan_in  # the runtime adds these up all the same
            if not in_graph(biases[-1]):  # bounds are never written into a graph
                sizes.append(op.absolute().matvec(np.abs(weighable(value)[None]))[0])
    unsure = [(at_x.operand(j), op) for j, op in {**piece.terms, **piece.held}.items()]
    step = Step(
        node=node,
        output=node.outputs[i],
        shape=shape,
        status=status,
        terms=tuple(terms),
        bias=weighable(_total(biases)),
        bias_size=_total(sizes),
        margin=_margin(at_x, piece),
        roundings=piece.roundings + len(biases) + len(terms) + added,
        varies=at_x.looked,
        held=tuple((o.name, weighable(op)) for o, op in unsure if not (o.traced or o.fixed)),
    )
    if piece.formed:
        names = {j: at_x.operand(j) for j in piece.formed}
        formed = {o.name: piece.formed[j] for j, o in names.items() if o.traced}
        step = replace(step, formed=formed)
    found = settled(step, at_x, i)
    return found if found is step else replace(found, varies=at_x.looked)


def _margin(at_x: NodeAtX, piece: Affine) -> Callable[[], Array] | None:
    """Distance of every unit from its nearest kink: the rule's own, or that of its guards."""
    make = piece.guards
    if piece.margin is not None or make is None or isinstance(make, str):
        return piece.margin
    inputs = {i: o.native for i, o in enumerate(at_x.operands) if o is not None}
    return lambda: margin(make(), inputs)


def make_decision(at_x: NodeAtX, pieces: Sequence[Affine]) -> Decision | None:
    """Say where the piece of a node holds; None if that is everywhere."""
    if not any(at_x.traced(i) for i in range(len(at_x.operands))):
        return None
    make = next((piece.guards for piece in pieces if piece.guards is not None), None)
    if make is None:
        return None
    if isinstance(make, str):
        return Decision(at_x.node, at_x.out_shape, tuple, make)
    bounds = lambda: tuple(b for guard in make() if (b := _bounds(at_x, guard)))
    return Decision(at_x.node, at_x.out_shape, bounds)


def _bounds(at_x: NodeAtX, guard: Guard) -> Bounds | None:
    """Move the terms of operands that do not depend on x into the bounds."""
    terms, low, high = [], *(np.asarray(b, np.float64) for b in (guard.low, guard.high))
    for position, op in guard.terms.items():
        operand = at_x.operand(position)
        if operand.traced:
            terms.append((operand.name, op))
        else:
            value = finite(operand.native.astype(np.float64))
            known = op.matvec(value[None])[0]
            low, high = low - known, high - known
    if not terms:
        return None
    low, high = (np.broadcast_to(edge, guard.shape) for edge in (low, high))
    return Bounds(tuple(terms), low, high, guard.shape, guard.what, guard.rivals)


def _total(parts: list[Array]) -> Array | None:
    """Add up; axes along which all parts repeat themselves keep one entry."""
    small = [_once(part) for part in parts]
    return sum(small[1:], start=small[0]) if small else None


def _once(part: Array) -> Array:
    """Take one entry of every axis that an array has been broadcast along."""
    if in_graph(part):
        return part
    return part[tuple(slice(0, 1) if n == 0 else slice(None) for n in part.strides)]
