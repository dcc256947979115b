"""Scores of the classifiers and regressors of ``ai.onnx.ml``, as onnxruntime finishes them."""

from __future__ import annotations

import numpy as np

from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.sketch import Sketch

ML = "ai.onnx.ml"

# Winitzki's approximation of the inverse error function, which the runtime takes for PROBIT.
WINITZKI = 0.147
# SOFTMAX_ZERO leaves out scores that are closer to 0 than this.
NOTHING = 1e-7


def several(s: Sketch, scores: str, transform: str) -> str:
    """Transform two scores a row, or more: ``(N, K) -> (N, K)``."""
    if transform == "SOFTMAX":
        return s("Softmax", scores, axis=1)
    if transform == "LOGISTIC":
        return s("Sigmoid", scores)
    if transform == "SOFTMAX_ZERO":
        return _softmax_zero(s, scores)
    return probit(s, scores) if transform == "PROBIT" else scores


def single(node: NodeAtX, s: Sketch, score: str, transform: str, pair: str | None) -> str:
    """Transform one score a row, ``(N, 1)``, and make two of it: ``(N, 2)``.

    Parameters
    ----------
    pair : {"complement", "opposite", None}
        Whether the other class gets ``1 - s`` or ``-s``, or there is none. LOGISTIC takes the
        latter; without another class the runtime does not heed it.
    """
    if transform == "PROBIT":
        if pair is not None:
            raise node.refuse("PROBIT of one score leaves that of the other class undefined")
        return probit(s, score)
    if pair is None:
        return score
    if pair == "complement" and transform != "LOGISTIC":
        return s("Concat", s("Sub", 1.0, score), score, axis=1)
    both = s("Concat", s("Neg", score), score, axis=1)
    return s("Sigmoid", both) if transform == "LOGISTIC" else both


def probit(s: Sketch, p: str) -> str:
    """``sqrt(2) erfinv(2 p - 1)`` in the runtime's approximation."""
    z = s("Sub", s("Mul", p, 2.0), 1.0)
    log = s("Log", s("Mul", s("Sub", 1.0, z), s("Add", 1.0, z)))
    v = s("Add", s("Mul", log, 0.5), 2 / (np.pi * WINITZKI))
    root = s("Sqrt", s("Sub", s("Mul", v, v), s("Mul", log, 1 / WINITZKI)))
    sign = s("Where", s("Less", z, 0.0), -1.0, 1.0)
    size = s("Sqrt", s("Sub", root, v))
    return s("Mul", s("Mul", size, sign), np.sqrt(2))


def _softmax_zero(s: Sketch, scores: str) -> str:
    """Softmax over the scores that are not 0."""
    top = s("ReduceMax", scores, np.array([1]))
    kept = s("Greater", s("Abs", scores), NOTHING)
    power = s("Exp", s("Sub", scores, top))
    rest = s("Mul", scores, s("Exp", s("Neg", top)))
    total = s.total(s("Where", kept, power, 0.0), (1,))
    return s("Div", s("Where", kept, power, rest), total)
