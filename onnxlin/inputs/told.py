"""What a model's metadata say of its inputs: preprocessing, names of columns."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from onnxlin.errors import ModelError
from onnxlin.graph import Graph
from onnxlin.graph.told import FEATURES, metadata_of, named_in
from onnxlin.inputs.columns import Columns
from onnxlin.inputs.preprocessing import Preprocessing

ARRAYS = (".npy", ".npz", ".csv", ".tsv", ".parquet", ".pq", ".zarr")


def metadata(graph: Graph) -> dict[str, str]:
    """Return the model's own notes."""
    return metadata_of(graph.model)


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
    names = named_in(metadata(graph), FEATURES)
    kinds = list(graph.inputs.values())
    if len(kinds) != 1 or not names:
        return None
    last = (kinds[0].shape or (None,))[-1]
    fits = last == len(names) or not isinstance(last, int)
    return Columns(names, 'the model\'s metadata "features"') if fits else None
