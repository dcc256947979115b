"""Read a file that holds an instance x."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onnxlin.errors import InputError
from onnxlin.graph import Array, TensorType
from onnxlin.graph.picture import Geometry, guess_geometry
from onnxlin.graph.regular import require_regular
from onnxlin.inputs import arrays, pictures
from onnxlin.inputs.columns import Columns, of_inputs, of_one
from onnxlin.inputs.geometry import find_geometry
from onnxlin.inputs.preprocessing import Preprocessing
from onnxlin.inputs.raw import Arrays, first
from onnxlin.inputs.tables import ENDINGS, ending_of, read_table
from onnxlin.inputs.written import read_text
from onnxlin.section.numbers import fitted

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
TABLES = ENDINGS
TEXTS = (".txt",)
LABELS = "labels"


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
    columns : Columns, optional
        Names of a table's columns: another table is matched with these.
    raw : bool, optional
        Whether an array was taken as pixels of 0 to 255; None where that was no question.
    prepared : Preprocessing, optional
        What made the tensor of ``pixels``.
    """

    feeds: Mapping[str, Array]
    notes: tuple[str, ...] = ()
    tensor: str | None = None
    geometry: Geometry | None = None
    pixels: Array | None = None
    names: tuple[str, ...] = ()
    columns: Columns | None = None
    raw: bool | None = None
    prepared: Preprocessing | None = None


