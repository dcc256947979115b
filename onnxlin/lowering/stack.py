"""K stacked arrays of one shape in a graph, K known only when it runs.

A `Stack` is a tensor in some layout (`Laid`), or one that waits to be multiplied (`Scaled`), as
factors of one x meet each other before they meet the K arrays. Only the first has a name to read:
no factor is forgotten, as whoever reads asks for a layout, or for what is `applied`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from math import prod
from typing import Any, final

import numpy as np
from onnx import numpy_helper

from onnxlin.lowering.blocked import entered, multiplied
from onnxlin.lowering.emitter import Emitter
from onnxlin.lowering.peephole import added
from onnxlin.lowering.traced import NotStaticError, Traced, tensor

Shape = tuple[int, ...]

# Entries of an array up to which a node costs more than what it computes: factors then meet first.
FEW = 2**13


@dataclass(frozen=True)
class Stack(ABC):
    """K arrays of ``shape`` in a graph.

    Reshaping a stack costs nothing until somebody needs the tensor in another layout.

    Parameters
    ----------
    emitter : Emitter
    shape : tuple of int
        Of one array.
    """

    emitter: Emitter
    shape: Shape

    @staticmethod
    def of(emitter: Emitter, name: str, shape: Shape) -> Laid:
        """Describe a tensor ``(K, *shape)``."""
        return Laid(emitter, shape, name, 1, shape)

    @property
    @abstractmethod
    def applied(self) -> Laid:
        """The same as a tensor, whatever it was to be multiplied by."""

    @property
    @abstractmethod
    def layout(self) -> tuple[int, Shape]:
        """``(merged, rest)`` of a tensor ``(K * merged, *rest)``, that of `applied`."""

    @property
    @abstractmethod
    def negative(self) -> bool:
        """Whether the arrays are a tensor's negatives: a sum then takes them away."""

    @property
    @abstractmethod
    def negated(self) -> Stack:
        """The negatives of the arrays."""

    @abstractmethod
    def multiplied(self, factor: Any) -> Stack:
        """Multiply by an array that broadcasts to ``shape``; see `times`."""

    def in_layout(self, merged: int, rest: Shape) -> str:
        """The tensor in the layout ``(K * merged, *rest)``."""
        laid = self.applied
        if (merged, rest) == laid.layout:
            return laid.name
        if 0 in rest:
            raise NotStaticError("a tensor without entries has no layout in a graph")
        # Where K stays alone on its axis that axis is copied, so that its name is not lost.
        first = 0 if merged == laid.merged == 1 else -1
        return self.emitter("Reshape", laid.name, self.emitter.ints([first, *rest]))

    @property
    def per_row(self) -> str:
        """The tensor as ``(K, *shape)``."""
        return self.in_layout(1, self.shape)

    @property
    def rows_merged(self) -> str:
        """The tensor as ``(K * shape[0], *shape[1:])``."""
        return self.in_layout(self.shape[0], self.shape[1:])

    @property
    def flat(self) -> str:
        """The tensor as ``(K, entries)``."""
        return self.in_layout(1, (prod(self.shape),))

    @property
    def spread(self) -> tuple[str, int]:
        """A layout in which every axis stands alone, and where axis 0 of an array is in it.

        An axis 0 of length 1 is left to K: no reshape then comes between one image's operators.
        """
        compact = len(self.shape) > 1 and self.shape[0] == 1
        return (self.rows_merged, 0) if compact else (self.per_row, 1)

    def alone(self, axis: int) -> tuple[str, int]:
        """A layout in which this axis of an array stands alone; the same as `spread` if it can."""
        return self.spread if axis else (self.per_row, 1)

    def as_rows_merged(self, name: str, shape: Shape) -> Laid:
        """Describe another tensor of the graph, ``(K * shape[0], *shape[1:])``."""
        return Laid(self.emitter, shape, name, shape[0], shape[1:])

    def as_layout(self, name: str, shape: Shape, merged: int, rest: Shape) -> Laid:
        """Describe another tensor of the graph, ``(K * merged, *rest)``."""
        return Laid(self.emitter, shape, name, merged, rest)

    def as_spread(self, name: str, shape: Shape, first: int) -> Laid:
        """Describe another tensor of the graph, laid out as `spread` has it."""
        return Stack.of(self.emitter, name, shape) if first else self.as_rows_merged(name, shape)

    def reshaped(self, shape: Shape) -> Stack:
        """The same entries as arrays of another shape."""
        if shape == self.shape:
            return self
        laid = self.applied
        return replace(laid, shape=shape, held=laid.positive.name, repeated=None)

    def times(self, factor: Any) -> Stack:
        """Multiply by an array that broadcasts to ``shape``, the same for all K."""
        if factor.size == 1 and not isinstance(factor, Traced) and abs(factor.item()) == 1:
            return self if factor.item() == 1 else self.negated
        return self.multiplied(factor)

    def plus(self, other: Stack) -> Laid:
        """Add two stacks of the same shape."""
        return _sum(self.applied, other.applied)

    def zeros(self, count: int, *, turned: bool = False) -> str:
        """A tensor ``(K, count)`` of zeros, or ``(count, K)``."""
        rows = self.emitter("Shape", self.flat, start=0, end=1)
        sides = [rows, self.emitter.ints([count])][:: -1 if turned else 1]
        shape = self.emitter("Concat", *sides, axis=0)
        zero = numpy_helper.from_array(np.zeros(1, self.emitter.dtype))
        return self.emitter("ConstantOfShape", shape, value=zero)


