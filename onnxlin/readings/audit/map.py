"""A map from elsewhere: which features its numbers belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxlin.errors import InputError
from onnxlin.graph import Array
from onnxlin.primitives import Shape
from onnxlin.program.rates import unit_roundoff
from onnxlin.readings.judging.features import Features, features_of
from onnxlin.readings.question.question import Question
from onnxlin.section.numbers import as_array


@dataclass(frozen=True, eq=False)
class Foreign:
    """One number for each feature.

    Parameters
    ----------
    values : array (features.count,)
        Float64.
    features : Features
        The columns of W that each number stands for.
    assumed : str
        How the array was read.
    dtype : numpy.dtype
        That the numbers came in.
    """

    values: Array
    features: Features
    assumed: str
    dtype: np.dtype[np.generic]

    @property
    def unit(self) -> float:
        """Largest relative error of writing a number in that dtype."""
        return unit_roundoff(self.dtype)

    @property
    def spread(self) -> Array:
        """One number for each column of W: that of a feature is split evenly."""
        columns = np.bincount(self.features.labels, minlength=self.features.count)
        found: Array = (self.values / np.maximum(columns, 1))[self.features.labels]
        return found


def read_map(q: Question, given: npt.ArrayLike | Mapping[str, npt.ArrayLike]) -> Foreign:
    """Read an attribution for x in any of the usual shapes.

    Parameters
    ----------
    q : Question
    given : array, or {input name: array}
        Of the input's shape, with or without axes of length 1; flat; for a picture (height, width),
        summed over the channels, or with the channels at the other end; for an input of two axes
        one number for each entry of one of them, summed over the other.

    Raises
    ------
    InputError
        It is none of these, or holds NaN or infinities.
    """
    if isinstance(given, Mapping):
        return _named(q, given)
    array = as_array("The map", given)
    _require_numbers(array)
    for reader in (_as_x, _as_pixels, _as_turned, _as_axis):
        found = reader(q, array)
        if found is not None:
            values, features, assumed = found
            return Foreign(values.astype(np.float64).ravel(), features, assumed, array.dtype)
    shapes = ", ".join(f"{name!r} {shape}" for name, shape in q.m.shapes[0].items())
    raise InputError(
        f"The map has the shape {array.shape}; x has {shapes}. Give one number for each entry of "
        "x, flat or in its shape, or (height, width) for a picture."
    )


Read = tuple[Array, Features, str]


def _require_numbers(array: Array) -> None:
    if array.dtype.kind not in "fiu":
        raise InputError(f"The map has the dtype {array.dtype}; expected real numbers.")
    bad = np.count_nonzero(~np.isfinite(array))
    if bad:
        raise InputError(f"The map holds {bad} NaN or infinite values; nothing adds up with those.")


def _named(q: Question, given: Mapping[str, npt.ArrayLike]) -> Foreign:
    if set(given) != set(q.m.inputs):
        raise InputError(
            f"The map names {sorted(given)}; x has {sorted(q.m.inputs)}. Give one array for each."
        )
    parts = {name: as_array(f"The map of {name!r}", given[name]) for name in q.m.inputs}
    for name, part in parts.items():
        _require_numbers(part)
        if part.size != q.m.inputs[name].size:
            raise InputError(
                f"The map of {name!r} has the shape {part.shape}; x has {q.m.inputs[name].shape}."
            )
    flat = np.concatenate([part.ravel() for part in parts.values()])
    assumed = "one array for each input, in its order"
    return Foreign(flat.astype(np.float64), _entries(q), assumed, flat.dtype)


def _entries(q: Question) -> Features:
    return Features(np.arange(len(q.x)), len(q.x), "entries")


def _only(q: Question) -> Shape | None:
    """Shape of the only input."""
    shapes = list(q.m.shapes[0].values())
    return shapes[0] if len(shapes) == 1 else None


def _tight(shape: Shape) -> Shape:
    return tuple(n for n in shape if n != 1)


def _as_x(q: Question, array: Array) -> Read | None:
    shape = _only(q)
    if shape is not None and array.shape == shape:
        return array, _entries(q), "of the input's own shape"
    if shape is not None and array.ndim > 1 and _tight(array.shape) == _tight(shape):
        return array, _entries(q), f"{array.shape} as the input's {shape}: axes of 1 do not count"
    if array.ndim == 1 and array.size == len(q.x):
        return array, _entries(q), "flat, in the order of the input's entries"
    return None


def _as_pixels(q: Question, array: Array) -> Read | None:
    g = q.geometry
    if g is None or g.channels == 1 or _tight(array.shape) != _tight((g.height, g.width)):
        return None
    return array, features_of(q), f"(height, width): each number for all {g.channels} channels"


def _as_turned(q: Question, array: Array) -> Read | None:
    """Channels at the end where the input has them in front, or the other way round."""
    g = q.geometry
    if g is None:
        return None
    tight = np.squeeze(array)
    last, first = (g.height, g.width, g.channels), (g.channels, g.height, g.width)
    if g.layout == "nchw" and tight.shape == last:
        return g.to_tensor(tight), _entries(q), "channels last; turned to the input's order"
    if g.layout == "nhwc" and tight.shape == first:
        turned = g.to_tensor(np.moveaxis(tight, 0, -1))
        return turned, _entries(q), "channels first; turned to the input's order"
    return None


def _as_axis(q: Question, array: Array) -> Read | None:
    """One number for each step, summed over what the step holds."""
    shape = _tight(_only(q) or ())
    tight = _tight(array.shape)
    if len(shape) != 2 or len(tight) != 1 or tight[0] not in shape:
        return None
    if shape[0] == shape[1]:
        raise InputError(
            f"The map has {tight[0]} numbers and x {shape[0]} x {shape[1]}: which axis it was "
            "summed over cannot be told. Give one number for each entry of x."
        )
    axis = shape.index(tight[0])
    labels = np.indices(shape)[axis].ravel()
    text = f"one number for each of {tight[0]}, summed over the other axis of {shape}"
    return array, Features(labels, tight[0], "steps"), text
