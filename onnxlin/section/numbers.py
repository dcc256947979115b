"""Numbers as a caller gives them, brought to a type: none changed but by rounding, or an error.

This is the one place that decides what fits; whatever reads numbers for a model asks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.errors import InputError
from onnxlin.graph import Array, is_float

REAL = "fiu"
# Entries of which a copy costs nothing.
FEW = 2**13
LONGEST = 40  # characters of an entry that are repeated in a message


def as_array(what: str, given: Any) -> Array:
    """Read nested lists, an array, or whatever can become one; Python numbers as numbers.

    Parameters
    ----------
    what : str
        What it is, to begin the message with: "Input 'x'".

    Raises
    ------
    InputError
    """
    try:
        array = np.asarray(given)
        # A column of a data frame, say: numbers that are wrapped one by one.
        wrapped = array.dtype.kind == "O" and array.size and all(map(is_number, array.ravel()))
        return np.asarray(array.tolist()) if wrapped else array
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{what} is no array: {error}.") from error


def is_number(value: Any) -> bool:
    """Whether this is one real number; True and False are none."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def fitted(what: str, given: Any, dtype: npt.DTypeLike) -> Array:
    """Copy to a dtype, in C order: floats are rounded to it, and nothing else may change.

    Raises
    ------
    InputError
        It names an entry that is text, has an imaginary part, is no whole number where only those
        are taken, or is too large.
    """
    array, wanted = as_array(what, given), np.dtype(dtype)
    if array.dtype == wanted and wanted.kind != "O":
        return array.copy()
    _require_kind(what, array, wanted)
    if wanted.kind in "iub":
        _require_whole(what, array, wanted)
    with np.errstate(over="ignore", under="ignore"):
        cast: Array = np.ascontiguousarray(array.astype(wanted)).reshape(array.shape)
    if is_float(wanted):
        _require_range(what, array, cast)
    return cast


def real(what: str, given: Any) -> Array:
    """Read real, finite numbers: float64, of the shape given.

    Raises
    ------
    InputError
        It names an entry that is text, has an imaginary part, is NaN or infinite.
    """
    array = as_array(what, given)
    if array.dtype.kind != "b":  # a mask is 0 and 1
        _require_kind(what, array, np.dtype(np.float64))
    wide: Array = array.astype(np.float64)
    bad = ~np.isfinite(wide)
    if bad.any():
        raise InputError(
            f"{what} holds {np.count_nonzero(bad)} NaN or infinite values; finite numbers are "
            f"needed. {entry(array, bad)}."
        )
    return wide


def all_finite(array: Array) -> bool:
    """Whether there is neither NaN nor infinity, in any float type that NumPy or an add-on has."""
    native = array if array.dtype.kind == "f" else array.astype(np.float64)
    # As bytes a few are looked through in a fifth of the time that a reduction takes to start.
    each = np.isfinite(native)
    return b"\0" not in each.tobytes() if each.size <= FEW else bool(each.all())


def entry(array: Array, bad: Array) -> str:
    """Say where the first of the bad entries is, and what: "Entry [0, 3] is 1.5"."""
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    value = array[at]
    value = value.item() if isinstance(value, np.generic) else value
    shown = repr(value)
    shown = shown if len(shown) <= LONGEST else shown[: LONGEST - 3] + "..."
    return f"Entry {list(at)} is {shown}" if at else f"It is {shown}"


def _require_kind(what: str, array: Array, wanted: np.dtype[Any]) -> None:
    """Numbers go into numbers, text into text, anything else only into its own kind."""
    found = array.dtype
    if wanted.kind == "O":
        bad = np.array([not isinstance(v, str) for v in array.ravel()], dtype=bool)
        why = ", which is no text"
    else:
        takes = (wanted.kind in "iub" and wanted.isbuiltin == 1) or is_float(wanted)
        if found == wanted or (takes and (found.kind in REAL or is_float(found))):
            return
        bad, why = _no_numbers(array) if takes else (np.zeros(array.shape, bool), "")
    if bad.any():
        raise InputError(
            f"{what} has dtype {found}; the model takes {wanted}. "
            f"{entry(array, bad.reshape(array.shape))}{why}."
        )
    if wanted.kind != "O":
        raise InputError(f"{what} has dtype {found}; the model takes {wanted}.")


