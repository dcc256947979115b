"""Whether an attribution says what F loses: sensitivity-n and infidelity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.readings.attributions.gradients import Attribution
from onnxlin.readings.judging.features import Values, flat_of
from onnxlin.readings.judging.removals import Removals, removals
from onnxlin.readings.question.question import Question
from onnxlin.section.options import number, whole


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """How well sums of an attribution go along with what F loses.

    Parameters
    ----------
    sizes : integer array (k,)
        n: how many features were taken away.
    correlation : array (k,)
        Pearson's, over subsets of that size; NaN where one of the two does not vary.
    """

    sizes: Array
    correlation: Array

    @property
    def mean(self) -> float:
        """Mean over the sizes, without those that have no correlation."""
        known = self.correlation[~np.isnan(self.correlation)]
        return float(known.mean()) if known.size else float("nan")


def sensitivity_n(q: Question, values: Values, drawn: Removals | None = None) -> Sensitivity:
    """Correlate the sum of n attributions with the loss when these n features are taken away.

    1 for every n where F is linear in what is taken away. Slopes count times ``x - x0``.

    Parameters
    ----------
    q : Question
    values : Attribution or array of as many numbers as x has
    drawn : Removals, optional
        By default those of ``removals(q)``.

    Source: Ancona, Ceolini, Öztireli, Gross, Towards Better Understanding of Gradient-based
    Attribution Methods, ICLR 2018.
    """
    drawn = removals(q) if drawn is None else drawn
    explained = drawn.explained(q, values)
    sizes = np.unique(drawn.sizes)
    found = [pearson(explained[drawn.sizes == n], drawn.lost[drawn.sizes == n]) for n in sizes]
    return Sensitivity(sizes, np.array(found))


def pearson(a: Array, b: Array) -> float:
    """Pearson's correlation; NaN where one of the two is constant."""
    if not a.size or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    # Differences of tiny numbers would vanish when they are squared.
    a, b = (a - a.mean()) / np.ptp(a), (b - b.mean()) / np.ptp(b)
    size = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(a @ b) / size if size else float("nan")


@dataclass(frozen=True)
class Infidelity:
    """How far an attribution is from what F loses under perturbations.

    Parameters
    ----------
    value : float
        ``mean of (I . attribution - (F(x) - F(x - I)))^2``.
    scaled : float
        The same for the best multiple of the attribution.
    scale : float
        That multiple.
    size : float
        ``mean of (F(x) - F(x - I))^2``: what an attribution of zeros has.
    samples : int
    """

    value: float
    scaled: float
    scale: float
    size: float
    samples: int

    @property
    def relative(self) -> float:
        """``scaled / size``: 0 explains everything, 1 nothing; NaN where F did not change."""
        return self.scaled / self.size if self.size else float("nan")


def infidelity(q: Question, values: Values, drawn: Removals | None = None) -> Infidelity:
    """Infidelity under removals: I is ``x - x0`` on a random subset of the features.

    Parameters
    ----------
    q : Question
    values : Attribution or array
        Contributions; slopes are multiplied by ``x - x0``.
    drawn : Removals, optional
        By default those of ``removals(q)``.

    Source: Yeh, Hsieh, Suggala, Inouye, Ravikumar, On the (In)fidelity and Sensitivity of
    Explanations, NeurIPS 2019.
    """
    drawn = removals(q) if drawn is None else drawn
    return _infidelity(drawn.explained(q, values), drawn.lost)


def noisy_infidelity(
    q: Question, slopes: Values, *, sigma: float, samples: int = 200, seed: int = 0
) -> Infidelity:
    """Infidelity under Gaussian noise: I has the standard deviation sigma in every entry.

    Parameters
    ----------
    slopes : Attribution or array
        Per unit of the input: a gradient. Contributions have no meaning for noise where x is 0.

    Raises
    ------
    OptionError
    """
    if isinstance(slopes, Attribution) and not slopes.slopes:
        raise OptionError(
            f"{slopes.method} gives contributions; infidelity under noise is for slopes, such as a "
            "gradient. Use infidelity(), which takes features away."
        )
    if not number("sigma", sigma) > 0:
        raise OptionError(f"sigma={sigma}; expected a positive number.")
    whole("samples", samples, 1)
    weights, rng = flat_of(q, slopes), np.random.default_rng(whole("seed", seed))
    explained: list[float] = []

    def moved() -> Iterator[Array]:
        for _ in range(samples):
            # As the model sees it, in its own precision.
            x = q.flat(q.fed(q.x - sigma * rng.standard_normal(len(q.x))))
            explained.append(float((q.x - x) @ weights))
            yield x

    lost = q.y - q.F(moved())
    return _infidelity(np.array(explained), lost)


def _infidelity(explained: Array, lost: Array) -> Infidelity:
    power = float(explained @ explained)
    scale = float(explained @ lost) / power if power else 0.0
    return Infidelity(
        float(((explained - lost) ** 2).mean()),
        float(((scale * explained - lost) ** 2).mean()),
        scale,
        float((lost**2).mean()),
        len(lost),
    )
