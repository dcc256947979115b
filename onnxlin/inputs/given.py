"""Read a file that holds an instance x."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onnxlin.errors import InputError
from onnxlin.graph import Array, TensorType
from onnxlin.graph.picture import Geometry, guess_geometry
from onnxlin.inputs import arrays, pictures
from onnxlin.inputs.geometry import find_geometry
from onnxlin.inputs.preprocessing import Preprocessing

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
TABLES = (".csv", ".tsv")


@dataclass(frozen=True, eq=False)
class Given:
    """An instance x from a file.

    Parameters
    ----------
    feeds : {input name: array}
    notes : tuple of str
        What was done to the file's contents, for people to read.
    tensor : str, optional
        The input that is a picture.
    geometry : Geometry, optional
        Where its channels, rows and columns lie.
    pixels : array (height, width, 1 or 3) of uint8, optional
        The picture as fed, before scaling; None where x did not come from a picture file.
    names : tuple of str
        Feature names, where the file has them.
    """

    feeds: Mapping[str, Array]
    notes: tuple[str, ...] = ()
    tensor: str | None = None
    geometry: Geometry | None = None
    pixels: Array | None = None
    names: tuple[str, ...] = ()


def read_input(
    path: str | os.PathLike[str],
    inputs: Mapping[str, TensorType],
    preprocessing: Preprocessing | None = None,
) -> Given:
    """Read ``.npy``, ``.npz``, ``.csv`` or a picture for a model with these inputs.

    Parameters
    ----------
    path : path
    inputs : {input name: TensorType}
    preprocessing : Preprocessing, optional
        For pictures only.

    Raises
    ------
    InputError
        The file cannot be read, or does not fit the model.
    """
    file = Path(path)
    ending = file.suffix.lower()
    if not file.is_file():
        raise InputError(f"No such input file: {str(path)!r}.")
    if ending in PICTURES:
        return _picture(file, inputs, preprocessing or Preprocessing())
    if ending == ".npz":
        return _arrays(arrays.read_npz(file, inputs), ())
    if ending == ".npy":
        name, kind = only(file, inputs)
        array, notes = arrays.with_batch(arrays.read_npy(file), kind)
        return _arrays({name: array}, notes)
    if ending in TABLES:
        name, kind = only(file, inputs)
        table, names = arrays.read_table(file, kind)
        return Given({name: table}, names=names)
    raise InputError(
        f"{str(path)!r} ends in {ending or 'nothing'!r}; expected .npy, .npz, "
        f"{', '.join((*TABLES, *PICTURES))}."
    )


def only(file: Path, inputs: Mapping[str, TensorType]) -> tuple[str, TensorType]:
    """Return the model's one input."""
    if len(inputs) != 1:
        listed = ", ".join(f"{name!r}: {kind}" for name, kind in inputs.items())
        raise InputError(
            f"{file.name} holds one tensor, but the model has {len(inputs)} inputs ({listed}). "
            "Give an .npz that holds all of them under these names."
        )
    return next(iter(inputs.items()))


def _arrays(feeds: Mapping[str, Array], notes: tuple[str, ...]) -> Given:
    """Note which array looks like a picture, if just one does."""
    found = {name: guess_geometry(array.shape) for name, array in feeds.items()}
    seen = [(name, geometry) for name, geometry in found.items() if geometry]
    name, geometry = seen[0] if len(seen) == 1 else (None, None)
    return Given(feeds, notes, name, geometry)


def _picture(file: Path, inputs: Mapping[str, TensorType], how: Preprocessing) -> Given:
    name, kind = only(file, inputs)
    image, notes = pictures.open_picture(file)
    size = (image.height, image.width, pictures.depth(image))
    # A grey picture may be asked of a model with three channels: it is then repeated.
    wanted = None if how.channels == "gray" and _takes_three(name, kind, size, how) else how.count
    geometry = find_geometry(name, kind, size, how.layout, wanted)
    if how.channels in ("rgb", "bgr") and geometry.channels == 1:
        raise InputError(
            f"channels={how.channels!r}, but input {name!r} takes {kind}: 1 channel. Leave it out, "
            "or say gray."
        )
    image, resized = pictures.resize(image, geometry, how.resize)
    pixels = pictures.pixels(image, geometry.channels, grey=how.channels == "gray")
    tensor = geometry.to_tensor(how.apply(pixels)).astype(kind.dtype)
    done = f"{how.describe(geometry.channels)}, as {geometry}"
    return Given({name: tensor}, (*notes, *resized, done), name, geometry, pixels)


def _takes_three(
    name: str, kind: TensorType, size: tuple[int, int, int], how: Preprocessing
) -> bool:
    known = kind.shape is not None and any(n == 3 for n in kind.shape)
    return known and find_geometry(name, kind, size, how.layout).channels == 3
