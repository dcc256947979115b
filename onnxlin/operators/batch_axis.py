"""Where the axis of the instances lies in every tensor, if no operator mixes instances.

A graph is followed at the shapes of one instance, whose own axis has length 1. For each operator
a function says where the axis of its output is, given where it is in its inputs; an operator that
is not listed, or that mixes along the axis, ends the matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from onnxlin.graph import Array, Node

Shape = tuple[int, ...]


class MixedError(Exception):
    """An operator may mix instances; the text says which and how."""


@dataclass(frozen=True, eq=False)
class Place:
    """A node, the shapes of one instance, and where its inputs have the axis.

    Parameters
    ----------
    node : Node
    shapes : {tensor name: shape}
    axes : {tensor name: axis}
        Of the tensors that depend on the instance.
    constants : {tensor name: array}
        Tensors that do not.
    """

    node: Node
    shapes: Mapping[str, Shape]
    axes: Mapping[str, int]
    constants: Mapping[str, Array]

    def axis(self, i: int) -> int | None:
        """Where input ``i`` has the axis; None if it is not there or does not depend on it."""
        return self.axes.get(self.node.inputs[i]) if i < len(self.node.inputs) else None

    def shape(self, i: int) -> Shape:
        """Shape of input ``i``."""
        return self.shapes[self.node.inputs[i]]

    @property
    def out(self) -> Shape:
        """Shape of the first output."""
        return self.shapes[self.node.outputs[0]]

    def attr(self, name: str) -> Any:
        """Return an attribute."""
        return self.node.attributes.get(name)

    def require(self, fits: bool, why: str) -> None:
        """Raise MixedError unless something holds."""
        if not fits:
            raise MixedError(f"{self.node.op_type} at node {self.node.name!r} {why}")

    def only_first(self) -> int:
        """Where the first input has the axis; no other input may have one."""
        others = [i for i in range(1, len(self.node.inputs)) if self.axis(i) is not None]
        first = self.axis(0)
        self.require(first is not None and not others, "depends on the instance in its parameters")
        assert first is not None
        return first

    def constant(self, i: int) -> Array | None:
        """Value of input ``i``; None if it is not there."""
        if i >= len(self.node.inputs) or not self.node.inputs[i]:
            return None
        return self.constants[self.node.inputs[i]]


def entrywise(at: Place) -> int:
    """Broadcast by NumPy's rule: counted from the end, all operands have the axis in one place."""
    found = {at.axes[name] - len(at.shapes[name]) for name in at.node.inputs if name in at.axes}
    at.require(len(found) == 1, "has the axis in several places")
    return found.pop() + len(at.out)


def first(at: Place) -> int:
    """Where the first input has it."""
    axis = at.axis(0)
    at.require(axis is not None, "does not depend on the instance")
    assert axis is not None
    return axis


def matmul(at: Place) -> int:
    """In the batch axes of either side, or the rows of the left one."""
    a, b = at.axis(0), at.axis(1)
    ranks = len(at.shape(0)), len(at.shape(1))
    at.require(min(ranks) > 1, "multiplies a vector")
    found = set()
    if a is not None:
        at.require(a != ranks[0] - 1, "sums over instances")
        at.require(b is None or a < ranks[0] - 2, "multiplies instances with each other")
        found.add(a - ranks[0])
    if b is not None:
        at.require(b < ranks[1] - 2, "has the axis in a matrix on the right")
        found.add(b - ranks[1])
    at.require(len(found) == 1, "has the axis in several places")
    return found.pop() + len(at.out)


def gemm(at: Place) -> int:
    """In the rows of the first matrix."""
    axis = at.only_first()
    at.require(axis == (1 if at.attr("transA") else 0), "sums over instances")
    return 0


def samples(at: Place) -> int:
    """Axis 0 of ``(N, C, *spatial)``."""
    axis = at.only_first()
    at.require(axis == 0, "has the axis elsewhere than in its samples")
    at.require(not at.attr("training_mode"), "takes statistics over instances")
    return 0


def reshape(at: Place) -> int:
    """Where as many entries lie before it as there did."""
    axis = at.only_first()
    before = prod(at.shape(0)[:axis])
    places = [i for i, n in enumerate(at.out) if n == 1 and prod(at.out[:i]) == before]
    at.require(bool(places), "merges the axis with others")
    return places[0]


def expand(at: Place) -> int:
    """Where broadcasting leaves it."""
    return at.only_first() - len(at.shape(0)) + len(at.out)


