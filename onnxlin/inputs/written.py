"""A text, cut into tokens by the tokenizer that comes with its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from onnxlin.errors import InputError
from onnxlin.graph import Array, TensorType

TOKENIZER = "tokenizer.json"
EXTRA = 'pip install "onnxlin[text]"'


def read_text(
    file: Path, inputs: Mapping[str, TensorType], tokenizer: str | None
) -> tuple[dict[str, Array], str]:
    """Read a text as the model's inputs, and say what it became.

    An input with "mask" in its name gets ones, with "type" or "segment" the tokenizer's types, with
    "position" 0, 1, 2, ...; the one that is left gets the ids.

    Parameters
    ----------
    tokenizer : path
        The tokenizer.json of the model.

    Raises
    ------
    InputError
        There is no tokenizer, or the model has other inputs than a text fills.
    """
    if tokenizer is None or Path(tokenizer).suffix != ".json":
        raise InputError(
            f"{file.name} is a text: give the model's {TOKENIZER} as --vocabulary to cut it into "
            "tokens, or an .npy or .npz of ids."
        )
    text = _text(file)
    ids, types = _cut(text, tokenizer)
    feeds = {name: _filled(name, ids, types) for name in inputs}
    named = [name for name in feeds if feeds[name] is ids]
    if len(named) != 1:
        raise InputError(
            f"{file.name} is one text, and the model takes {named or 'none'} besides masks, types "
            "and positions. Give an .npz with all of its inputs."
        )
    note = f"a text of {len(ids)} tokens, by {Path(tokenizer).name}"
    return {name: _shaped(name, feeds[name], inputs[name], file) for name in feeds}, note


def _text(file: Path) -> str:
    try:
        # The end of the last line is the editor's.
        return file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{str(file)!r} is not a readable text: {error}.") from error


def _cut(text: str, tokenizer: str) -> tuple[Sequence[int], Sequence[int]]:
    """Ids of the tokens, and their types."""
    try:
        package = import_module("tokenizers")
    except ImportError as error:
        raise InputError(
            f"Texts are cut into tokens by the package tokenizers, which is not installed: {EXTRA}."
        ) from error
    try:
        found = package.Tokenizer.from_file(tokenizer).encode(text)
    except Exception as error:  # the package raises bare ones
        raise InputError(f"--vocabulary {tokenizer!r} is no {TOKENIZER}: {error}.") from error
    if not found.ids:
        raise InputError("The text has no tokens.")
    return found.ids, found.type_ids


def _filled(name: str, ids: Sequence[int], types: Sequence[int]) -> Sequence[int]:
    """Numbers for an input, by what its name says."""
    lowered = name.lower()
    if "mask" in lowered:
        return [1] * len(ids)
    if "type" in lowered or "segment" in lowered:
        return types
    return range(len(ids)) if "position" in lowered else ids


def _shaped(name: str, numbers: Sequence[int], kind: TensorType, file: Path) -> Array:
    """An array of the input's type and rank."""
    rank = 2 if kind.shape is None else len(kind.shape)
    shape = (*[1] * (rank - 1), len(numbers))
    fits = kind.shape is None or all(
        not isinstance(n, int) or n == m for n, m in zip(kind.shape, shape, strict=True)
    )
    if not fits or rank not in (1, 2) or not kind.elem_type or kind.dtype.kind not in "iufb":
        raise InputError(
            f"{file.name} is a text of {len(numbers)} tokens; the model's {name!r} is {kind}. Give "
            "an .npz with all of its inputs."
        )
    return np.array(numbers, kind.dtype).reshape(shape)
