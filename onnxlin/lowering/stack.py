"""K stacked arrays of one shape as a tensor of the graph, K known only when it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from onnx import numpy_helper

from onnxlin.lowering.emitter import Emitter
from onnxlin.lowering.traced import NotStaticError, Traced, tensor

Shape = tuple[int, ...]

# Entries of an array up to which a node costs more than what it computes: factors then meet first.
FEW = 2**13


@dataclass(frozen=True)
class Stack:
    """K arrays of ``shape``, held by a tensor of shape ``(K * merged, *rest)``.

    Reshaping a stack costs nothing until somebody needs the tensor in another layout.

    Parameters
    ----------
    emitter : Emitter
    held : str
        The tensor, or a smaller one that is to be repeated to it.
    shape : tuple of int
        Of one array.
    merged : int
        Entries of the leading axes of one array that share an axis with K.
    rest : tuple of int
        The other axes of the tensor; ``merged * prod(rest) == prod(shape)``.
    thin : tuple of int, optional
        Those of the smaller tensor. Products and sums repeat it by themselves.
    negative : bool
        Whether the arrays are the tensor's negatives: a sum then takes them away.
    factor : traced array, optional
        What the tensor is still to be multiplied by: factors of one x meet before the K arrays do.
    """

    emitter: Emitter
    held: str
    shape: Shape
    merged: int
    rest: Shape
    thin: Shape | None = None
    negative: bool = False
    factor: Any = None

    @classmethod
    def of(cls, emitter: Emitter, name: str, shape: Shape) -> Stack:
        """Describe a tensor ``(K, *shape)``."""
        return cls(emitter, name, shape, 1, shape)

    @property
    def settled(self) -> Stack:
        """The same with its factor multiplied in."""
        if self.factor is None:
            return self
        scale = tensor(self.emitter, self.factor, self.emitter.dtype)
        return replace(self, held=self.emitter("Mul", self.held, scale), factor=None)

    @property
    def name(self) -> str:
        """The tensor."""
        if self.thin is None:
            return self.once
        return self.emitter("Expand", self.once, self.emitter.ints([1, *self.rest]))

    @property
    def once(self) -> str:
        """The tensor, or the smaller one that is to be repeated to it."""
        held = self.settled.held
        return self.emitter("Neg", held) if self.negative else held

    def reshaped(self, shape: Shape) -> Stack:
        """The same entries as arrays of another shape."""
        if shape == self.shape:
            return self
        held = self.settled.held if self.thin is None else self._whole
        return Stack(self.emitter, held, shape, self.merged, self.rest, negative=self.negative)

    def laid(self, merged: int, rest: Shape) -> str:
        """The tensor in the layout ``(K * merged, *rest)``."""
        if (merged, rest) == (self.merged, self.rest):
            return self.name
        if 0 in rest:
            raise NotStaticError("a tensor without entries has no layout in a graph")
        # Where K stays alone on its axis that axis is copied, so that its name is not lost.
        first = 0 if merged == self.merged == 1 else -1
        return self.emitter("Reshape", self.name, self.emitter.ints([first, *rest]))

    @property
    def split(self) -> str:
        """The tensor as ``(K, *shape)``."""
        return self.laid(1, self.shape)

    @property
    def samples(self) -> str:
        """The tensor as ``(K * shape[0], *shape[1:])``."""
        return self.laid(self.shape[0], self.shape[1:])

    @property
    def flat(self) -> str:
        """The tensor as ``(K, entries)``."""
        count = self.merged
        for n in self.rest:
            count *= n
        return self.laid(1, (count,))

    def as_split(self, name: str, shape: Shape) -> Stack:
        """Describe another tensor of the graph, ``(K, *shape)``."""
        return Stack(self.emitter, name, shape, 1, shape)

    def as_samples(self, name: str, shape: Shape) -> Stack:
        """Describe another tensor of the graph, ``(K * shape[0], *shape[1:])``."""
        return Stack(self.emitter, name, shape, shape[0], shape[1:])

    def as_laid(self, name: str, shape: Shape, merged: int, rest: Shape) -> Stack:
        """Describe another tensor of the graph, ``(K * merged, *rest)``."""
        return Stack(self.emitter, name, shape, merged, rest)

    def plus(self, other: Stack) -> Stack:
        """Add two stacks of the same shape."""
        return self.settled._plus(other.settled)

    def _plus(self, other: Stack) -> Stack:
        if self.negative and not other.negative:
            return other._plus(self)
        op_type = "Add" if self.negative == other.negative else "Sub"
        if other.thin is not None and self.thin is None:
            # What is to be repeated is left as it is, in its own layout.
            self = self._as(other)  # noqa: PLW0642
        elif self.thin is not None and other.thin is None:
            other = other._as(self)
        if (self.merged, self.rest) != (other.merged, other.rest):
            other = replace(other, negative=False)
            held = self.emitter(op_type, self._whole, other.laid(self.merged, self.rest))
            return replace(self, held=held, thin=None)
        dims = np.broadcast_shapes(self._dims, other._dims)
        return self._thin(self.emitter(op_type, self.held, other.held), dims)

    def _as(self, other: Stack) -> Stack:
        """Lay the tensor out as another one of the same shape is."""
        held = replace(self, negative=False).laid(other.merged, other.rest)
        return replace(self, held=held, merged=other.merged, rest=other.rest)

    @property
    def _whole(self) -> str:
        """The tensor, its sign left out."""
        return replace(self, negative=False).name

    @property
    def _dims(self) -> Shape:
        return self.rest if self.thin is None else self.thin

    def _thin(self, held: str, dims: Shape) -> Stack:
        """Describe a tensor of this layout, but with smaller dims."""
        return replace(self, held=held, thin=None if dims == self.rest else dims)

    @property
    def spread(self) -> tuple[str, int]:
        """A layout in which every axis stands alone, and where axis 0 of an array is in it.

        An axis 0 of length 1 is left to K: no reshape then comes between one image's operators.
        """
        compact = len(self.shape) > 1 and self.shape[0] == 1
        return (self.samples, 0) if compact else (self.split, 1)

    def as_spread(self, name: str, shape: Shape, first: int) -> Stack:
        """Describe another tensor of the graph, laid out as `spread` has it."""
        return self.as_split(name, shape) if first else self.as_samples(name, shape)

    def times(self, factor: Any) -> Stack:
        """Multiply by an array that broadcasts to ``shape``."""
        if factor.size == 1 and not isinstance(factor, Traced) and abs(factor.item()) == 1:
            return self if factor.item() == 1 else replace(self, negative=not self.negative)
        if self.negative:
            return replace(replace(self, negative=False).times(factor), negative=True)
        # Over the axis that K has, the factor must not differ; there it has 1 entry, or no axis.
        if self.thin is not None:
            scale = tensor(self.emitter, factor, self.emitter.dtype)
            dims = np.broadcast_shapes(self.thin, factor.shape[-len(self.rest) :])
            return self._thin(self.emitter("Mul", self.held, scale), dims)
        name, first = replace(self, factor=None).spread
        if self.factor is not None:
            factor = self.factor * factor
        made = replace(self.as_spread(name, self.shape, first), factor=factor)
        return made if prod(self.shape) <= FEW else made.settled

    def summed(self, axes: Shape) -> Stack:
        """Sum over axes, which are kept with length 1."""
        if not axes:
            return self
        name, first = self.spread
        along = [axis + first for axis in axes if axis + first > 0]
        kept = tuple(1 if i in axes else n for i, n in enumerate(self.shape))
        if along:
            name = self.emitter("ReduceSum", name, self.emitter.ints(along), keepdims=1)
        return self.as_spread(name, kept, first)

    def permuted(self, perm: Shape) -> Stack:
        """Permute the axes."""
        shape = tuple(self.shape[p] for p in perm)
        longer = [p for p in perm if self.shape[p] != 1]
        if longer == sorted(longer) and 0 not in shape:
            return self.reshaped(shape)
        name, first = self.spread if perm[0] == 0 else (self.split, 1)
        order = [0, *(p + 1 for p in perm)] if first else list(perm)
        return self.as_spread(self.emitter.permuted(name, order), shape, first)

    def stretched(self, shape: Shape) -> Stack:
        """Broadcast to a shape by NumPy's rule."""
        if self.negative:
            return replace(replace(self, negative=False).stretched(shape), negative=True)
        aligned = self.reshaped((1,) * (len(shape) - len(self.shape)) + self.shape)
        if aligned.shape == shape or not shape:
            return aligned
        compact = len(shape) > 1 and shape[0] == 1
        rest, thin = (s[1:] if compact else s for s in (shape, aligned.shape))
        return Stack(self.emitter, aligned.laid(1, thin), shape, 1, rest, thin)

    def zeros(self, count: int, *, turned: bool = False) -> str:
        """A tensor ``(K, count)`` of zeros, or ``(count, K)``."""
        rows = self.emitter("Shape", self.flat, start=0, end=1)
        sides = [rows, self.emitter.ints([count])][:: -1 if turned else 1]
        shape = self.emitter("Concat", *sides, axis=0)
        zero = numpy_helper.from_array(np.zeros(1, self.emitter.dtype))
        return self.emitter("ConstantOfShape", shape, value=zero)

    def padded(self, axis: int, before: int, after: int) -> Stack:
        """Set between zeros along an axis."""
        shape = (*self.shape[:axis], before + self.shape[axis] + after, *self.shape[axis + 1 :])
        name, first = self.spread if axis else (self.split, 1)
        pads = self.emitter.ints([before, after])
        name = self.emitter("Pad", name, pads, "", self.emitter.ints([axis + first]))
        return self.as_spread(name, shape, first)

    def taken(self, axis: int, index: Any) -> Stack:
        """Read an axis at known positions; -1 reads 0."""
        source, graph, n = self, self.emitter, self.shape[axis]
        if (index < 0).any():
            source, index = self.padded(axis, 0, 1), np.where(index < 0, n, index)
        name, first = source.spread if axis else (source.split, 1)
        name = graph("Gather", name, graph.ints(index), axis=axis + first)
        shape = (*self.shape[:axis], len(index), *self.shape[axis + 1 :])
        return self.as_spread(name, shape, first)

    def beside(self, others: Sequence[Stack], axis: int) -> Stack:
        """Put stacks side by side along an axis of their arrays."""
        if not others:
            return self
        parts = [self, *others]
        factors = [part.factor for part in parts]
        joint = None
        if all(isinstance(factor, Traced) for factor in factors):
            joint = np.concatenate([_full(part) for part in parts], axis=axis)
            parts = [replace(part, factor=None) for part in parts]
        size = sum(part.shape[axis] for part in parts)
        if not axis and all(part._one_line for part in parts):
            # Axis 1, of length 1 as well, stands in for axis 0, which the tensors do not have.
            name = self._concat([part.name for part in parts], 1)
            rest = (size, *self.shape[2:])
            joint = None if joint is None else joint.reshape(rest)
            made = self.as_laid(name, (size, *self.shape[1:]), 1, rest)
            return replace(made, factor=joint).settled
        laid = [part.spread if axis else (part.split, 1) for part in parts]
        first = laid[0][1]
        name = self._concat([name for name, _ in laid], axis + first)
        shape = (*self.shape[:axis], size, *self.shape[axis + 1 :])
        return replace(self.as_spread(name, shape, first), factor=joint)

    @property
    def _one_line(self) -> bool:
        """Whether an array ``(1, 1, *rest)`` is laid out as ``(K, 1, *rest)``."""
        return self.shape[:2] == (1, 1) and self.merged == 1 and self.rest == self.shape[1:]

    def _concat(self, names: Sequence[str], axis: int) -> str:
        """Concatenate; what has been concatenated along the axis before, all at once."""
        flat: list[str] = []
        for name in names:
            made = self.emitter.maker(name)
            joined = made is not None and made.op_type == "Concat" and made.attribute[0].i == axis
            flat.extend(made.input if joined and made is not None else [name])
        return self.emitter("Concat", *flat, axis=axis)


def _full(part: Stack) -> Any:
    """The factor of a stack, repeated to the shape of its arrays."""
    factor = part.factor
    aligned = factor.reshape((1,) * (len(part.shape) - factor.ndim) + factor.shape)
    return np.broadcast_to(aligned, part.shape)
