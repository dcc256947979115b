"""Updates written into a tensor at constant positions, or combined with what is there."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
import onnx

from onnxlin.primitives import Array, LinearMap, Select, Sum, adjoint, identity
from onnxlin.rules.affine import Affine, Body
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.schema import feeds_of, one_node_model, outputs_of
from onnxlin.rules.guards import Guard, scaled
from onnxlin.rules.moving.moves import elements, places, slices
from onnxlin.rules.registry import rule


@rule("ScatterElements", constant=(1,))
def scatter_elements(node: NodeAtX) -> Affine | Body:
    """Input 0, with input 2 written at one position along an axis for each update."""
    shape = node.shape(0)
    target = elements(shape, node.constant(1), node.attr("axis") % len(shape))
    return scattered(node, target)


@rule("ScatterND", constant=(1,))
def scatter_nd(node: NodeAtX) -> Affine | Body:
    """Input 0, with slices of input 2 written at tuples of positions."""
    return scattered(node, slices(node.shape(0), node.constant(1)))


@rule("TensorScatter", constant=(2,))
def tensor_scatter(node: NodeAtX) -> Affine:
    """A cache, with an update written along an axis from a position of each batch entry on."""
    shape, new = node.shape(0), node.shape(1)
    axis = node.attr("axis") % len(shape)
    start = node.constant(2) if node.has(2) else np.zeros(shape[0], dtype=np.int64)
    at = start.reshape(-1, *(1,) * (len(shape) - 1)) + np.indices(new, sparse=True)[axis]
    if node.attr("mode") == "circular":
        at = at % shape[axis]
    return written(node, elements(shape, np.broadcast_to(at, new), axis), update=1)


def scattered(node: NodeAtX, target: Array) -> Affine | Body:
    """Write or combine input 2 into input 0 at flat positions, as the reduction says."""
    reduction = node.attr("reduction")
    if reduction == "none":
        return written(node, target)
    if reduction == "add":
        scatter = adjoint(Select.of(node.shape(0), target))
        return Affine({0: identity(node.shape(0)), 2: scatter})
    if reduction == "mul":
        return multiplied(node, target.ravel())
    if reduction in ("max", "min"):
        return contested(node, target.ravel(), 1 if reduction == "max" else -1)
    raise node.refuse(f"reduction is {reduction!r}")


def written(node: NodeAtX, target: Array, update: int = 2) -> Affine:
    """Overwrite; of several updates of one entry the last stays."""
    source = np.full(prod(node.shape(0)), -1)
    source[target.ravel()] = np.arange(target.size)
    return _either(node, source, update)


def _either(node: NodeAtX, source: Array, update: int) -> Affine:
    """Copy the update at each flat position in ``source``, and what was there for -1."""
    shape = node.shape(0)
    source = source.reshape(shape)
    kept = Select.of(shape, np.where(source < 0, places(shape), -1))
    return Affine({0: kept, update: Select.of(node.shape(update), source)}, roundings=0)


def contested(node: NodeAtX, target: Array, sign: int) -> Affine:
    """Copy the largest (sign 1) or smallest of an entry and its updates; ties go to the first."""
    count = prod(node.shape(0))
    best, new = node.native(0).ravel(), node.native(2).ravel()
    winner = np.arange(count)
    for part in _rounds(target):
        at = np.full(count, -1)
        at[target[part]] = part
        rival = np.take(new, np.maximum(at, 0))
        ahead = (at >= 0) & ((rival > best) if sign > 0 else (rival < best))
        best = np.where(ahead, rival, best)
        winner = np.where(ahead, count + at, winner)
    piece = _either(node, np.where(winner < count, -1, winner - count), 2)
    beside: Callable[[], _Contest] = lambda: _Contest(node, target, winner, sign)
    return Affine(
        piece.terms,
        margin=lambda: beside().margin(),
        roundings=0,
        guards=lambda: [beside().guard()],
    )


class _Contest:
    """The winner of every entry beside its rivals, for bounds of where it stays the winner."""

    def __init__(self, node: NodeAtX, target: Array, winner: Array, sign: int) -> None:
        self.node, self.sign, self.count = node, sign, len(winner)
        self.rivals = sign * np.concatenate([node.native(0).ravel(), node.native(2).ravel()])
        self.group = np.concatenate([np.arange(self.count), target])
        self.first = winner[self.group]
        each = np.arange(len(self.rivals))
        self.real = (self.first != each) & np.isfinite(self.rivals)

    def guard(self) -> Guard:
        """No rival overtakes."""
        terms = {0: self._read(0, 0), 2: self._read(2, self.count)}
        return Guard(terms, np.where(self.real, 0.0, -np.inf), np.inf, "contest")

    def _read(self, i: int, start: int) -> LinearMap:
        """What the winner's place, less what the rival's, holds of input ``i``."""
        shape, maps = self.node.shape(i), []
        for at, factor in ((self.first, self.sign), (np.arange(len(self.rivals)), -self.sign)):
            inside = (at >= start) & (at < start + prod(shape))
            maps.append(scaled(Select.of(shape, np.where(inside, at - start, -1)), factor))
        return Sum.of(*maps)

    def margin(self) -> Array:
        """How far the winner of every entry is ahead of the next."""
        lead, wide = np.full(self.count, np.inf), self.rivals.astype(np.float64)
        ahead = wide[self.first[self.real]] - wide[self.real]
        np.minimum.at(lead, self.group[self.real], ahead)
        return lead


def multiplied(node: NodeAtX, target: Array) -> Body:
    """Multiply an entry by its updates, one product after the other, as a graph of products."""
    rounds = _rounds(target)
    make: Callable[[], onnx.ModelProto] = lambda: _products(node, target, rounds)
    return Body(("mul", target.tobytes()), make, feeds_of(node), outputs_of(node))


def _rounds(target: Array) -> list[Array]:
    """Part updates so that none of a part meet at one entry, the first of all entries first."""
    order = np.argsort(target, kind="stable")
    starts = np.searchsorted(target[order], target[order])
    nth = np.arange(len(order)) - starts
    return [order[nth == n] for n in range(int(nth.max(initial=-1)) + 1)]


def _products(node: NodeAtX, target: Array, rounds: list[Array]) -> onnx.ModelProto:
    model = one_node_model(node, 18)
    graph = model.graph
    del graph.node[:]

    def add(op_type: str, *inputs: str | Array, output: str = "") -> str:
        names = [name if isinstance(name, str) else _constant(graph, name) for name in inputs]
        output = output or f"t{len(graph.node)}"
        graph.node.append(onnx.helper.make_node(op_type, names, [output]))
        return output

    flat = np.array([-1])
    value, updates = add("Reshape", "i0", flat), add("Reshape", "i2", flat)
    for part in rounds:
        at = target[part]
        there, new = add("Gather", value, at), add("Gather", updates, part)
        value = add("ScatterElements", value, at, add("Mul", there, new))
    add("Reshape", value, np.array(node.shape(0), dtype=np.int64), output="o0")
    return model


def _constant(graph: onnx.GraphProto, value: Array) -> str:
    name = f"c{len(graph.initializer)}"
    graph.initializer.append(onnx.numpy_helper.from_array(value.astype(np.int64), name))
    return name
