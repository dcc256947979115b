"""Labels of a data set, given beside it or in it, by number or by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxlin.cli.labels import Labels
from onnxlin.errors import InputError
from onnxlin.graph import Array
from onnxlin.inputs import read_labels
from onnxlin.linearizer import Linearizer

if TYPE_CHECKING:
    from onnxlin.data import Source


def labels_given(file: str | None, data: str, lin: Linearizer, source: Source) -> Array | None:
    """Read the labels of a file, or those of the data, as class indices.

    Parameters
    ----------
    file : str, optional
        What ``--labels`` names.
    data : str
        The data, for errors.

    Raises
    ------
    InputError
    """
    named = file or data
    if file is not None:
        texts = read_labels(file, source.names)
    elif source.labels is not None and source.labels.dtype.kind == "U":
        texts = [str(text) for text in source.labels]
    else:
        return source.labels
    if len(texts) != len(source):
        raise InputError(
            f"{named!r} has {len(texts)} labels, and the data {len(source)} instances."
        )
    outputs = dict(next(iter(lin.map(source[0:1].stacks, rows=[]))).outputs)
    known = Labels.of(lin, outputs)
    size = sum(value.size for value in outputs.values())
    at = {text: known.find(text, size, f"{named}:") for text in dict.fromkeys(texts)}
    return np.array([at[text] for text in texts], dtype=np.int64)