@final
@dataclass(frozen=True)
class Laid(Stack):
    """K arrays as a tensor of the graph, ``(K * merged, *rest)``.

    Parameters
    ----------
    held : str
        The tensor, or a smaller one that is to be repeated to it.
    merged : int
        Entries of the leading axes of one array that share an axis with K.
    rest : tuple of int
        The other axes of the tensor; ``merged * prod(rest) == prod(shape)``.
    repeated : tuple of int, optional
        Those of the smaller tensor. Products and sums repeat it by themselves.
    negative : bool
        Whether the arrays are the tensor's negatives.
    """

    held: str
    merged: int
    rest: Shape
    repeated: Shape | None = None
    negative: bool = False

    @property
    def applied(self) -> Laid:
        """Itself."""
        return self

    @property
    def layout(self) -> tuple[int, Shape]:
        """``(merged, rest)``."""
        return self.merged, self.rest

    @property
    def negated(self) -> Laid:
        """The negatives of the arrays: the same tensor."""
        return replace(self, negative=not self.negative)

    @property
    def positive(self) -> Laid:
        """The arrays without their sign."""
        return replace(self, negative=False)

    @property
    def name(self) -> str:
        """The tensor."""
        if self.repeated is None:
            return self.unrepeated
        return self.emitter("Expand", self.unrepeated, self.emitter.ints([1, *self.rest]))

    @property
    def unrepeated(self) -> str:
        """The tensor, or the smaller one that is to be repeated to it."""
        return self.emitter("Neg", self.held) if self.negative else self.held

    @property
    def dims(self) -> Shape:
        """Axes of the tensor that is there, but for the first."""
        return self.rest if self.repeated is None else self.repeated

    def holding(self, held: str, dims: Shape) -> Laid:
        """Describe a tensor of this layout, which may have smaller dims."""
        return replace(self, held=held, repeated=None if dims == self.rest else dims)

    def laid_as(self, other: Laid) -> Laid:
        """Lay the whole tensor out as that of another stack of the same shape is."""
        held = self.positive.in_layout(*other.layout)
        return replace(self, held=held, merged=other.merged, rest=other.rest, repeated=None)

    def waiting(self, factor: Any) -> Stack:
        """Describe what these arrays are once multiplied, or multiply now what is large."""
        made = Scaled(self.emitter, self.shape, self, factor)
        return made if prod(self.shape) <= FEW else made.applied

    def multiplied(self, factor: Any) -> Stack:
        """Let a factor wait; what is to be repeated is small enough to be multiplied at once."""
        if self.repeated is None:
            name, first = self.positive.spread
            spread = replace(self.as_spread(name, self.shape, first), negative=self.negative)
            return spread.waiting(factor)
        # Over the axis that K has, the factor must not differ; there it has 1 entry, or no axis.
        scale = tensor(self.emitter, factor, self.emitter.dtype)
        dims = np.broadcast_shapes(self.repeated, factor.shape[-len(self.rest) :])
        product = self.emitter("Mul", self.held, scale)
        return self.holding(entered(self.emitter, product, scale), dims)


@final
@dataclass(frozen=True)
class Scaled(Stack):
    """K arrays that are still to be multiplied.

    Parameters
    ----------
    laid : Laid
        The arrays before that, laid out as `spread` has them and not to be repeated.
    factor : array or traced array
        The same for all K; it broadcasts to ``shape``.
    """

    laid: Laid
    factor: Any

    @property
    def applied(self) -> Laid:
        """The product, as a tensor."""
        scale = tensor(self.emitter, self.factor, self.emitter.dtype)
        return replace(self.laid, held=multiplied(self.emitter, self.laid.held, scale))

    @property
    def layout(self) -> tuple[int, Shape]:
        """That of the arrays."""
        return self.laid.layout

    @property
    def negative(self) -> bool:
        """Whether the product is its tensor's negative."""
        return self.laid.negative

    @property
    def negated(self) -> Scaled:
        """The negatives of the arrays, still to be multiplied."""
        return replace(self, laid=self.laid.negated)

    def multiplied(self, factor: Any) -> Stack:
        """Let one more factor wait: it meets those before."""
        return self.laid.waiting(self.factor * factor)


def _sum(a: Laid, b: Laid) -> Laid:
    """Add two stacks; what is to be repeated is left small where it can be."""
    if a.negative and not b.negative:
        a, b = b, a
    op_type = "Add" if a.negative == b.negative else "Sub"
    a, b = _in_one_layout(a, b)
    dims = np.broadcast_shapes(a.dims, b.dims)
    return a.holding(added(a.emitter, op_type, a.held, b.held), dims)


def _in_one_layout(a: Laid, b: Laid) -> tuple[Laid, Laid]:
    """Lay two stacks of one shape out alike."""
    if a.layout == b.layout:
        return a, b
    if b.repeated is None:
        return a, b.laid_as(a)
    if a.repeated is None:
        return a.laid_as(b), b
    return a.laid_as(a), b.laid_as(a)
