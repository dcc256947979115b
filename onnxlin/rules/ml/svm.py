"""Support vector machines of ``ai.onnx.ml``, with onnxruntime's finishing touches."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy import special

from onnxlin.primitives import Array
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.sketch import Sketch, drawn, wide
from onnxlin.rules.ml.linear import floats, table
from onnxlin.rules.ml.scores import ML, several, single

# The coupling of pairwise probabilities stops at 0.005 / classes, or after so many rounds.
STOP, ROUNDS = 0.005, 100
# Pairwise probabilities stay that far from 0 and 1.
EDGE = 1e-7


def kernel(node: NodeAtX, s: Sketch, x: str, vectors: Array) -> str:
    """Kernel of each row with each support vector: ``(N, F), (V, F) -> (N, V)``."""
    kind, (gamma, shift, degree) = node.attr("kernel_type"), _parameters(node)
    if kind == "RBF":
        rows, features = wide(node.shape(0))
        apart = s("Sub", s.reshape(x, rows, 1, features), vectors[None])
        squares = s.total(s("Mul", apart, apart), (2,), keepdims=0)
        return s("Exp", s("Mul", squares, -gamma))
    if kind == "LINEAR":
        return s("Gemm", x, vectors, transB=1)
    line = s("Add", s("Gemm", x, vectors, transB=1, alpha=gamma), shift)
    return s("Tanh", line) if kind == "SIGMOID" else _power(s, line, degree)


def _parameters(node: NodeAtX) -> tuple[float, float, float]:
    """Gamma, coef0 and degree."""
    given = floats(node, "kernel_params")
    gamma, shift, degree = given[:3] if given.size else (0.0, 0.0, 0.0)
    return float(gamma), float(shift), float(degree)


def _power(s: Sketch, z: str, degree: float) -> str:
    """``z ** degree``, by multiplications where the runtime multiplies."""
    if degree in (2, 3):
        square = s("Mul", z, z)
        return square if degree == 2 else s("Mul", square, z)
    return s("Pow", z, degree)


@drawn("SVMRegressor", domain=ML)
def svm_regressor(node: NodeAtX, s: Sketch) -> str:
    """Weighted kernels plus ``rho``; with ``one_class`` only the sign, which is constant."""
    node.ignore("post_transform")  # the runtime does
    x, weights, rho = table(node, s), floats(node, "coefficients"), floats(node, "rho")[:1]
    count = node.attr("n_supports")
    if count:
        vectors = floats(node, "support_vectors").reshape(count, -1)
        y = s("Gemm", kernel(node, s, x, vectors), weights[:, None])
    else:
        node.ignore("kernel_type", "kernel_params", "support_vectors")
        y = s("Gemm", x, weights[:, None])
    y = s("Add", y, rho)
    return s("Where", s("Greater", y, 0.0), 1.0, -1.0) if node.attr("one_class") else y


@drawn("SVMClassifier", domain=ML)
def svm_classifier(node: NodeAtX, s: Sketch) -> list[str]:
    """Scores of all pairs of classes, or probabilities; the label is locally constant."""
    counts, transform = node.attr("vectors_per_class") or [], node.attr("post_transform")
    labels = node.attr("classlabels_strings") or node.attr("classlabels_ints")
    x, rho = table(node, s), floats(node, "rho")
    if not sum(counts):
        node.ignore("kernel_type", "kernel_params", "support_vectors", "prob_a", "prob_b")
        weights = floats(node, "coefficients").reshape(len(labels), -1)
        scores = s("Add", s("Gemm", x, weights, transB=1), rho[:1])
        return ["", _finished(node, s, scores, len(labels), None)]
    vectors = floats(node, "support_vectors").reshape(sum(counts), -1)
    weights = pair_weights(floats(node, "coefficients"), counts)
    pairs = weights.shape[1]
    scores = s("Add", s("Gemm", kernel(node, s, x, vectors), weights), rho[:pairs])
    if floats(node, "prob_a").size:
        scores = _probabilities(node, s, scores, len(counts))
        return ["", _finished(node, s, scores, len(counts), None)]
    pair = "opposite" if transform == "NONE" else "complement"
    return ["", _finished(node, s, scores, pairs, pair)]


def _finished(node: NodeAtX, s: Sketch, scores: str, count: int, pair: str | None) -> str:
    transform = node.attr("post_transform")
    if count == 1:
        return single(node, s, scores, transform, pair)
    return several(s, scores, transform)


def pair_weights(coefficients: Array, counts: list[int]) -> Array:
    """Weights of each support vector in the vote of each pair of classes: ``(V, pairs)``.

    ``coefficients : (classes - 1, V)`` has, for a vector of class i, its weight against class j in
    row j, or in row j - 1 for j > i.
    """
    table_ = coefficients.reshape(-1, sum(counts))
    owner = np.repeat(np.arange(len(counts)), counts)
    columns = [
        np.where(owner == i, table_[j - 1], np.where(owner == j, table_[i], 0))
        for i, j in combinations(range(len(counts)), 2)
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _probabilities(node: NodeAtX, s: Sketch, scores: str, classes: int) -> str:
    """Probabilities from pairwise ones: ``(N, pairs) -> (N, classes)``.

    Source: Wu, Lin, Weng, Probability estimates for multi-class classification by pairwise
    coupling, JMLR 5 (2004), algorithm 2.
    """
    pairs = classes * (classes - 1) // 2
    slope, shift = (floats(node, name)[:pairs] for name in ("prob_a", "prob_b"))
    line = s("Add", s("Mul", scores, slope), shift)
    wins = s("Clip", s("Sigmoid", s("Neg", line)), EDGE, 1 - EDGE)
    rounds = _rounds(_wins(node, slope, shift), classes)
    return coupled(s, wins, classes, rounds)


def coupled(s: Sketch, wins: str, classes: int, rounds: int) -> str:
    """Couple pairwise probabilities, in so many rounds at most: ``(N, pairs) -> (N, classes)``.

    A row leaves off where it does at x; that makes it a smooth function of the pairwise ones.
    """
    quadratic = _quadratic(s, wins, classes)
    pivots = [s("Gather", quadratic, np.array(i), axis=1) for i in range(classes)]
    p = s("Add", s("Mul", s.crop(wins, 1, 0, 1), 0.0), np.full((1, classes), 1 / classes))
    for _ in range(rounds):
        product = s("Squeeze", s("MatMul", quadratic, s("Unsqueeze", p, _ints(2))), _ints(2))
        size = s.total(s("Mul", p, product), (1,))
        error = s("ReduceMax", s("Abs", s("Sub", product, size)), _ints(1))
        going = s("GreaterOrEqual", error, STOP / classes)
        p = s("Where", going, _sweep(s, p, product, size, pivots), p)
    return p


def _sweep(s: Sketch, p: str, product: str, size: str, pivots: list[str]) -> str:
    """Improve one probability after the other."""
    for i, row in enumerate(pivots):
        pivot, own = s.crop(row, 1, i, i + 1), s.crop(product, 1, i, i + 1)
        step = s("Div", s("Sub", size, own), pivot)
        grown = s("Add", step, 1.0)
        gain = s("Mul", step, s("Add", s("Mul", step, pivot), s("Mul", own, 2.0)))
        size = s("Div", s("Div", s("Add", size, gain), grown), grown)
        product = s("Div", s("Add", product, s("Mul", step, row)), grown)
        p = s("Div", s("Add", p, s("Mul", step, np.eye(len(pivots))[i : i + 1])), grown)
    return p


def _quadratic(s: Sketch, wins: str, classes: int) -> str:
    """Matrix of the quadratic form that the coupling minimises: ``(N, classes, classes)``."""
    place, upper = np.zeros((classes, classes), dtype=np.int64), np.triu(np.ones(classes), 1)
    for n, (i, j) in enumerate(combinations(range(classes), 2)):
        place[i, j] = place[j, i] = n
    # r[i, j] is the probability of i against j, and 1 - r[i, j] that of j.
    chosen = s("Gather", wins, place, axis=1)
    r = s("Add", s("Mul", chosen, upper - upper.T), upper.T)
    across = s("Neg", s("Mul", r, s.transpose(r, 0, 2, 1)))
    own = s.transpose(s.total(s("Mul", r, r), (1,)), 0, 2, 1)
    return s("Add", across, s("Mul", own, np.eye(classes)))


def _ints(*values: int) -> Array:
    return np.array(values, dtype=np.int64)


def _wins(node: NodeAtX, slope: Array, shift: Array) -> Array:
    """Pairwise probabilities at x: ``(N, pairs)``."""
    counts = node.attr("vectors_per_class")
    x = node.native(0).reshape(wide(node.shape(0))).astype(np.float64)
    vectors = floats(node, "support_vectors").reshape(sum(counts), -1)
    weights = pair_weights(floats(node, "coefficients"), counts)
    scores = _kernel_at(node, x, vectors) @ weights + floats(node, "rho")[: len(slope)]
    return np.clip(special.expit(-(scores * slope + shift)), EDGE, 1 - EDGE)


def _kernel_at(node: NodeAtX, x: Array, vectors: Array) -> Array:
    kind, (gamma, shift, degree) = node.attr("kernel_type"), _parameters(node)
    if kind == "RBF":
        return np.exp(-gamma * ((x[:, None] - vectors[None]) ** 2).sum(axis=-1))
    line = x @ vectors.T.astype(np.float64)
    if kind == "LINEAR":
        return line
    line = gamma * line + shift
    return np.tanh(line) if kind == "SIGMOID" else line**degree


def _rounds(wins: Array, classes: int) -> int:
    """Rounds after which every row has left off, and one to spare for other rounding."""
    first, second = zip(*combinations(range(classes), 2), strict=True)
    r = np.zeros((len(wins), classes, classes))
    r[:, first, second], r[:, second, first] = wins, 1 - wins
    q = -r * r.swapaxes(1, 2)
    q[:, range(classes), range(classes)] = (r * r).sum(axis=1)
    return 1 + max((_rounds_of(row) for row in q), default=0)


def _rounds_of(q: Array) -> int:
    p = np.full(len(q), 1 / len(q))
    for done in range(ROUNDS):
        if np.abs(q @ p - p @ q @ p).max() < STOP / len(q):
            return done
        for i in range(len(q)):
            p[i] += (p @ q @ p - q[i] @ p) / q[i, i]
            p /= p.sum()
    return ROUNDS - 1
