"""Names of classes: Hugging Face's ``config.json``, lists, and those of ImageNet."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from onnxlin.errors import InputError
from onnxlin.graph.regular import require_regular

IMAGENET = "imagenet"
KINDS = (
    "config.json with id2label, or the folder that it is in; JSON of a list or {index: name}; text "
    f"with one name a line; or {IMAGENET}"
)
MOST = 10_000_000
"""More classes no model has: a file that names a larger index would ask for as many names."""


def read_classes(name: str) -> tuple[str, ...]:
    """Read names of classes, in the order of the outputs.

    Parameters
    ----------
    name : path, or "imagenet"
        The thousand of ImageNet come from torchvision or timm, whichever is installed: their names
        are WordNet's, and none are shipped here.

    Raises
    ------
    InputError
        It holds none, or no package that has those of ImageNet is installed.
    """
    if name == IMAGENET:
        return _imagenet()
    file = Path(name)
    file = file / "config.json" if os.path.isdir(file) else file
    require_regular(file, "names of classes", InputError)
    try:
        text = file.read_text("utf-8-sig")
        found = _listed(json.loads(text)) if file.suffix == ".json" else text.splitlines()
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"--classes {name!r} holds no names: {error}. Give {KINDS}.") from error
    if not found:
        raise InputError(f"--classes {name!r} holds no names. Give {KINDS}.")
    return tuple(found)


def _listed(told: Any) -> list[str]:
    if isinstance(told, dict):
        told = told.get("id2label", told)
    if isinstance(told, list):
        return [_name(value) for value in told]
    if not isinstance(told, dict):
        raise TypeError("a number or a text is no list of names")
    by_index = {int(index): _name(value) for index, value in told.items()}
    if sorted(by_index) != list(range(len(by_index))) or len(by_index) > MOST:
        raise ValueError("the indices are not 0, 1, 2, ...")
    return [by_index[i] for i in range(len(by_index))]


def _name(value: Any) -> str:
    """A name, or the last of a pair: Keras' file has [synset, name]."""
    last = value[-1] if isinstance(value, list) and value else value
    if not isinstance(last, str):
        raise TypeError(f"{str(last)[:40]} is no name")
    return last


def _imagenet() -> tuple[str, ...]:
    for find in (_of_torchvision, _of_timm):
        try:
            return tuple(find())
        except (ImportError, AttributeError):
            continue
    raise InputError(
        f"--classes {IMAGENET}: the names come from torchvision or timm, and neither is installed. "
        f"pip install one of them, or give {KINDS}."
    )


def _of_torchvision() -> Sequence[str]:
    found: Sequence[str] = import_module("torchvision.models").AlexNet_Weights.DEFAULT.meta[
        "categories"
    ]
    return found


def _of_timm() -> Sequence[str]:
    info = import_module("timm.data").ImageNetInfo()
    describe: Callable[[int], str] = info.index_to_description
    return [describe(i) for i in range(info.num_classes())]
