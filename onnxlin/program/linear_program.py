"""The linear program: the affine pieces of a section at one x, in order. Engines read only this."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from math import prod
from typing import Any

import numpy as np

from onnxlin.graph import Node
from onnxlin.primitives import Array, LinearMap, Shape
from onnxlin.program.sweep import applied, finite, forth


@dataclass(frozen=True, eq=False)
class Known:
    """What is made on demand, made already: called, it hands that over."""

    value: Any

    def __call__(self) -> Any:
        """Return it."""
        return self.value


def known(make: Callable[[], Any] | None) -> Known | None:
    """Make now what ``make`` makes on demand."""
    return make if make is None or isinstance(make, Known) else Known(make())


def revived(kind: type[Any], fields: Mapping[str, Any]) -> Any:
    """Make a part of a program again that has been pickled."""
    return kind(**fields)


@dataclass(frozen=True, eq=False)
class Step:
    """The affine piece of one output of one node: ``output = sum of maps(tensors) + bias``.

    Parameters
    ----------
    node : Node
    output : str
        Name of the tensor that it makes.
    shape : tuple of int
        Shape of that tensor.
    status : str
        "exact", "tangent", "frozen" or "constant".
    terms : tuple of (tensor name, LinearMap)
        A tensor that the node reads twice stands here twice.
    bias : array or None
        Broadcastable to ``shape``.
    bias_size : array or None
        Size of what adds up to the bias, at least ``|bias|``.
    margin : callable or None
        Distance of every unit from its nearest kink.
    roundings : int
        See `onnxlin.rules.Affine`.
    varies : bool
        Whether the piece was decided by looking at x.
    inner : bool
        Whether it belongs to the body that a node was expanded into.
    joins : bool
        Whether it hands the result of such a body to the node's own output, which the runtime
        computed by other arithmetic.
    twin : callable or None
        For a smooth node whose piece was taken at the program's own values: makes the piece at the
        runtime's values, which differ by rounding.
    held : tuple of (tensor name, LinearMap)
        How errors of operands that do not depend on the inputs reach the output.
    formed : {tensor name: LinearMap}
        Sizes that the coefficients of some terms are formed of; see `onnxlin.rules.Affine`.
    still : bool array of ``shape``, or None
        Entries that no x moves; see `onnxlin.program.still`.
    """

    node: Node
    output: str
    shape: Shape
    status: str
    terms: tuple[tuple[str, LinearMap], ...]
    bias: Array | None
    bias_size: Array | None
    margin: Callable[[], Array] | None
    roundings: int
    varies: bool
    inner: bool = False
    joins: bool = False
    twin: Callable[[], Step] | None = None
    held: tuple[tuple[str, LinearMap], ...] = ()
    formed: Mapping[str, LinearMap] = field(default_factory=dict)
    still: Array | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with what is made on demand made: rules hand out functions of their own."""
        made = {name: known(getattr(self, name)) for name in ("margin", "twin")}
        return revived, (type(self), vars(self) | made)

    def __call__(self, values: Mapping[str, Array]) -> Array:
        """Apply the piece to tensors without a stacking axis."""
        total = applied(self.terms, values, self.bias, read=lambda value: finite(value)[None])
        made: Array = np.broadcast_to(total, (1, *self.shape))[0]
        return made

    @property
    def nnz(self) -> int:
        """Upper bound of the entries of the matrices."""
        return sum(op.nnz for _, op in self.terms)


@dataclass(frozen=True, eq=False)
class Bounds:
    """Where a piece holds: ``low <= sum of maps(tensors) <= high``.

    Parameters
    ----------
    terms : tuple of (tensor name, LinearMap)
    low, high : array of ``shape``, float64
        What does not depend on the inputs is part of them.
    shape : tuple of int
    what, rivals
        See `onnxlin.rules.guards.Guard`.
    """

    terms: tuple[tuple[str, LinearMap], ...]
    low: Array
    high: Array
    shape: Shape
    what: str
    rivals: int

    def __call__(self, values: Mapping[str, Array]) -> Array:
        """Value of the function at stacks: ``{tensor: (K, *its shape)} -> (K, *shape)``."""
        return applied(self.terms, values)


