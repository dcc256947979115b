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
from onnxlin.runtime.locks import ForkSafeLock

if TYPE_CHECKING:
    from PIL.Image import Image

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


def resize(image: Image, geometry: Geometry, how: str) -> tuple[Image, tuple[str, ...]]:
    """Bring a picture to the model's size.

    Parameters
    ----------
    image : PIL.Image.Image
    geometry : Geometry
    how : {"fit", "crop", "none"}
        Stretch; scale to cover and cut the centre; or refuse.
    """
    from PIL import Image, ImageOps

    size = (geometry.width, geometry.height)
    what = f"The model takes pictures of {size[0]} x {size[1]} pixels"
    limits.hold("pixels", size[0] * size[1], what)
    if image.size == size:
        return image, ()
    change = f"{image.width} x {image.height} -> {size[0]} x {size[1]}"
    if how == "none":
        raise InputError(
            f"The picture is {image.width} x {image.height}; the model takes {size[0]} x "
            f"{size[1]}. Say --resize fit or crop."
        )
    bilinear = Image.Resampling.BILINEAR
    if how == "fit":
        return image.resize(size, bilinear), (f"stretched {change} (bilinear)",)
    return ImageOps.fit(image, size, bilinear), (f"resized and centre-cropped {change} (bilinear)",)


def pixels(image: Image, channels: int, *, grey: bool = False) -> Array:
    """``(height, width, channels)`` of uint8, RGB order; grey is repeated where colour is taken."""
    mode = "L" if channels == 1 or grey else "RGB"
    found = np.asarray(image.convert(mode))
    found = found[..., None] if found.ndim == 2 else found
    return np.repeat(found, 3, axis=-1) if found.shape[-1] < channels else found
