"""How well outputs tell classes apart: accuracy, and the area under the ROC curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from onnxlin.errors import InputError
from onnxlin.primitives import Array
from onnxlin.section.numbers import as_array


@dataclass(frozen=True)
class Scores:
    """How well outputs agree with labels.

    ``auc`` is None where the labels are all of one class, or there are more than two classes.
    """

    accuracy: float
    auc: float | None


def score(outputs: Array, labels: Array) -> Scores:
    """Score outputs ``(N, K)``, N > 0, against labels ``(N,)`` that number the classes from 0.

    With K = 1 the output is a logit: class 1 where it is above 0. With more, the largest wins.
    """
    found = (outputs[:, 0] > 0) if outputs.shape[1] == 1 else np.argmax(outputs, axis=1)
    order = _order(outputs)
    area = None if order is None else auc(order, labels)
    return Scores(float(np.mean(found == labels)), area)


def _order(outputs: Array) -> Array | None:
    """One number a sample that grows with the likelihood of class 1, if there are two classes."""
    if outputs.shape[1] > 2:
        return None
    found: Array = outputs[:, -1] if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]
    return found


def auc(scores: Array, labels: Array) -> float | None:
    """Share of pairs of a positive and a negative in which the positive scores higher.

    Ties count half: the Mann-Whitney statistic, which is the area under the ROC curve (Hanley and
    McNeil, Radiology 143, 1982). None without such pairs.
    """
    positive = labels == 1
    many, few = int(positive.sum()), int((~positive).sum())
    if not many or not few:
        return None
    above = float(rankdata(scores)[positive].sum()) - many * (many + 1) / 2
    return above / (many * few)


def read_labels(labels: npt.ArrayLike, samples: int, outputs: int) -> npt.NDArray[np.int64]:
    """Check labels ``(N,)`` against the number of samples and of outputs.

    Raises
    ------
    InputError
    """
    given: npt.NDArray[Any] = as_array("labels", labels)
    classes = max(outputs, 2)
    whole = given.dtype.kind in "iub" or (given.dtype.kind == "f" and (given % 1 == 0).all())
    if given.shape != (samples,) or not whole:
        raise InputError(
            f"labels has shape {given.shape} and dtype {given.dtype}; expected {samples} whole "
            "numbers, one a sample."
        )
    found = given.astype(np.int64)
    wrong = found[(found < 0) | (found >= classes)]
    if wrong.size:
        raise InputError(
            f"labels holds {int(wrong[0])}; with {outputs} rows the classes are 0 to {classes - 1}."
        )
    return found
