"""Pictures by Pillow: opening, size, channels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onnxlin import limits
from onnxlin.errors import InputError, LimitError, OnnxlinError
from onnxlin.graph import Array
from onnxlin.graph.picture import Geometry
from onnxlin.graph.regular import require_regular
from onnxlin.inputs.preprocessing import Preprocessing
from onnxlin.runtime.locks import ForkSafeLock

if TYPE_CHECKING:
    from PIL.Image import Image, Resampling

GREY = ("1", "L", "LA")
_ONE_AT_A_TIME = ForkSafeLock()


def open_picture(file: Path) -> tuple[Image, tuple[str, ...]]:
    """Open a picture as 8-bit grey ("L") or colour ("RGB"), the right way up."""
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError  # an extra
    except ImportError as error:
        raise OnnxlinError(
            f'Reading {file.name} needs Pillow: pip install "onnxlin[cli]". Arrays (.npy, .npz, '
            ".csv) need nothing more."
        ) from error
    require_regular(file, "picture", InputError)
    try:
        with _own_limit(), Image.open(file) as opened:
            count = opened.width * opened.height  # as the header says: nothing is unpacked yet
            what = f"{str(file)!r} is a picture of {opened.width} x {opened.height} pixels"
            limits.hold("pixels", count, what)
            image = ImageOps.exif_transpose(opened)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{str(file)!r} is not a readable picture: {error}.") from error
    except MemoryError as error:
        raise LimitError(f"{str(file)!r} does not fit into the memory there is.") from error
    if image.mode[0] in "IF":
        raise InputError(
            f"{str(file)!r} has more than 8 bits a channel (mode {image.mode}). Convert it to 8 "
            "bits, or pass the tensor as .npy."
        )
    return _flat(image)


@contextmanager
def _own_limit() -> Iterator[None]:
    """Let the limit be that of `onnxlin.limits` alone: Pillow has one that no caller can raise."""
    from PIL import Image

    with _ONE_AT_A_TIME.held():
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _flat(image: Image) -> tuple[Image, tuple[str, ...]]:
    """Lay a picture with transparency over white."""
    from PIL import Image

    mode = "L" if image.mode in GREY else "RGB"
    if not image.has_transparency_data:
        return image.convert(mode), ()
    layer = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, layer).convert(mode), ("transparency laid over white",)


def depth(image: Image) -> int:
    """Number of channels."""
    return len(image.getbands())


def sized(image: Image, how: Preprocessing) -> tuple[Image, tuple[str, ...]]:
    """Bring a picture to the size that its preprocessing names, if it names one.

    Raises
    ------
    InputError
        What is to be cut is larger than the picture.
    """
    said: tuple[str, ...] = ()
    if how.edge is not None:
        short = min(image.size)
        size = tuple(side * how.edge // short for side in image.size)
        said = (f"{_change(image, size)} ({how.resample})",) if size != image.size else ()
        image = image.resize(_held(size), _filter(how))
    if how.size is None:
        return image, said
    height, width = how.size
    if how.edge is None and how.resize != "none":
        image, more = brought(image, (width, height), how)
        return image, (*said, *more)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    if min(left, top) < 0:
        raise InputError(
            f"The preprocessing cuts {width} x {height} pixels out of {image.width} x "
            f"{image.height}. Give a larger edge."
        )
    return image.crop((left, top, left + width, top + height)), (*said, "centre cut")


def resize(image: Image, geometry: Geometry, how: Preprocessing) -> tuple[Image, tuple[str, ...]]:
    """Bring a picture to the model's size.

    Parameters
    ----------
    image : PIL.Image.Image
    geometry : Geometry
    how : Preprocessing
        Its ``resize``: stretch; scale to cover and cut the centre; or refuse.
    """
    return brought(image, (geometry.width, geometry.height), how)


def brought(
    image: Image, size: tuple[int, int], how: Preprocessing
) -> tuple[Image, tuple[str, ...]]:
    """Bring a picture to a width and height."""
    from PIL import ImageOps

    if image.size == _held(size):
        return image, ()
    change = _change(image, size)
    if how.resize == "none":
        raise InputError(
            f"The picture is {image.width} x {image.height}; the model takes {size[0]} x "
            f"{size[1]}. Say --resize fit or crop."
        )
    if how.resize == "fit":
        return image.resize(size, _filter(how)), (f"stretched {change} ({how.resample})",)
    fitted = ImageOps.fit(image, size, _filter(how))
    return fitted, (f"resized and centre-cropped {change} ({how.resample})",)


def _held(size: tuple[int, ...]) -> tuple[int, int]:
    """A width and height, within the limit."""
    width, height = size
    what = f"The model takes pictures of {width} x {height} pixels"
    limits.hold("pixels", width * height, what)
    return width, height


def _change(image: Image, size: tuple[int, ...]) -> str:
    return f"{image.width} x {image.height} -> {size[0]} x {size[1]}"


def _filter(how: Preprocessing) -> Resampling:
    from PIL.Image import Resampling

    return Resampling[how.resample.upper()]


def pixels(image: Image, channels: int, *, grey: bool = False) -> Array:
    """``(height, width, channels)`` of uint8, RGB order; grey is repeated where colour is taken."""
    mode = "L" if channels == 1 or grey else "RGB"
    found = np.asarray(image.convert(mode))
    found = found[..., None] if found.ndim == 2 else found
    return np.repeat(found, 3, axis=-1) if found.shape[-1] < channels else found
