"""Curves of F while features go or come in the order of an attribution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxlin.errors import OptionError, RowsError
from onnxlin.graph import Array
from onnxlin.readings.judging.features import Features, Values, contributions_of, features_of
from onnxlin.readings.judging.removals import without
from onnxlin.readings.question.question import Question, Reference
from onnxlin.section.options import number, one_of, whole

STEPS = 50
SCORES = ("row", "probability")
ORDERS = ("most", "least")


@dataclass(frozen=True, eq=False)
class Curve:
    """What F is after each step.

    Parameters
    ----------
    metric : {"deletion", "insertion"}
    fraction : array (k + 1,)
        Share of the features that have gone, or have come.
    score : array (k + 1,)
        F, or the probability, there.
    at_x, at_baseline : float
        The score of x and of the baseline.
    """

    metric: str
    fraction: Array
    score: Array
    at_x: float
    at_baseline: float

    @property
    def area(self) -> float:
        """Area under the curve, by trapezoids: AUC. Deletion wants it small, insertion large."""
        return float(np.trapezoid(self.score, self.fraction))

    @property
    def relative(self) -> float:
        """The area on a scale from the lower of F(x) and F(x0), 0, to the higher, 1.

        NaN where the two are equal. For an output that x raises over the baseline, x is 1.
        """
        low, high = sorted((self.at_x, self.at_baseline))
        return (self.area - low) / (high - low) if high > low else float("nan")


def deletion(
    q: Question,
    values: Values,
    *,
    baseline: Reference = "zero",
    steps: int = STEPS,
    score: str = "row",
    groups: npt.ArrayLike | None = None,
) -> Curve:
    """Set the features to a baseline, the one with the largest attribution first.

    Parameters
    ----------
    q : Question
    values : Attribution or array
        Contributions, added up over the channels of a pixel; slopes are multiplied by ``x - x0``.
    baseline : see `Question.reference`
    steps : int
        Into so many steps the features are cut; one each where there are fewer.
    score : {"row", "probability"}
        F of the row, or its softmax among all outputs, which the paper has.
    groups : see `onnxlin.readings.judging.features.features_of`

    Source: Petsiuk, Das, Saenko, RISE, BMVC 2018.
    """
    removed = Removed(q, values, q.reference(baseline), groups)
    return removed.curve("deletion", steps, score)


def insertion(
    q: Question,
    values: Values,
    *,
    baseline: Reference = "zero",
    steps: int = STEPS,
    score: str = "row",
    groups: npt.ArrayLike | None = None,
) -> Curve:
    """Start at a baseline and put features of x in, the one with the largest attribution first.

    The arguments are those of `deletion`. Source: Petsiuk, Das, Saenko, RISE, BMVC 2018; there
    the baseline of insertion is a blurred picture.
    """
    removed = Removed(q, values, q.reference(baseline), groups)
    return removed.curve("insertion", steps, score)


class Removed:
    """Features of x in the order of an attribution, which go to a baseline."""

    def __init__(
        self, q: Question, values: Values, x0: Array, groups: npt.ArrayLike | None
    ) -> None:
        self.q, self.x0 = q, x0
        self.features = features_of(q, groups)
        self.order = _order(self.features.sums(contributions_of(q, values, x0)))

    def curve(self, metric: str, steps: int, score: str) -> Curve:
        """Run the model after each step."""
        counts = counts_of(self.features.count, steps)
        gone = _growing(self.features, self.order, counts)
        gone = gone if metric == "deletion" else (~each for each in gone)
        scores = scores_of(self.q, (without(self.q, each, self.x0) for each in gone), score)
        ends = scores[[0, -1] if metric == "deletion" else [-1, 0]]
        fraction = counts / max(self.features.count, 1)
        return Curve(metric, fraction, scores, float(ends[0]), float(ends[1]))


def _order(each: Array) -> Array:
    """Features by falling attribution, equal ones in their order."""
    found: Array = np.argsort(-each, kind="stable")
    return found


def counts_of(count: int, steps: int) -> Array:
    """How many features have gone after each step, from 0 to all."""
    whole("steps", steps, 1)
    return np.unique(np.linspace(0, count, min(steps, count) + 1).round().astype(np.int64))


def _growing(features: Features, order: Array, counts: Array) -> Iterator[Array]:
    """Columns that have gone: of the first so many features."""
    rank = np.empty(features.count, np.int64)
    rank[order] = np.arange(features.count)
    place = rank[features.labels]
    return (place < n for n in counts)


def scores_of(q: Question, xs: Iterator[Array], score: str) -> Array:
    """F of the row at inputs, or its probability."""
    if one_of("score", score, SCORES) == "row":
        return q.F(xs)
    index = q.m.rows.index
    if index is None or q.m.rows.size < 2:
        raise RowsError(
            "score='probability' needs one output among several; the question is about a "
            "combination of outputs, or the model has one output only. Use score='row'."
        )
    y = q.outputs(xs)
    shifted = np.exp(y - y.max(axis=1, keepdims=True))
    found: Array = shifted[:, index[0]] / shifted.sum(axis=1)
    return found


@dataclass(frozen=True, eq=False)
class Flipping:
    """F while features are flipped.

    Parameters
    ----------
    order : {"most", "least"}
        Which come first: the most relevant, or the least.
    flipped : integer array (k + 1,)
        How many features had been flipped.
    score : array (k + 1,)
        Mean over the draws.
    draws : int
    """

    order: str
    flipped: Array
    score: Array
    draws: int

    @property
    def aopc(self) -> float:
        """``mean over the steps of F(x) - F(after the step)``: area over the perturbation curve.

        Large where the most relevant come first and the attribution is right.
        """
        return float((self.score[0] - self.score).mean())


def pixel_flipping(
    q: Question,
    values: Values,
    *,
    order: str = "most",
    steps: int = STEPS,
    share: float = 1.0,
    draws: int = 5,
    seed: int = 0,
    groups: npt.ArrayLike | None = None,
) -> Flipping:
    """Replace features by random numbers, the most (or least) relevant first.

    Parameters
    ----------
    q : Question
    values : Attribution or array
        Slopes are multiplied by x.
    order : {"most", "least"}
    steps : int
    share : float
        Of the features, at which flipping ends.
    draws : int
        Replacements are drawn evenly from the range of x; F is the mean over so many draws.
    seed : int
    groups : see `onnxlin.readings.judging.features.features_of`
        Regions of a picture, as the paper has them.

    Source: Samek, Binder, Montavon, Lapuschkin, Müller, Evaluating the Visualization of What a Deep
    Neural Network Has Learned, IEEE TNNLS 28(11), 2017.
    """
    one_of("order", order, ORDERS)
    if not 0 < number("share", share) <= 1:
        raise OptionError(f"share={share}; expected a share of the features, above 0 up to 1.")
    whole("draws", draws, 1)
    features, rng = features_of(q, groups), np.random.default_rng(whole("seed", seed))
    each = features.sums(contributions_of(q, values, np.zeros(len(q.x))))
    counts = counts_of(max(round(share * features.count), 1), steps)
    total = np.zeros(len(counts))
    for _ in range(draws):
        noise = rng.uniform(q.x.min(initial=np.inf), q.x.max(initial=-np.inf), len(q.x))
        gone = _growing(features, _order(each if order == "most" else -each), counts)
        total += q.F(without(q, one, noise) for one in gone)
    return Flipping(order, counts, total / draws, draws)
