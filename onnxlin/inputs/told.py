"""What a model's metadata say of its inputs: preprocessing, names of columns."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from onnxlin.errors import ModelError
from onnxlin.graph import Graph
from onnxlin.inputs.columns import Columns
from onnxlin.inputs.preprocessing import Preprocessing

ARRAYS = (".npy", ".npz", ".csv", ".tsv", ".parquet", ".pq", ".zarr")


def metadata(graph: Graph) -> dict[str, str]:
    """Return the model's own notes."""
    return {entry.key: entry.value for entry in graph.model.metadata_props}


def preprocessing_of(told: Mapping[str, str], path: str, **asked: Any) -> Preprocessing:
    """Say how the pixels of a file are scaled: as asked, over what the metadata say.

    Raises
    ------
    ModelError, OptionError
    """
    if path.lower().endswith(ARRAYS):
        # Metadata that is of no use for an array must not stand in its way.
        with contextlib.suppress(ModelError):
            return Preprocessing.of(told, **asked)
        return Preprocessing.of({}, **asked)
    return Preprocessing.of(told, **asked)


def columns_of(graph: Graph) -> Columns | None:
    """Names of the columns of x, from the metadata: as many as the one input has."""
    names = named_in(metadata(graph), "features")
    kinds = list(graph.inputs.values())
    if len(kinds) != 1 or not names:
        return None
    last = (kinds[0].shape or (None,))[-1]
    fits = last == len(names) or not isinstance(last, int)
    return Columns(names, 'the model\'s metadata "features"') if fits else None


def named_in(told: Mapping[str, str], key: str) -> tuple[str, ...]:
    """Read an entry of the metadata that is a JSON list of names; () if it is none."""
    try:
        found = json.loads(told.get(key, "[]"))
    except json.JSONDecodeError:
        return ()
    return tuple(str(name) for name in found) if isinstance(found, list) else ()
