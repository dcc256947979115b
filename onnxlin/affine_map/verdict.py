"""What a bound decides: whether W x + b is F(x), is not, or whether nobody can tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from onnxlin.primitives import Array
from onnxlin.texts import shown


class Verdict(StrEnum):
    """What is known of a row, or of a whole map.

    ``PASS``: F(x) and W x + b are apart by no more than rounding explains, and that is less than
    the size of F, so a wrong map would have been seen. ``FAIL``: by more than rounding can explain.
    ``UNDECIDED``: rounding may be as large as F itself, so agreement proves nothing.
    """

    PASS = "PASS"
    FAIL = "FAIL"
    UNDECIDED = "not decided"


@dataclass(frozen=True)
class Doubt:
    """The node whose roundings make a bound as large as it is.

    Parameters
    ----------
    node, op_type : str
    share : float
        Part of the bound that it brings in: 1 is all of it.
    """

    node: str
    op_type: str
    share: float

    def __str__(self) -> str:
        text = f"{self.op_type} at node {self.node!r} brings in {self.share:.0%} of the bound"
        return shown(text)


def judge(error: Array, bound: Array, size: Array) -> list[Verdict]:
    """Decide every row; all are ``(n_rows,)``, in units of the outputs.

    Parameters
    ----------
    error : array
        ``|F(x) - (W x + b)|``; NaN is past any bound.
    bound : array
        What rounding may make of it; NaN is as good as infinite.
    size : array
        Of F, see `AffineMap.output_size`.
    """
    bound = np.where(np.isnan(bound), np.inf, bound)
    # An error of NaN fails, an infinite one too where the bound is finite.
    fails, decides = ~(error <= bound), bound <= size
    return [
        Verdict.FAIL if fail else Verdict.PASS if decided else Verdict.UNDECIDED
        for fail, decided in zip(fails.tolist(), decides.tolist(), strict=True)
    ]


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """Return that of all: FAIL if one does, PASS if every one does."""
    found = set(verdicts)
    return next((v for v in (Verdict.FAIL, Verdict.UNDECIDED) if v in found), Verdict.PASS)