def transpose(at: Place) -> int:
    """Where the permutation takes it."""
    axis = at.only_first()
    perm = at.attr("perm") or list(range(len(at.out)))[::-1]
    return list(perm).index(axis)


def concat(at: Place) -> int:
    """Anywhere but along the axis that is joined."""
    found = {at.axes.get(name) for name in at.node.inputs}
    at.require(len(found) == 1, "joins instances with constants")
    axis = found.pop()
    assert axis is not None
    at.require(at.attr("axis") % len(at.out) != axis, "joins along the axis of the instances")
    return axis


def along(at: Place) -> int:
    """Anywhere but along the attribute ``axis``."""
    axis = at.only_first()
    at.require(at.attr("axis") % len(at.shape(0)) != axis, "works along the axis of the instances")
    return axis


def inner(at: Place) -> int:
    """Before the attribute ``axis``, from which on entries belong together."""
    axis = at.only_first()
    at.require(axis < at.attr("axis") % len(at.shape(0)), "works along the axis of the instances")
    return axis


def gather(at: Place) -> int:
    """Anywhere but along the axis that is read at known positions."""
    axis = at.only_first()
    along_axis = at.attr("axis") % len(at.shape(0))
    at.require(along_axis != axis, "picks instances")
    return axis if axis < along_axis else axis - 1 + len(at.shape(1))


def slices(at: Place) -> int:
    """Anywhere but along the axes that are cut."""
    axis, starts, axes = at.only_first(), at.constant(1), at.constant(3)
    assert starts is not None
    cut = range(len(starts)) if axes is None else [int(a) % len(at.shape(0)) for a in axes]
    at.require(axis not in cut, "picks instances")
    return axis


def pad(at: Place) -> int:
    """Anywhere but along an axis that is padded."""
    axis, rank = at.only_first(), len(at.shape(0))
    pads, axes = at.constant(1), at.constant(3)
    assert pads is not None
    which = range(rank) if axes is None else [int(a) % rank for a in axes]
    ends = np.reshape(pads, (2, -1))
    padded = [a for a, both in zip(which, ends.T, strict=True) if both.any()]
    at.require(axis not in padded, "pads along the axis of the instances")
    return axis


def reduce(at: Place) -> int:
    """Among the axes that are kept."""
    axis, rank, axes = at.only_first(), len(at.shape(0)), at.constant(1)
    every = axes is None or not axes.size
    gone = range(rank) if every else [int(a) % rank for a in axes]  # type: ignore[union-attr]
    at.require(axis not in gone, "reduces over instances")
    return axis if at.attr("keepdims") else axis - sum(a < axis for a in gone)


Follow = Callable[[Place], int]


def _named(names: str, follow: Follow) -> dict[str, Follow]:
    return dict.fromkeys(names.split(), follow)


FOLLOW: dict[str, Follow] = {
    **_named(
        """Abs Acos Acosh Add And Asin Asinh Atan Atanh Cast Ceil Celu Clip Cos Cosh Div Dropout Elu
        Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN
        LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal
        Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh
        ThresholdedRelu Where Xor""",
        entrywise,
    ),
    **_named(
        """AveragePool BatchNormalization Conv ConvTranspose DepthToSpace GlobalAveragePool
        GlobalLpPool GlobalMaxPool GroupNormalization InstanceNormalization LRN LpPool MaxPool
        SpaceToDepth""",
        samples,
    ),
    **_named("Reshape Flatten Squeeze Unsqueeze", reshape),
    **_named("Softmax LogSoftmax Hardmax LpNormalization Split", along),
    **_named("LayerNormalization RMSNormalization", inner),
    **_named(
        """ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
        ReduceSum ReduceSumSquare""",
        reduce,
    ),
    "CastLike": first,
    "MatMul": matmul,
    "Gemm": gemm,
    "Expand": expand,
    "Transpose": transpose,
    "Concat": concat,
    "Gather": gather,
    "Slice": slices,
    "Pad": pad,
}
"""Operator -> where the axis is in its outputs."""


def follow(at: Place) -> int:
    """Return where the outputs of a node have the axis.

    Raises
    ------
    MixedError
        The node may mix instances.
    """
    known = FOLLOW.get(at.node.op_type) if not at.node.domain else None
    at.require(known is not None, "may mix instances")
    assert known is not None
    axis = known(at)
    at.require(at.out[axis : axis + 1] == (1,), "spreads the axis of the instances")
    return axis
