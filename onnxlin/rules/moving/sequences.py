"""Sequences: at x they are so many tensors, and every operator hands tensors on or cuts them.

A node comes here with the tensors that its sequences hold among its inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from onnxlin.primitives import Crop, LinearMap, Reshape, adjoint, chain, identity
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.registry import rule


def _handed(node: NodeAtX, positions: Iterable[int]) -> list[Affine]:
    """Hand inputs on, one an output."""
    return [Affine({i: identity(node.shape(i))}, roundings=0) for i in positions]


def _position(node: NodeAtX, i: int, count: int) -> int:
    """Read an optional position in a sequence; negative ones count from the back."""
    return int(node.native(i).item()) % count if node.has(i) else count - 1


@rule("SequenceConstruct")
def sequence_construct(node: NodeAtX) -> list[Affine]:
    """The inputs, one after the other."""
    return _handed(node, range(len(node.operands)))


@rule("SequenceInsert")
def sequence_insert(node: NodeAtX) -> list[Affine]:
    """The sequence with a tensor more, at a position or at the end."""
    count = len(node.results) - 1
    # The end itself is a position too, but for the last of those that count from the back.
    at = int(node.native(count + 1).item()) if node.has(count + 1) else count
    at = at + count if at < 0 else at
    return _handed(node, [*range(at), count, *range(at, count)])


@rule("SequenceErase")
def sequence_erase(node: NodeAtX) -> list[Affine]:
    """The sequence without one of its tensors, by default the last."""
    count = len(node.results) + 1
    gone = _position(node, count, count)
    return _handed(node, [i for i in range(count) if i != gone])


@rule("SequenceAt")
def sequence_at(node: NodeAtX) -> list[Affine]:
    """One of the tensors."""
    count = len(node.operands) - 1
    return _handed(node, [_position(node, count, count)])


@rule("Optional", "OptionalGetElement")
def optional(node: NodeAtX) -> list[Affine]:
    """What is there, wrapped or not."""
    node.ignore("type")
    return _handed(node, range(len(node.results)))


@rule("ConcatFromSequence")
def concat_from_sequence(node: NodeAtX) -> Affine:
    """The tensors side by side along an axis, which is a new one if so asked."""
    axis = node.attr("axis") % len(node.out_shape)
    new, count = bool(node.attr("new_axis")), len(node.operands)
    sizes = [1 if new else node.shape(i)[axis] for i in range(count)]
    crops = _crops(node.out_shape, axis, sizes)
    terms = {i: chain(Reshape(node.shape(i), c.out_shape), adjoint(c)) for i, c in enumerate(crops)}
    return Affine(terms, roundings=0)


@rule("SplitToSequence", constant=(1,))
def split_to_sequence(node: NodeAtX) -> list[Affine]:
    """Pieces along an axis, by default of one entry, without that axis if so asked."""
    shape = node.shape(0)
    axis = node.attr("axis") % len(shape)
    single = not node.has(1) and not node.attr("keepdims")
    node.ignore("keepdims")  # the shapes of the pieces have it
    sizes = [1 if single else out[axis] for out in node.out_shapes]
    pieces = zip(_crops(shape, axis, sizes), node.out_shapes, strict=True)
    return [Affine({0: chain(c, Reshape(c.out_shape, out))}, roundings=0) for c, out in pieces]


def _crops(shape: tuple[int, ...], axis: int, sizes: list[int]) -> list[LinearMap]:
    """Cut along an axis into pieces of these sizes."""
    places = zip(accumulate(sizes, initial=0), sizes, strict=False)
    return [Crop.along(shape, axis, at, n) for at, n in places]
