"""Random subsets of the features taken away, and how much F loses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.readings.judging.features import Features, Values, contributions_of, features_of
from onnxlin.readings.question.question import Question, Reference
from onnxlin.section.numbers import as_array
from onnxlin.section.options import whole

SUBSETS = 100
LARGEST = 0.8  # of all features: subsets beyond differ too little from each other


@dataclass(frozen=True, eq=False)
class Removals:
    """Subsets of the features set to a baseline, and what F lost.

    Parameters
    ----------
    members : bool array (N, features)
    sizes : integer array (N,)
        Features in each subset.
    lost : array (N,)
        ``F(x) - F(x with the subset at its baseline)``.
    features : Features
    x0 : array (n_in,)
    """

    members: Array
    sizes: Array
    lost: Array
    features: Features
    x0: Array

    def explained(self, q: Question, values: Values) -> Array:
        """What an attribution says that each subset brings: the sum of its contributions."""
        each = self.features.sums(contributions_of(q, values, self.x0))
        return np.array([each[member].sum() for member in self.members])


def removals(
    q: Question,
    sizes: Sequence[int] | None = None,
    *,
    samples: int = SUBSETS,
    baseline: Reference = "zero",
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
) -> Removals:
    """Draw random subsets of the features and run the model without them, once for all judges.

    Parameters
    ----------
    q : Question
    sizes : sequence of int, optional
        Numbers of features; by default ten from 1 to 80 % of all, evenly in their logarithms.
    samples : int
        Subsets of each size.
    baseline : see `Question.reference`
    groups : see `features_of`
    seed : int
    """
    features, x0 = features_of(q, groups), q.reference(baseline)
    chosen = _sizes(sizes, features.count)
    whole("samples", samples, 1)
    rng = np.random.default_rng(whole("seed", seed))
    members = np.zeros((len(chosen) * samples, features.count), bool)
    for i, size in enumerate(np.repeat(chosen, samples)):
        members[i, rng.choice(features.count, size, replace=False)] = True
    lost = q.y - q.F(without(q, member[features.labels], x0) for member in members)
    return Removals(members, np.repeat(chosen, samples), lost, features, x0)


def without(q: Question, gone: Array, x0: Array) -> Array:
    """X with some columns at the baseline."""
    return np.where(gone, x0, q.x)


def _sizes(sizes: Sequence[int] | None, count: int) -> Array:
    if sizes is None:
        most = max(int(LARGEST * count), 1)
        return np.unique(np.geomspace(1, most, 10).round().astype(np.int64))
    found = as_array("sizes", sizes)
    if not found.size or found.dtype.kind not in "iu" or found.min() < 1 or found.max() > count:
        raise OptionError(f"sizes={sizes!r}; expected numbers of features from 1 to {count}.")
    return found
