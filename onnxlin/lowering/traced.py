"""Arrays that write down what is done to them: rules run on them as they run on NumPy's.

A traced array stands for a tensor of the graph and carries its value at one example x. NumPy hands
every function and operator that meets one to this module (NEP 13 and NEP 18), which adds nodes to
the graph and computes the example's value beside it. So shapes and types need no inference of
their own, and what a rule decides from *values* (a branch, a size) is an error and never an
accident of the example. Nothing depends on how large its floats are, so that many of them are held
as one (`hollow`).

*Traced* here says how an array is held: as a tensor of a graph instead of numbers. What rules call
a traced operand is another matter, whether x moves it; the interpreters of NumPy have those, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.lowering.emitter import Array, Emitter
from onnxlin.lowering.peephole import as_number

Shape = tuple[int, ...]


class NotStaticError(Exception):
    """A rule asked a traced array for what only a run can tell."""


class NoSuchMethodError(NotStaticError, AttributeError):
    """A rule asked a traced array for a method of NumPy's arrays that it does not have."""


UFUNCS: dict[Any, Callable[..., Any]] = {}
"""NumPy or SciPy ufunc -> function of (emitter, *operands); `onnxlin.lowering.ufuncs` fills it."""

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""NumPy function -> function with the same arguments; `onnxlin.lowering.functions` fills it."""


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """A tensor of a graph in the making.

    Parameters
    ----------
    emitter : Emitter
    name : str
        Of the tensor.
    example : array
        Its value at the example x, or, of many floats, anything of that shape and type.
    """

    def __init__(self, emitter: Emitter, name: str, example: Array) -> None:
        self.emitter = emitter
        self.name = name
        self.example = hollow(example)
        emitter.shapes[name] = example.shape
        emitter.kinds[name] = example.dtype

    def __repr__(self) -> str:
        return f"<Traced {self.name} {self.dtype}{list(self.shape)}>"

    # What NumPy's protocols ask for

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        # ``a += b`` asks for the result in a itself; a new array under a's name does as well.
        if options.get("out", (None,))[0] is inputs[0]:
            del options["out"]
        if method != "__call__" or options or ufunc not in UFUNCS:
            raise NotStaticError(f"numpy.{ufunc.__name__} ({method}) has no form in a graph")
        return UFUNCS[ufunc](*inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function not in FUNCTIONS:
            raise NotStaticError(f"numpy.{function.__name__} has no form in a graph")
        return FUNCTIONS[function](*args, **options)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise NotStaticError("a decision depends on the values at x")

    __array__ = _refuse
    __bool__ = _refuse
    __int__ = _refuse
    __float__ = _refuse
    __index__ = _refuse
    __setitem__ = _refuse
    __iter__ = _refuse
    item = tolist = nonzero = tobytes = _refuse
    __hash__ = object.__hash__

    # Facts that do not depend on x

    @property
    def shape(self) -> Shape:
        """Shape, known before any run."""
        return self.example.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        return self.example.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.example.ndim

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.example.size

    def __len__(self) -> int:
        return len(self.example)

    # Methods of NumPy's arrays

    def astype(self, dtype: npt.DTypeLike, copy: bool = True) -> Traced:
        """Bring to another element type."""
        return astype(self, dtype)

    def reshape(self, *shape: Any) -> Traced:
        """Give another shape; one entry may be -1."""
        return reshaped(self, self.example.reshape(*shape).shape)

    def ravel(self) -> Traced:
        """Make one axis of all."""
        return reshaped(self, (self.size,))

    def transpose(self, *axes: Any) -> Traced:
        """Permute the axes, reverse them if none are given."""
        order: Sequence[int] = range(self.ndim)[::-1]
        if axes and axes[0] is not None:
            order = np.ravel(axes).tolist()
        return transposed(self, tuple(int(axis) % self.ndim for axis in order))

    @property
    def T(self) -> Traced:  # noqa: N802  # NumPy's name
        """All axes in reverse order."""
        return self.transpose()

    def __getitem__(self, key: Any) -> Traced:
        return FUNCTIONS["getitem"](self, key)

    def __getattr__(self, name: str) -> Any:
        # sum, mean, max, ...: NumPy has each of these as a function too.
        function = FUNCTIONS.get(getattr(np, name, None))
        if function is None or name.startswith("_"):
            raise NoSuchMethodError(f"a traced array has no {name!r}")
        return lambda *args, **options: function(self, *args, **options)


# Bytes of an example from which on it is worth holding none of them.
MUCH = 2**16


def hollow(array: Array) -> Array:
    """An array of the same shape and type without the memory, where that is much: of floats, ones.

    A graph's coefficients together are as large as several runs of the model.
    """
    if array.nbytes < MUCH or array.dtype.kind != "f":
        return array
    return np.broadcast_to(np.ones((), array.dtype), array.shape)


def is_traced(value: Any) -> bool:
    """Whether this is a traced array, and not one of NumPy's."""
    return isinstance(value, Traced)


def example(value: Any) -> Any:
    """Value at the example x of anything; arrays that are not traced are their own."""
    return value.example if isinstance(value, Traced) else value


def emitter_of(*values: Any) -> Emitter:
    """Return the graph that traced arrays among values belong to."""
    return next(value.emitter for value in values if isinstance(value, Traced))


def tensor(emitter: Emitter, value: Any, dtype: npt.DTypeLike) -> str:
    """Name the tensor of a traced array, an array or a number, in an element type."""
    dtype = emitter.computed_in(dtype)
    if isinstance(value, Traced):
        return emitter.cast(value.name, emitter.computed_in(value.dtype), dtype)
    array = np.asarray(value)
    return emitter.constant(array if array.dtype == dtype else array.astype(dtype))


def wrap(emitter: Emitter, name: str, value: Any) -> Traced:
    """Make a traced array of a tensor; floats of the example take the graph's type."""
    array = np.asarray(value)
    return Traced(emitter, name, array.astype(emitter.computed_in(array.dtype), copy=False))


def emit(op_type: str, operands: Sequence[Any], value: Any, **attributes: Any) -> Traced:
    """Add a node whose operands all have the element type of its result."""
    graph = emitter_of(*operands)
    names = [tensor(graph, operand, np.asarray(value).dtype) for operand in operands]
    return wrap(graph, graph(op_type, *names, **attributes), value)


def astype(x: Traced, dtype: npt.DTypeLike) -> Traced:
    """Bring to another element type; all floats have one in a graph."""
    graph, kind = x.emitter, x.emitter.computed_in(dtype)
    number = as_number(graph, x.name) if x.dtype == bool and kind == graph.dtype else None
    with np.errstate(all="ignore"):  # what does not fit there may well fit elsewhere
        value = x.example.astype(kind)
    return Traced(graph, number or tensor(graph, x, kind), value)


def reshaped(x: Traced, shape: Shape) -> Traced:
    """The same entries under another shape."""
    if shape == x.shape:
        return x
    name = x.emitter("Reshape", x.name, x.emitter.ints(shape), allowzero=1)
    return Traced(x.emitter, name, x.example.reshape(shape))


def transposed(x: Traced, order: Shape) -> Traced:
    """Permute the axes."""
    if order == tuple(range(x.ndim)):
        return x
    return Traced(x.emitter, x.emitter.permuted(x.name, order), x.example.transpose(order))
