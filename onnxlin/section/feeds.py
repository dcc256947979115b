"""From what a caller gives as x to what the model is fed, or an error that says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnxlin.errors import InputError, OptionError
from onnxlin.graph import Array, Graph, TensorType
from onnxlin.section.frames import unframed
from onnxlin.section.numbers import all_finite, as_array, entry, fitted

NUMBERED = re.compile(r"Instance (\d+): (.*)", re.DOTALL)
Instance = npt.ArrayLike | Mapping[str, npt.ArrayLike]

PLAIN = {
    int(onnx.helper.np_dtype_to_tensor_dtype(dtype)): dtype
    for dtype in map(np.dtype, (np.float32, np.float64, np.int32, np.int64))
}
"""Element types of which arrays of one of NumPy's own types fit as they are."""


def make_feeds(
    x: Instance, inputs: Mapping[str, TensorType], held: Collection[str] = ()
) -> dict[str, Array]:
    """Check x against the model's inputs and bring it to their dtypes.

    Parameters
    ----------
    x : array, or {input name: array}
        A bare array serves a model with one input.
    held : names
        Inputs that are not linearised: these may hold infinities, as attention masks do.

    Raises
    ------
    InputError
        A name, shape, dtype or value does not fit.
    """
    plain = _plain(x, inputs)
    if plain is not None:
        return plain
    given = _named(x, inputs)
    feeds = {name: _tensor(name, given[name], kind) for name, kind in inputs.items()}
    for name, kind in inputs.items():
        if kind.is_float:
            _check_finite(name, given[name], feeds[name], held=name in held)
    return feeds


def _plain(x: Instance, inputs: Mapping[str, TensorType]) -> dict[str, Array] | None:
    """Copy arrays that fit as they are; None where one does not, or takes a closer look.

    Nearly every x does, and what follows would take as long as a small net's map.
    """
    given: Any = x
    named = type(x) is dict
    if given.keys() != inputs.keys() if named else len(inputs) != 1:
        return None
    feeds = {}
    for name, kind in inputs.items():
        value, plain = given[name] if named else given, PLAIN.get(kind.elem_type)
        if plain is None or type(value) is not np.ndarray or value.dtype is not plain:
            return None
        if not (_fits(value.shape, kind) and (plain.kind != "f" or all_finite(value))):
            return None
        feeds[name] = value.copy()
    return feeds


def completed(x: Instance, graph: Graph) -> Instance:
    """Take a frame apart, and add the values that the file has for inputs which x leaves out."""
    x = unframed(x, graph.inputs, graph.features)
    if not graph.defaults:
        return x
    needed = [name for name in graph.inputs if name not in graph.defaults]
    if not isinstance(x, Mapping) and len(needed) == 1:
        x = {needed[0]: x}
    return {**graph.defaults, **x} if isinstance(x, Mapping) else x


def named_beside(x: Instance | None, graph: Graph) -> frozenset[str]:
    """Names that x gives of the inputs for which the file has a value."""
    return frozenset(x).intersection(graph.optional) if isinstance(x, Mapping) else frozenset()


def stack_feeds(
    xs: Sequence[Instance],
    inputs: Mapping[str, TensorType],
    held: Collection[str] = (),
    start: int = 0,
) -> dict[str, Array]:
    """Bring instances to the model's dtypes as `make_feeds` does, put together on axis 0.

    Parameters
    ----------
    xs, inputs, held
        As for `make_feeds`, but several x.
    start : int
        Number of the first one, for the message.

    Raises
    ------
    InputError
        A name, shape, dtype or value of one of them does not fit.
    """
    given = [_named(x, inputs) for x in xs]
    with instance(start):
        first = make_feeds(xs[0], inputs, held)
    alike = all(
        isinstance(x[name], np.ndarray)
        and (x[name].shape, x[name].dtype) == (given[0][name].shape, given[0][name].dtype)
        for x in given
        for name in inputs
    )
    if alike:
        stack = _stack(given, first)
        floats = [name for name, kind in inputs.items() if kind.is_float]
        if stack is not None and all(all_finite(stack[name]) for name in floats):
            return stack
    feeds = []
    for i, x in enumerate(xs, start):
        with instance(i):
            feeds.append(make_feeds(x, inputs, held))
    return {name: np.concatenate([fed[name] for fed in feeds]) for name in inputs}


def _stack(
    given: Sequence[Mapping[str, Any]], first: Mapping[str, Array]
) -> dict[str, Array] | None:
    """Put alike arrays together; None where one of them holds what does not fit."""
    try:
        return {
            n: fitted("The stack", np.concatenate([x[n] for x in given]), v.dtype)
            for n, v in first.items()
        }
    except InputError:
        return None  # which instance it was is found one by one


@contextmanager
def instance(i: int) -> Iterator[None]:
    """Let an `InputError` say which of several instances it is about."""
    try:
        yield
    except InputError as error:
        raise InputError(f"Instance {i}: {error}") from error


@contextmanager
def numbered_from(start: int) -> Iterator[None]:
    """Let errors of a part of a stack name their instances as in the whole one."""
    try:
        yield
    except InputError as error:
        found = NUMBERED.fullmatch(str(error))
        if found is None or not start:
            raise
        raise InputError(f"Instance {int(found[1]) + start}: {found[2]}") from error