@dataclass(frozen=True, eq=False)
class Decision:
    """A node that is one of several pieces, and where that piece holds.

    Parameters
    ----------
    node : Node
    shape : tuple of int
        Shape of its first output.
    bounds : callable
        Makes them. Without any the piece holds everywhere, as far as the inputs go.
    unknown : str
        Why nobody can say where the piece holds; empty if somebody can.
    """

    node: Node
    shape: Shape
    bounds: Callable[[], tuple[Bounds, ...]]
    unknown: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the bounds made, as `Step` does."""
        return revived, (type(self), vars(self) | {"bounds": known(self.bounds)})


@dataclass(frozen=True, eq=False)
class LinearProgram:
    """The affine pieces between chosen inputs and outputs at one x.

    Parameters
    ----------
    inputs, outputs : {tensor name: shape}
        Columns of W follow the inputs in C order, rows the outputs.
    steps : tuple of Step
        In order: each after the steps that make what it reads.
    constants : {output name: value}
        Outputs that do not depend on the inputs at all.
    dtype : numpy.dtype
        Of the coefficients, and of W.
    decisions : tuple of Decision
        The nodes whose pieces depend on where x lies.
    """

    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    steps: tuple[Step, ...]
    constants: Mapping[str, Array]
    dtype: np.dtype[Any]
    decisions: tuple[Decision, ...] = ()

    @property
    def columns(self) -> int:
        """Number of input features."""
        return sum(prod(shape) for shape in self.inputs.values())

    @property
    def rows(self) -> int:
        """Number of outputs."""
        return sum(prod(shape) for shape in self.outputs.values())

    @property
    def nnz(self) -> int:
        """Upper bound of the entries of all matrices: the multiplications of one sweep."""
        return sum(step.nnz for step in self.steps)

    def forward(self, x: Array, wanted: Collection[str] | None = None) -> dict[str, Array]:
        """Run the pieces at any x: ``(columns,) -> {tensor name: value}``, in x's precision.

        Parameters
        ----------
        wanted : collection of str, optional
            The tensors to return: the others are let go of on the way. By default all.
        """
        values = {name: x[at].reshape(self.inputs[name]) for name, at in slices(self.inputs)}
        found = forth(self.steps, values, Step.__call__, wanted)
        constants = self.constants.items()
        return found | {n: v for n, v in constants if wanted is None or n in wanted}

    def output(self, values: Mapping[str, Array]) -> Array:
        """Concatenate the outputs among tensor values: ``(rows,)``."""
        parts = [np.ravel(values[name]) for name in self.outputs]
        return np.concatenate([part.astype(np.float64) for part in parts])

    def gathered(self, values: Mapping[str, Array], k: int = 1) -> Array:
        """Concatenate what has arrived at the outputs, ``(k, rows)``; 0 where nothing has.

        Parameters
        ----------
        values : {tensor: array (k, *its shape)}
            Outputs that do not depend on what was sent may be left out.
        """
        kinds = [value.dtype for value in values.values()]
        found = np.zeros((k, self.rows), np.result_type(*kinds) if kinds else self.dtype)
        for name, at in slices(self.outputs):
            if name in values:
                found[:, at] = values[name].reshape(len(values[name]), at.stop - at.start)
        return found

    def pattern_key(self) -> str:
        """Name the activation pattern: equal keys, equal pieces, hence equal W and b."""
        digest = hashlib.sha256()
        for step in self.steps:
            if step.varies:
                digest.update(step.output.encode())
                for part in (*_arrays([op for _, op in step.terms]), *_arrays(step.bias)):
                    digest.update(f"{part.shape}{part.dtype.str}".encode())
                    digest.update(np.ascontiguousarray(part).tobytes())
        for name, value in self.constants.items():
            digest.update(f"{name}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
        return digest.hexdigest()


def _arrays(value: Any) -> Iterator[Array]:
    """Every array and number inside a map, in order of its fields, and the kind of the map."""
    # Arrays of rank 0 turn into NumPy scalars in arithmetic; where a box starts is a plain int.
    if isinstance(value, np.ndarray | np.generic | int | float):
        yield np.asarray(value)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _arrays(item)
    elif isinstance(value, LinearMap):
        yield np.asarray(type(value).__name__)
        for field in fields(value):
            yield from _arrays(getattr(value, field.name))
    elif hasattr(value, "indptr"):
        yield from (value.indptr, value.indices, value.data)


def slices(shapes: Mapping[str, Shape]) -> Iterator[tuple[str, slice]]:
    """Where each tensor lies when all are flattened and concatenated."""
    start = 0
    for name, shape in shapes.items():
        yield name, slice(start, start + prod(shape))
        start += prod(shape)
