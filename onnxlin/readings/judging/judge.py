"""Several attributions judged by the same runs of the model, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.readings.judging.curves import (
    STEPS,
    Curve,
    Flipping,
    deletion,
    insertion,
    pixel_flipping,
)
from onnxlin.readings.judging.features import Values
from onnxlin.readings.judging.fidelity import Infidelity, Sensitivity, infidelity, sensitivity_n
from onnxlin.readings.judging.removals import SUBSETS, removals
from onnxlin.readings.question.question import Question, Reference, name_of
from onnxlin.section.options import whole

RANDOM = "random"
BETTER: Mapping[str, str] = {
    "deletion": "small",
    "insertion": "large",
    "flipping": "large",
    "sensitivity_n": "large",
    "infidelity": "small",
}
"""Metric -> which numbers are good."""


@dataclass(frozen=True, eq=False)
class Judged:
    """One attribution.

    Parameters
    ----------
    deletion, insertion : Curve
    flipping : Flipping
    sensitivity : Sensitivity
    infidelity : Infidelity
    """

    deletion: Curve
    insertion: Curve
    flipping: Flipping
    sensitivity: Sensitivity
    infidelity: Infidelity

    @property
    def row(self) -> dict[str, float]:
        """One number a metric, in the order of `BETTER`.

        Areas on the scale from the lower of F(x) and F(x0) to the higher; AOPC; mean
        correlation; infidelity of the best multiple, relative to that of zeros.
        """
        return {
            "deletion": self.deletion.relative,
            "insertion": self.insertion.relative,
            "flipping": self.flipping.aopc,
            "sensitivity_n": self.sensitivity.mean,
            "infidelity": self.infidelity.relative,
        }


@dataclass(frozen=True, eq=False)
class Judgement:
    """All attributions, and a random one, under the same perturbations.

    Parameters
    ----------
    judged : {name: Judged}
    baseline : str
    seed : int
    runs : int
        How many times the model ran.
    """

    judged: Mapping[str, Judged]
    baseline: str
    seed: int
    runs: int

    @property
    def table(self) -> dict[str, dict[str, float]]:
        """``{name: {metric: number}}``."""
        return {name: each.row for name, each in self.judged.items()}


def judge(
    q: Question,
    attributions: Mapping[str, Values],
    *,
    baseline: Reference = "zero",
    steps: int = STEPS,
    samples: int = SUBSETS // 4,
    draws: int = 3,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
) -> Judgement:
    """Judge attributions by deletion, insertion, flipping, sensitivity-n and infidelity.

    Parameters
    ----------
    q : Question
    attributions : {name: Attribution or array (n_in,)}
        Arrays are contributions. One of random numbers is added under "random", if there is none.
    baseline : see `Question.reference`
        What features are set to.
    steps : int
        Of the curves.
    samples : int
        Subsets of each size, for sensitivity-n and infidelity: the same for all attributions.
    draws : int
        Of flipping.
    groups : see `onnxlin.readings.judging.features.features_of`
    seed : int
        Of the subsets, the replacements and the random attribution.

    Returns
    -------
    Judgement
        These metrics ask whether an attribution says what the model does away from x, under
        perturbations that may be far from any data. W x is what the model does at x.
    """
    noise = np.random.default_rng(whole("seed", seed)).standard_normal(len(q.x))
    named: dict[str, Values] = {**attributions, RANDOM: attributions.get(RANDOM, noise)}
    x0 = q.reference(baseline)
    drawn = removals(q, samples=samples, baseline=x0, groups=groups, seed=seed)
    asked: Any = {"steps": steps, "groups": groups}
    judged = {
        name: Judged(
            deletion(q, values, baseline=x0, **asked),
            insertion(q, values, baseline=x0, **asked),
            pixel_flipping(q, values, draws=draws, seed=seed, **asked),
            sensitivity_n(q, values, drawn),
            infidelity(q, values, drawn),
        )
        for name, values in named.items()
    }
    one = next(iter(judged.values()))
    curves = 2 * len(one.deletion.score) + draws * len(one.flipping.score)
    runs = len(drawn.lost) + curves * len(judged)
    return Judgement(judged, name_of(baseline), seed, runs)