def _named(x: Instance, inputs: Mapping[str, TensorType]) -> dict[str, Any]:
    if not isinstance(x, Mapping):
        if len(inputs) != 1:
            raise InputError(
                f"x is one array, but the model has {len(inputs)} inputs. Give a dict with all of "
                f"them: {_listed(inputs)}."
            )
        return {next(iter(inputs)): x}
    unknown, missing = sorted(map(str, set(x) - set(inputs))), [n for n in inputs if n not in x]
    if unknown or missing:
        raise InputError(
            f"x names {unknown or 'no'} unknown and lacks {missing or 'no'} needed inputs; the "
            f"model's inputs are {_listed(inputs)}."
        )
    return dict(x)


def _listed(inputs: Mapping[str, TensorType]) -> str:
    return "{" + ", ".join(f"{name!r}: {kind}" for name, kind in inputs.items()) + "}"


def _tensor(name: str, value: Any, kind: TensorType) -> Array:
    unfed = unfeedable({name: kind})
    if unfed:
        raise InputError(unfed)
    what = f"Input {name!r}"
    array = as_array(what, value)
    if kind.shape is not None:
        _check_shape(name, array, kind)
    return fitted(what, array, kind.dtype)


def unfeedable(inputs: Mapping[str, TensorType]) -> str | None:
    """Say why no instance can be given for some inputs; None if each takes an array."""
    bad = [name for name, kind in inputs.items() if not kind.elem_type]
    if not bad:
        return None
    return (
        f"Input {bad[0]!r} is no tensor but a sequence, map or optional, or says no type; onnxlin "
        "feeds tensors only. Cut the model behind it, or give the input the type of a tensor."
    )


def _check_finite(name: str, given: Any, cast: Array, *, held: bool) -> None:
    if all_finite(cast):
        return
    wide = as_array(f"Input {name!r}", given).astype(np.float64)
    bad = np.isnan(wide) if held else ~np.isfinite(wide)
    if bad.any():
        raise InputError(
            f"Input {name!r} holds {np.count_nonzero(bad)} NaN or infinite values; a map exists at "
            f"finite x only. {entry(wide, bad)}. Clean or impute them first."
        )


def _check_shape(name: str, array: Array, kind: TensorType) -> None:
    assert kind.shape is not None
    if _fits(array.shape, kind):
        return
    hint = ""
    if array.ndim + 1 == len(kind.shape):
        hint = " A batch axis seems to be missing: give x[None]."
    elif array.ndim == 4 and len(kind.shape) == 4 and array.shape[-1] == kind.shape[1]:
        hint = " The channel axis seems to be last: give x.transpose(0, 3, 1, 2)."
    raise InputError(f"Input {name!r} has shape {array.shape}; the model takes {kind}.{hint}")


def _fits(shape: tuple[int, ...], kind: TensorType) -> bool:
    """Whether an input takes arrays of this shape."""
    if kind.shape is None or shape == kind.shape:
        return True
    pairs = zip(shape, kind.shape, strict=False)
    return len(shape) == len(kind.shape) and all(n == m for n, m in pairs if isinstance(m, int))


def instances(
    xs: Instance, inputs: Mapping[str, TensorType], features: Sequence[str] = ()
) -> list[Instance]:
    """Cut a stack, or a frame's rows, apart: N on axis 0, a batch axis of 1 dropped or not.

    Raises
    ------
    InputError
        There is no axis 0, or the stacks are of different lengths.
    """
    xs = unframed(xs, inputs, features)
    if not isinstance(xs, Mapping):
        given = _named(xs, inputs)
        name = next(iter(inputs))
        return [_with_batch(x, inputs[name]) for x in _stacked("xs", given[name])]
    if not xs:
        _named(xs, inputs)
    stacks = {name: _stacked(f"xs[{name!r}]", value) for name, value in xs.items()}
    lengths = {name: len(stack) for name, stack in stacks.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"The inputs hold different numbers of instances: {lengths}.")
    unknown = TensorType(1, None)
    return [
        {name: _with_batch(stack[i], inputs.get(name, unknown)) for name, stack in stacks.items()}
        for i in range(next(iter(lengths.values()), 0))
    ]


def _stacked(what: str, value: Any) -> Array:
    array = as_array(what, value)
    if not array.ndim:
        raise InputError(f"{what} is one {array.dtype} value; stack instances on axis 0.")
    return array


def _with_batch(x: Any, kind: TensorType) -> Array:
    x = np.asarray(x)  # entries of a row of text, say, are none
    return x[None] if kind.shape is not None and x.ndim + 1 == len(kind.shape) else x


DTYPES = (np.float32, np.float64)


def read_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Read the ``dtype`` argument of a map."""
    try:
        asked = np.dtype(dtype)
    except TypeError:
        asked = None
    if asked not in DTYPES:
        raise OptionError(f"dtype={dtype!r}; expected float32 or float64.")
    return asked


def flattened(tensors: Mapping[str, Array]) -> Array:
    """Concatenate tensors in C order, in float64: ``(n,)``."""
    parts = [np.asarray(value, dtype=np.float64).ravel() for value in tensors.values()]
    return np.concatenate(parts)