def read_input(
    path: str | os.PathLike[str],
    inputs: Mapping[str, TensorType],
    preprocessing: Preprocessing | None = None,
    *,
    columns: Columns | None = None,
    like: Given | None = None,
    tokenizer: str | None = None,
    sample: str | None = None,
) -> Given:
    """Read ``.npy``, ``.npz``, ``.csv``, a text or a picture for a model with these inputs.

    Parameters
    ----------
    path : path
    inputs : {input name: TensorType}
        A table serves a model with one input, or with a column for each by their names.
    preprocessing : Preprocessing, optional
        Of pictures, and of arrays that hold their pixels; without it arrays are taken as they are.
    columns : Columns, optional
        Names that the columns of a table must have, in the model's order: a table with a header is
        matched by these.
    like : Given, optional
        Another instance, which this one is read like: a baseline, say. Its columns come first.
    tokenizer : path, optional
        The tokenizer.json that cuts texts into tokens.
    sample : str, optional
        Of a table with many rows: which one, by its number from 0 or its cell in a column "id".

    Raises
    ------
    InputError
        The file cannot be read, or does not fit the model.
    """
    file = Path(path)
    if sample is not None and ending_of(file) not in TABLES:
        raise InputError(f"--sample {sample} is about tables; {str(path)!r} is none.")
    ending = ending_of(file)
    require_regular(file, "input", InputError)
    if not file.is_file():
        raise InputError(f"No such input file: {str(path)!r}.")
    if ending in PICTURES:
        return _picture(file, inputs, preprocessing or Preprocessing())
    if ending in TEXTS:
        feeds, note = read_text(file, inputs, tokenizer)
        return Given(feeds, (note,))
    if like is not None and like.columns is not None:
        columns = like.columns
    taken = Arrays(preprocessing, None if like is None else like.raw)
    if ending == ".npz":
        return _arrays(file, arrays.read_npz(file, inputs), inputs, taken)
    if ending == ".npy":
        name, _ = only(file, inputs)
        return _arrays(file, {name: arrays.read_npy(file)}, inputs, taken)
    if ending in TABLES:
        return _table(file, inputs, columns, taken, sample)
    raise InputError(
        f"{str(path)!r} ends in {ending or 'nothing'!r}; expected .npy, .npz, "
        f"{', '.join((*TABLES, *TEXTS, *PICTURES))}."
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


def _arrays(
    file: Path, found: Mapping[str, Array], inputs: Mapping[str, TensorType], taken: Arrays
) -> Given:
    """Note which array looks like a picture, if just one does."""
    feeds, notes, raw = dict[str, Array](), list[str](), list[bool | None]()
    for name, array in found.items():
        feeds[name] = array
        if (kind := inputs.get(name)) is None:
            continue  # the model says so when it is fed
        feeds[name], more = arrays.with_batch(array, kind)
        notes += more
        # Of several inputs those that are no pictures have nothing to be prepared.
        if len(inputs) == 1 or guess_geometry(feeds[name].shape):
            feeds[name], done, were = taken(file, name, kind, feeds[name])
            notes += done
            raw.append(were)
    shapes = {name: guess_geometry(array.shape) for name, array in feeds.items()}
    seen = [(name, geometry) for name, geometry in shapes.items() if geometry]
    tensor, geometry = seen[0] if len(seen) == 1 else (None, None)
    return Given(feeds, tuple(notes), tensor, geometry, raw=first(raw))


def _table(
    file: Path,
    inputs: Mapping[str, TensorType],
    columns: Columns | None,
    taken: Arrays,
    sample: str | None,
) -> Given:
    """One instance: all cells are one input, or each column is one."""
    known = tuple(inputs) if len(inputs) > 1 else () if columns is None else columns.names
    table = read_table(file, known)
    if sample is not None:
        table = table.one(sample, known)
        table = table if LABELS in known else table.without(LABELS)[0]
    if len(inputs) > 1:
        stacks, notes = of_inputs(table, inputs)
        if any(len(stack) != 1 for stack in stacks.values()):
            raise InputError(
                f"{str(file)!r} holds several rows; keep the one of one instance, or say which by "
                "--sample."
            )
        feeds = {name: stack[0] for name, stack in stacks.items()}
        return Given(feeds, notes, columns=Columns(tuple(inputs), "the model's inputs"))
    name, kind = only(file, inputs)
    ordered, own, notes = of_one(table, columns)
    numbers, done, raw = taken(file, name, kind, ordered.numbers())
    shaped = arrays.shaped(file, numbers, kind)
    feeds = {name: fitted(f"Input {name!r} in {file.name}", shaped, kind.dtype)}
    names = ordered.header if len(ordered.header) == numbers.size else ()
    return Given(feeds, (*notes, *done), names=names, columns=own, raw=raw)


def _picture(file: Path, inputs: Mapping[str, TensorType], how: Preprocessing) -> Given:
    name, kind = only(file, inputs)
    how = how.resolved(kind)
    image, notes = pictures.open_picture(file)
    image, sized = pictures.sized(image, how)
    size = (image.height, image.width, pictures.depth(image))
    # A grey picture may be asked of a model with three channels: it is then repeated.
    wanted = None if how.channels == "gray" and _takes_three(name, kind, size, how) else how.count
    geometry = find_geometry(name, kind, size, how.layout, wanted)
    if how.channels in ("rgb", "bgr") and geometry.channels == 1:
        raise InputError(
            f"channels={how.channels!r}, but input {name!r} takes {kind}: 1 channel. Leave it out, "
            "or say gray."
        )
    image, resized = pictures.resize(image, geometry, how)
    pixels = pictures.pixels(image, geometry.channels, grey=how.channels == "gray")
    done = f"{how.describe(geometry.channels)}, as {geometry}"
    try:
        tensor = fitted(f"Input {name!r}", geometry.to_tensor(how.apply(pixels)), kind.dtype)
    except InputError as error:
        raise InputError(
            f"{error} The picture became {done}. Say --scale 1 --mean 0 --std 1 to feed its pixels "
            "as they are, 0 to 255."
        ) from error
    said = (*notes, *sized, *resized, done)
    return Given({name: tensor}, said, name, geometry, pixels, prepared=how)


def _takes_three(
    name: str, kind: TensorType, size: tuple[int, int, int], how: Preprocessing
) -> bool:
    known = kind.shape is not None and any(n == 3 for n in kind.shape)
    return known and find_geometry(name, kind, size, how.layout).channels == 3
