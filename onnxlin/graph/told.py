"""What a model's metadata say: names of features and classes, and more."""

from __future__ import annotations

import json
from collections.abc import Mapping

import onnx

FEATURES, CLASSES = "features", "classes"
CLASSES_FROM = "classes_from"
"""Where the names of classes were taken from, if a caller named that: then they must fit."""


def metadata_of(model: onnx.ModelProto) -> dict[str, str]:
    """Return the model's own notes."""
    return {entry.key: entry.value for entry in model.metadata_props}


def named_in(told: Mapping[str, str], key: str) -> tuple[str, ...]:
    """Read an entry of the metadata that is a JSON list of names; () if it is none."""
    try:
        found = json.loads(told.get(key, "[]"))
    except (json.JSONDecodeError, RecursionError):
        return ()
    return tuple(str(name) for name in found) if isinstance(found, list) else ()