def _no_numbers(array: Array) -> tuple[Array, str]:
    """Mark the entries that are no real numbers, and say what they are."""
    if array.dtype.kind == "c":
        lost: Array = array.imag != 0
        return (lost if lost.any() else np.ones(array.shape, bool)), ": give real numbers"
    none = np.array([not is_number(value) for value in array.ravel()], dtype=bool)
    return none.reshape(array.shape), ", which is no number"


def _require_whole(what: str, array: Array, wanted: np.dtype[Any]) -> None:
    """Raise unless every entry is a whole number that the type has."""
    low, high = (0, 1) if wanted.kind == "b" else (np.iinfo(wanted).min, np.iinfo(wanted).max)
    if array.dtype.kind not in "iu":
        wide = array.astype(np.float64)
        broken = wide != np.floor(wide)  # NaN is, too
        if broken.any() or np.isinf(wide).any():
            bad = broken | np.isinf(wide)
            raise InputError(
                f"{what} has dtype {array.dtype}; the model takes {wanted}. "
                f"{entry(array, bad)}, which is no whole number."
            )
        # The largest number itself may not be a float; the next one is a power of 2.
        bad = (wide < low) | (wide >= high + 1)
    elif not array.size or (int(array.min()) >= low and int(array.max()) <= high):
        return
    else:
        bad = np.array([not low <= int(v) <= high for v in array.ravel()]).reshape(array.shape)
    if bad.any():
        raise InputError(
            f"{what} does not fit the model's {wanted}, which goes from {low} to {high}. "
            f"{entry(array, bad)}."
        )


def _require_range(what: str, array: Array, cast: Array) -> None:
    """Raise where a finite number has become infinite."""
    native = cast if cast.dtype.kind == "f" else cast.astype(np.float64)
    if np.isfinite(native).all():
        return
    wide = array.astype(np.float64)
    bad = np.isfinite(wide) & ~np.isfinite(native)
    if bad.any():
        raise InputError(
            f"{what} overflows the model's {cast.dtype}; scale it down. {entry(array, bad)}."
        )


def flat(
    what: str, given: Any, shapes: Mapping[str, tuple[int, ...]], *, one: bool = False
) -> Array:
    """Read numbers for the inputs of a map as one vector, ``(n_in,)``, float64.

    Parameters
    ----------
    what : str
        What they are, to begin the message with.
    given : array, or {input name: array}
        Of the inputs' shapes, axes of length 1 aside, or flattened.
    shapes : {input name: shape}
    one : bool
        Whether one number may stand for all of them.

    Raises
    ------
    InputError
        A name, a shape or a number does not fit.
    """
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    if isinstance(given, Mapping):
        if set(given) != set(shapes):
            raise InputError(
                f"{what} names {sorted(map(str, given))}; the map starts at {sorted(shapes)}. Give "
                "those, with their shapes."
            )
        parts = [flat(f"{what}, {n!r},", given[n], {n: shapes[n]}, one=one) for n in shapes]
        return np.concatenate(parts) if parts else np.zeros(0)
    array, size = real(what, given), sum(sizes.values())
    if one and not array.ndim:
        return np.full(size, array)
    if array.size != size:
        raise InputError(
            f"{what} has {array.size} entries; the map takes {size}. Give an array of the input's "
            f"shape{', or one number' * one}: {shapes}."
        )
    whole = [tuple(n for n in shape if n != 1) for shape in shapes.values()]
    tight = tuple(n for n in array.shape if n != 1)
    # Entries in another order would be taken for those at their places.
    if len(tight) > 1 and whole != [tight]:
        raise InputError(
            f"{what} has the shape {array.shape}; the map takes {shapes}. Give that shape, or the "
            "entries flattened in its order."
        )
    return array.ravel()
