"""Arrays and tables for a model that takes pictures: pixels of 0 to 255, or prepared already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from onnxlin.errors import InputError
from onnxlin.graph import Array, TensorType
from onnxlin.graph.picture import guess_geometry
from onnxlin.inputs.geometry import find_geometry
from onnxlin.inputs.preprocessing import Preprocessing

# Prepared numbers may lie a little past what pixels become: noise was added, say. Numbers of a
# picture that were not whole (it was resized) go far past it where they were not prepared.
NEAR, FAR = 0.25, 32
BRIGHTEST = 255
LEVELS = 16
"""Whole numbers up to here may be anything: classes, counts, grey of few levels."""
RAW = (
    "these look like raw pixels, whole numbers of up to 255, and are taken as they are: if the "
    "model was trained on scaled ones, say --scale 1/255 (and --mean, --std)"
)
FORMULA = ("scale", "mean", "std")
OUT = "Say --scale 1 --mean 0 --std 1 to take them as they are, or --scale 1/255 and the like."


@dataclass(frozen=True)
class Arrays:
    """How the numbers of an array or a table are taken.

    Parameters
    ----------
    how : Preprocessing, optional
        What the caller asked for, over what the model's metadata says. None takes all as it is.
    pixels : bool, optional
        Whether they are pixels of 0 to 255; None lets the numbers tell.
    """

    how: Preprocessing | None = None
    pixels: bool | None = None

    def __call__(
        self, file: Path, name: str, kind: TensorType, array: Array, *, stack: bool = False
    ) -> tuple[Array, tuple[str, ...], bool | None]:
        """Return the numbers to feed, what was done to them, and whether they were pixels.

        Parameters
        ----------
        file, name, kind
            Where they come from, and the input that they are for.
        array : array
        stack : bool
            Whether axis 0 counts instances.

        Raises
        ------
        InputError
            An option is for picture files alone, or the numbers are neither pixels nor prepared.
        """
        how = self.how
        if how is None or array.dtype.kind not in "fiu":
            return array, (), None
        _require_formula(how, file)
        how = how.resolved(kind)
        asked = bool(how.asked & set(FORMULA))
        if not asked and (not how.told or how.is_nothing or not kind.is_float):
            raw = (
                kind.is_float
                and not how.told
                and _look_raw(array[0] if stack and len(array) else array)
            )
            return array, (RAW,) * raw, None
        pixels = True if asked else self.pixels
        if pixels is None:
            pixels = _are_pixels(how, file, array)
        said = how.formula
        if not pixels:
            return array, (f'taken as prepared: the model\'s "preprocessing" says {said}',), False
        parts = array if stack else array[None]
        done = (
            np.stack([_applied(how, name, kind, part) for part in parts]) if len(parts) else parts
        )
        whose = "as asked" if asked else 'as the model\'s "preprocessing" says'
        return (done if stack else done[0]), (f"taken as pixels, {whose}: {said}",), True


def _look_raw(array: Array) -> bool:
    """Whether the numbers of a picture are whole ones of 0 to 255, and not of a few levels."""
    if guess_geometry(array.shape) is None and guess_geometry((1, *array.shape)) is None:
        return False
    numbers = array.astype(np.float64)
    low, high = numbers.min(initial=np.inf), numbers.max(initial=-np.inf)
    # NaN is neither.
    return bool(low >= 0 and LEVELS < high <= BRIGHTEST and (numbers == np.floor(numbers)).all())


def _require_formula(how: Preprocessing, file: Path) -> None:
    useless = sorted(how.asked - {*FORMULA, "layout"})
    if useless or how.asked == {"layout"}:
        named = ", ".join(f"--{name}" for name in useless or how.asked)
        raise InputError(
            f"{named}: for picture files only; the numbers of {file.name} keep their order and "
            "number. Leave it out."
        )


def _are_pixels(how: Preprocessing, file: Path, array: Array) -> bool:
    """Tell by the numbers themselves.

    Raises
    ------
    InputError
        They can be neither.
    """
    if array.dtype == np.uint8:
        return True
    finite = array[np.isfinite(array)]
    low, high = (float(f(finite, initial=0.0)) for f in (np.min, np.max)) if finite.size else (0, 0)
    least, most = how.range
    span = most - least
    if least - NEAR * span <= low and high <= most + NEAR * span:
        return False
    if low < 0 or high > BRIGHTEST:
        return False
    if (finite == np.floor(finite)).all():
        return True
    if high <= most + FAR * span:
        return False
    raise InputError(
        f"{file.name} holds numbers from {low:g} to {high:g}; pixels are whole, and prepared as "
        f'the model\'s "preprocessing" says they lie between {least:g} and {most:g}. {OUT}'
    )


def _applied(how: Preprocessing, name: str, kind: TensorType, array: Array) -> Array:
    """``(pixel * scale - mean) / std``, channels in the order that they have."""
    # What is in the model's own order is not turned again.
    how = replace(how, channels=None)
    count = max(len(how.mean), len(how.std))
    if count == 1:
        found: Array = how.apply(array[..., None])[..., 0]
        return found
    shape = (
        array.shape if kind.shape is None or array.ndim >= len(kind.shape) else (1, *array.shape)
    )
    geometry = find_geometry(
        name, TensorType(kind.elem_type, shape), (1, 1, count), how.layout, count
    )
    picture = np.moveaxis(geometry.to_picture(array), 0, -1)
    return geometry.to_tensor(how.apply(picture)).reshape(array.shape)


def first(found: Iterable[bool | None]) -> bool | None:
    """Return the first that is known."""
    return next((each for each in found if each is not None), None)
