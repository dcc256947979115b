"""Functions of NumPy on whole arrays as nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import ascii_letters
from typing import Any

import numpy as np

from onnxlin.lowering.traced import (
    FUNCTIONS,
    NotStaticError,
    Shape,
    Traced,
    astype,
    emit,
    emitter_of,
    example,
    reshaped,
    tensor,
    transposed,
    wrap,
)


def stands_for(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function under NumPy's own."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for original in functions:
            FUNCTIONS[original] = function
        return function

    return register


def _axes(axis: Any, ndim: int) -> Shape:
    if axis is None:
        return tuple(range(ndim))
    given = (axis,) if isinstance(axis, int | np.integer) else tuple(axis)
    return tuple(int(a) % ndim for a in given)


def _reduction(function: Any, op_type: str) -> None:
    def reduce(
        x: Any, axis: Any = None, dtype: Any = None, out: None = None, **options: Any
    ) -> Any:
        keepdims = bool(options.pop("keepdims", False))
        floor = options.pop("initial", None)
        axes = _axes(axis, x.ndim)
        if not all(x.shape[a] for a in axes):
            # What nothing adds up to is known, and not all runtimes know it.
            start = {} if floor is None else {"initial": floor}
            return function(np.zeros(x.shape, x.dtype), axis=axis, keepdims=keepdims, **start)
        value = (
            function(x.example, axis=axis, dtype=dtype, keepdims=keepdims)
            if dtype
            else (function(x.example, axis=axis, keepdims=keepdims))
        )
        value = np.asarray(value)
        graph = x.emitter
        kind = value.dtype
        if not axes:
            return wrap(graph, tensor(graph, x, kind), value)
        name = graph(op_type, tensor(graph, x, kind), graph.ints(axes), keepdims=int(keepdims))
        found = wrap(graph, name, value)
        if floor is None or op_type not in ("ReduceMax", "ReduceMin"):
            return found
        return (np.maximum if op_type == "ReduceMax" else np.minimum)(found, floor)

    FUNCTIONS[function] = reduce


for _function, _op_type in {
    np.sum: "ReduceSum",
    np.mean: "ReduceMean",
    np.prod: "ReduceProd",
    np.max: "ReduceMax",
    np.min: "ReduceMin",
}.items():
    _reduction(_function, _op_type)


@stands_for(np.any)
def _any(x: Any, axis: Any = None, **options: Any) -> Any:
    keepdims = bool(options.get("keepdims", False))
    return np.max(astype(x, np.int32), axis=axis, keepdims=keepdims) > 0


@stands_for(np.all)
def _all(x: Any, axis: Any = None, **options: Any) -> Any:
    return ~np.any(~x, axis=axis, **options)


def _arg(function: Any, op_type: str) -> None:
    def find(x: Any, axis: int | None = None, **options: Any) -> Any:
        if axis is None:
            return function(x.ravel(), axis=0)
        keepdims = bool(options.get("keepdims", False))
        value = function(x.example, axis=axis, keepdims=keepdims)
        name = x.emitter(op_type, x.name, axis=int(axis) % x.ndim, keepdims=int(keepdims))
        return wrap(x.emitter, name, value)

    FUNCTIONS[function] = find


_arg(np.argmax, "ArgMax")
_arg(np.argmin, "ArgMin")


@stands_for(np.where)
def _where(condition: Any, a: Any = None, b: Any = None) -> Any:
    if a is None or b is None:
        raise NotStaticError("the number of entries depends on the values at x")
    value = np.where(example(condition), example(a), example(b))
    if not isinstance(condition, Traced):
        # A mask that is known and the same everywhere chooses one side as a whole.
        for side, chosen in ((a, np.all(condition)), (b, not np.any(condition))):
            if chosen and isinstance(side, Traced) and side.shape == value.shape:
                return astype(side, value.dtype)
    graph = emitter_of(condition, a, b)
    sides = [tensor(graph, side, value.dtype) for side in (a, b)]
    return wrap(graph, graph("Where", tensor(graph, condition, bool), *sides), value)


@stands_for(np.clip)
def _clip(x: Any, low: Any, high: Any) -> Any:
    above = x if low is None else np.maximum(x, low)
    return above if high is None else np.minimum(above, high)


@stands_for(np.isneginf)
def _isneginf(x: Any) -> Any:
    return x == -np.inf


@stands_for(np.broadcast_to)
def _broadcast_to(x: Any, shape: Any) -> Any:
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if shape == x.shape:
        return x
    name = x.emitter("Expand", x.name, x.emitter.ints(shape))
    return Traced(x.emitter, name, np.broadcast_to(x.example, shape))


@stands_for(np.broadcast_arrays)
def _broadcast_arrays(*arrays: Any) -> tuple[Any, ...]:
    shape = np.broadcast_shapes(*(np.shape(a) for a in arrays))
    return tuple(np.broadcast_to(a, shape) for a in arrays)


@stands_for(np.reshape)
def _reshape(x: Any, shape: Any) -> Any:
    return x.reshape(shape)


@stands_for(np.ravel)
def _ravel(x: Any) -> Any:
    return x.ravel()


@stands_for(np.transpose)
def _transpose(x: Any, axes: Any = None) -> Any:
    return x.transpose(axes)


@stands_for(np.swapaxes)
def _swapaxes(x: Any, a: int, b: int) -> Any:
    order = list(range(x.ndim))
    order[a], order[b] = order[b], order[a]
    return transposed(x, tuple(order))


@stands_for(np.moveaxis)
def _moveaxis(x: Any, source: Any, target: Any) -> Any:
    sources, targets = _axes(source, x.ndim), _axes(target, x.ndim)
    left = [axis for axis in range(x.ndim) if axis not in sources]
    for where, axis in sorted(zip(targets, sources, strict=True)):
        left.insert(where, axis)
    return transposed(x, tuple(left))


@stands_for(np.expand_dims)
def _expand_dims(x: Any, axis: Any) -> Any:
    return reshaped(x, np.expand_dims(x.example, axis).shape)


@stands_for(np.squeeze)
def _squeeze(x: Any, axis: Any = None) -> Any:
    return reshaped(x, np.squeeze(x.example, axis).shape)


@stands_for(np.concatenate)
def _concatenate(arrays: Sequence[Any], axis: int = 0) -> Any:
    value = np.concatenate([example(a) for a in arrays], axis=axis)
    # Some runtimes fail at tensors of no entries.
    some = [a for a in arrays if np.size(example(a))] or list(arrays[:1])
    if not any(isinstance(a, Traced) for a in some):
        return value
    if len(some) == 1:
        return some[0].astype(value.dtype)
    return emit("Concat", some, value, axis=int(axis) % value.ndim)


@stands_for(np.stack)
def _stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    return np.concatenate([np.expand_dims(a, axis) for a in arrays], axis=axis)


@stands_for(np.cumsum)
def _cumsum(x: Any, axis: int) -> Any:
    value = np.cumsum(x.example, axis=axis)
    name = x.emitter("CumSum", tensor(x.emitter, x, value.dtype), x.emitter.ints(axis))
    return wrap(x.emitter, name, value)


@stands_for(np.cumprod)
def _cumprod(x: Any, axis: int) -> Any:
    """Product of products, each step of twice as many factors: few nodes on a long axis, too.

    Source: Hillis, Steele, "Data parallel algorithms", CACM 29(12), 1986.
    """
    turned = np.moveaxis(x, axis, -1)
    step = 1
    while step < turned.shape[-1]:
        further = turned[..., step:] * turned[..., :-step]
        turned = np.concatenate([turned[..., :step], further], axis=-1)
        step *= 2
    return np.moveaxis(turned, -1, axis)


@stands_for(np.einsum)
def _einsum(*arguments: Any, optimize: bool = False) -> Any:
    """Operands and the numbers of their axes by turns, the numbers of the result's axes last."""
    operands, numbers = arguments[:-1:2], arguments[1::2]
    sides = ["".join(ascii_letters[n] for n in each) for each in (*numbers, arguments[-1])]
    value = np.einsum(*(example(argument) for argument in arguments))
    return emit("Einsum", operands, value, equation=f"{','.join(sides[:-1])}->{sides[-1]}")


@stands_for(np.zeros_like)
def _zeros_like(x: Any, dtype: Any = None) -> Any:
    return np.zeros(x.shape, x.dtype if dtype is None else dtype)


@stands_for(np.ones_like)
def _ones_like(x: Any, dtype: Any = None) -> Any:
    return np.ones(x.shape, x.dtype if dtype is None else dtype)


@stands_for(np.full_like)
def _full_like(x: Any, fill: Any, dtype: Any = None) -> Any:
    return np.full(x.shape, fill, x.dtype if dtype is None else dtype)


@stands_for(np.shape)
def _shape(x: Any) -> Shape:
    return x.shape


@stands_for(np.ndim)
def _ndim(x: Any) -> int:
    return x.ndim


@stands_for(np.size)
def _size(x: Any) -> int:
    return x.size


@stands_for(np.result_type)
def _result_type(*values: Any) -> np.dtype[Any]:
    return np.result_type(*(example(value) for value in values))


@stands_for(np.copy)
def _copy(x: Any) -> Any:
    return x
