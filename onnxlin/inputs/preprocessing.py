"""From pixel values 0 to 255 to what a model was trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from onnxlin.errors import InputError, ModelError, OptionError
from onnxlin.graph import Array, TensorType

KEY = "preprocessing"

CHOICES = {
    "channels": ("rgb", "bgr", "gray"),
    "layout": ("auto", "nchw", "nhwc"),
    "resize": ("fit", "crop", "none"),
    "resample": ("bilinear", "bicubic", "nearest", "lanczos", "box", "hamming"),
}


@dataclass(frozen=True)
class Preprocessing:
    """``(pixel * scale - mean) / std``, channel by channel.

    Parameters
    ----------
    scale : float, optional
        Pixels of 0 to 255 times this; by default 1/255, and 1 for an input that takes integers.
    mean, std : tuple of float
        One number, or one for each channel in the order in which the model gets them.
    channels : {"rgb", "bgr", "gray"}, optional
        By default gray for one channel, rgb for three.
    layout : {"auto", "nchw", "nhwc"}
    resize : {"fit", "crop", "none"}
        To the model's size: stretch; cover and cut the centre; or refuse.
    resample : {"bilinear", "bicubic", "nearest", "lanczos", "box", "hamming"}
        How pixels between pixels are made: Pillow's filters.
    edge : int, optional
        Before the centre is cut the shorter side becomes so many pixels.
    size : tuple of int, optional
        Height and width to cut or stretch to; by default the model's own, where it has one.
    asked : frozenset of str
        Which of these the caller named.
    told : bool
        Whether the model's metadata has a say.
    """

    scale: float | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    channels: str | None = None
    layout: str = "auto"
    resize: str = "crop"
    resample: str = "bilinear"
    edge: int | None = None
    size: tuple[int, ...] | None = None
    asked: frozenset[str] = field(default=frozenset(), compare=False)
    told: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in (*choices, None):
                raise OptionError(f"{name}={value!r}; expected one of {list(choices)}.")
        scale = 1.0 if self.scale is None else self.scale
        numbers = (scale, *self.mean, *self.std)
        if not np.isfinite(numbers).all() or not scale or 0 in self.std:
            raise OptionError(
                f"scale={self.scale}, mean={list(self.mean)}, std={list(self.std)}; expected "
                "finite numbers, and scale and std other than 0."
            )

    @classmethod
    def of(cls, metadata: Mapping[str, str], **options: Any) -> Preprocessing:
        """Take the model's metadata where present, and options that are not None over it.

        Raises
        ------
        ModelError, OptionError
        """
        told = _parse(metadata[KEY]) if KEY in metadata else cls()
        asked = {name: value for name, value in options.items() if value is not None}
        return replace(told, **asked, asked=frozenset(asked), told=KEY in metadata)

    def resolved(self, kind: TensorType) -> Preprocessing:
        """Fill in the scale for an input of this type."""
        if self.scale is not None:
            return self
        return replace(self, scale=1 / 255 if kind.is_float else 1.0)

    @property
    def factor(self) -> float:
        """The scale, that of a float input where none was given."""
        return 1 / 255 if self.scale is None else self.scale

    @property
    def is_nothing(self) -> bool:
        """Whether pixels stay as they are."""
        return self.scale == 1 and not any(self.mean) and all(v == 1 for v in self.std)

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest number that a pixel of 0 to 255 may become, in any channel."""
        ends = np.array([[0.0], [255.0]]) * self.factor
        mean, std = np.broadcast_arrays(self.mean, self.std)
        found = (ends - mean) / std
        return float(found.min()), float(found.max())

    @property
    def count(self) -> int | None:
        """Number of channels where ``channels`` tells."""
        return {None: None, "gray": 1}.get(self.channels, 3)

    def apply(self, pixels: Array) -> Array:
        """``(height, width, channels)`` of 0 to 255, in RGB order -> float64 of that shape."""
        channels = pixels.shape[-1]
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, channels):
                raise InputError(
                    f"{name} has {len(values)} numbers; the model's input has {channels} "
                    f"channel{'s' * (channels > 1)}. Give 1 or {channels}."
                )
        ordered = pixels[..., ::-1] if self.channels == "bgr" else pixels
        scaled = ordered.astype(np.float64) * self.factor
        result: Array = (scaled - np.array(self.mean)) / np.array(self.std)
        return result

    def undone(self, change: Array) -> Array:
        """A change of what `apply` returned -> that of the pixels, in RGB order."""
        pixels: Array = change * np.array(self.std) / self.factor
        return pixels[..., ::-1] if self.channels == "bgr" else pixels

    def describe(self, channels: int) -> str:
        """What is done to a picture, in a few words."""
        return f"{self.channels or ('gray' if channels == 1 else 'rgb')}, {self.formula}"

    @property
    def formula(self) -> str:
        """What is done to the numbers of its pixels."""
        inverse = 1 / self.factor
        whole = inverse > 1.5 and abs(inverse - round(inverse)) < 1e-9 * inverse
        scale = f"1/{round(inverse)}" if whole else f"{self.factor:g}"
        words = [f"scale {scale}"]
        if any(self.mean):
            words.append("mean " + ",".join(f"{v:g}" for v in self.mean))
        if any(v != 1 for v in self.std):
            words.append("std " + ",".join(f"{v:g}" for v in self.std))
        return ", ".join(words)


def _parse(text: str) -> Preprocessing:
    """Read the metadata entry, a JSON object with the names of the fields."""
    try:
        told = json.loads(text)
    except json.JSONDecodeError as error:
        raise _wrong(text, f"it is no JSON: {error}") from error
    if not isinstance(told, dict):
        raise _wrong(text, "it is no JSON object")
    known = {each.name for each in fields(Preprocessing)} - {"asked", "told"}
    if unknown := sorted(set(told) - known):
        raise _wrong(text, f"{unknown} are not among {sorted(known)}")
    try:
        return Preprocessing(**{name: _value(name, value) for name, value in told.items()})
    except (TypeError, ValueError, OptionError) as error:
        raise _wrong(text, str(error)) from error


def _value(name: str, value: Any) -> Any:
    if name in CHOICES:
        return str(value).lower()
    if name == "scale":
        return float(value)
    if name == "edge":
        return int(value)
    if name == "size":
        height, width = (int(n) for n in value)
        return height, width
    return tuple(float(v) for v in (value if isinstance(value, Sequence) else [value]))


def _wrong(text: str, why: str) -> ModelError:
    return ModelError(
        f"The model's metadata entry {KEY!r} is {text[:200]!r}, which cannot be used: {why}. "
        "Correct the entry, or prepare the tensor yourself and pass it as .npy."
    )
