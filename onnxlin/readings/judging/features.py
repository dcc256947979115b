"""What counts as one feature when an attribution is judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxlin.errors import InputError
from onnxlin.graph import Array
from onnxlin.readings.attributions.gradients import Attribution
from onnxlin.readings.question.question import Question
from onnxlin.section.numbers import as_array, flat

Values = Attribution | npt.ArrayLike


@dataclass(frozen=True, eq=False)
class Features:
    """What is taken away together.

    Parameters
    ----------
    labels : integer array (n_in,)
        Feature of each column, 0 to ``count - 1``.
    count : int
    what : str
        "pixels", "entries" or "groups".
    """

    labels: Array
    count: int
    what: str

    def sums(self, values: Array) -> Array:
        """Add up the values of each feature: ``(n_in,) -> (count,)``."""
        return np.bincount(self.labels, weights=values, minlength=self.count)


def features_of(q: Question, groups: npt.ArrayLike | None = None) -> Features:
    """Read ``groups``: by default the pixels of a picture, all channels together, else entries.

    Parameters
    ----------
    groups : integers (n_in,), of the input's shape or flat, optional
        Entries with equal numbers are one feature: segments of a picture, steps of a series.
    """
    if groups is not None:
        given = as_array("groups", groups)
        if given.size != len(q.x) or given.dtype.kind not in "iu":
            raise InputError(
                f"groups has {given.size} entries of {given.dtype}; expected {len(q.x)} integers."
            )
        _, labels = np.unique(given.ravel(), return_inverse=True)
        return Features(labels, int(labels.max(initial=-1)) + 1, "groups")
    if q.geometry is None:
        return Features(np.arange(len(q.x)), len(q.x), "entries")
    g = q.geometry
    plane = np.arange(g.height * g.width).reshape(g.height, g.width, 1)
    labels = g.to_tensor(np.repeat(plane, g.channels, axis=-1)).ravel()
    return Features(labels, g.height * g.width, "pixels")


def contributions_of(q: Question, values: Values, x0: Array) -> Array:
    """Bring an attribution to contributions ``(n_in,)``: slopes are multiplied by ``x - x0``."""
    flat = flat_of(q, values)
    slopes = isinstance(values, Attribution) and values.slopes
    return flat * (q.x - x0) if slopes else flat


def flat_of(q: Question, values: Values) -> Array:
    """Values ``(n_in,)`` of an attribution or of an array of as many numbers."""
    given = values.values if isinstance(values, Attribution) else values
    return flat("The attribution", given, q.m.shapes[0])
