"""Scaling, normalising and linear models of ``ai.onnx.ml``."""

from __future__ import annotations

import numpy as np

from onnxlin.graph import is_float
from onnxlin.primitives import Along, Array, Crop, Diagonal, Reshape, adjoint, chain
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.sketch import FLOAT, Sketch, drawn, wide
from onnxlin.rules.guards import entrywise, side, sign_of
from onnxlin.rules.ml.scores import ML, several, single
from onnxlin.rules.registry import rule


def table(node: NodeAtX, s: Sketch) -> str:
    """Input 0 as float32 rows; a vector is one row. The kernels compute in float32."""
    x = s.input(0)
    if node.operand(0).native.dtype != np.float32:
        x = s("Cast", x, to=FLOAT)
    s.dtype = np.dtype(np.float32)
    if len(node.shape(0)) > 2:
        raise node.refuse(f"the input has {len(node.shape(0))} axes")
    return s.reshape(x, *wide(node.shape(0)))


def floats(node: NodeAtX, name: str) -> Array:
    """Return an attribute as float32 numbers, none where it is left out."""
    given = node.attr(name)
    return np.array([] if given is None else given, dtype=np.float32)


def _per_feature(node: NodeAtX, values: Array) -> Array:
    """Spread one number, or one a feature, over input 0: ``shape(0)``."""
    return np.resize(values, node.shape(0))


@rule("Scaler", domain=ML)
def scaler(node: NodeAtX) -> Affine:
    """``(x - offset) * scale``, numbers for all features or one each."""
    scale, offset = (_per_feature(node, floats(node, name)) for name in ("scale", "offset"))
    factor = node.cast(scale)
    return Affine({0: Diagonal.of(node.shape(0), factor)}, -node.cast(offset) * factor)


@drawn("Normalizer", domain=ML)
def normalizer(node: NodeAtX, s: Sketch) -> str:
    """Divide each row by its largest entry, or by its L1 or L2 norm, where that is not 0."""
    x, kind = table(node, s), node.attr("norm")
    if kind == "MAX":
        size = s("ReduceMax", x, np.array([1]))
    elif kind == "L1":
        size = s.total(s("Abs", x), (1,))
    else:
        size = s("Sqrt", s.total(s("Mul", x, x), (1,)))
    divisor = s("Where", s("Equal", size, 0.0), 1.0, size)
    return s.reshape(s("Div", x, divisor), *node.out_shape)


@drawn("LinearRegressor", domain=ML)
def linear_regressor(node: NodeAtX, s: Sketch) -> str:
    """``x coefficients' + intercepts``, transformed."""
    targets, transform = node.attr("targets"), node.attr("post_transform")
    weights, shift = floats(node, "coefficients"), floats(node, "intercepts")
    scores = s("Gemm", table(node, s), weights.reshape(targets, -1), transB=1)
    if shift.size == targets:  # the runtime drops any other number of them
        scores = s("Add", scores, shift)
    if targets == 1:
        return single(node, s, scores, transform, None)
    return several(s, scores, transform)


@drawn("LinearClassifier", domain=ML)
def linear_classifier(node: NodeAtX, s: Sketch) -> list[str]:
    """Scores of the classes; the label is locally constant."""
    node.ignore("multi_class", "classlabels_ints", "classlabels_strings")
    shift, transform = floats(node, "intercepts"), node.attr("post_transform")
    weights = floats(node, "coefficients").reshape(shift.size, -1)
    scores = s("Gemm", table(node, s), weights, shift, transB=1)
    if shift.size > 1:
        return ["", several(s, scores, transform)]
    pair = "complement" if node.out_shapes[1][1] == 2 else None
    return ["", single(node, s, scores, transform, pair)]


@rule("Imputer", domain=ML)
def imputer(node: NodeAtX) -> Affine:
    """The input, with another number where it equals a certain one at x."""
    node.ignore("imputed_value_floats", "imputed_value_int64s", "replaced_value_int64")
    whole = not is_float(node.result().dtype)
    given = "replaced_value_int64" if whole else "replaced_value_float"
    x, missing = node.native(0), np.float32(node.attr(given))
    mask = np.isnan(x) if np.isnan(missing) else x == missing
    filled = floats(node, "imputed_value_int64s" if whole else "imputed_value_floats")
    features = node.shape(0)[0] if x.ndim == 1 else node.shape(0)[1]
    filled = _per_feature(node, filled if filled.size == features else filled[:1])
    guards = lambda: [] if np.isnan(missing) else [entrywise(x.shape, sign_of(x, float(missing)))]
    copied = Diagonal.of(x.shape, node.cast(~mask))
    return Affine({0: copied}, node.cast(np.where(mask, filled, 0)), roundings=0, guards=guards)


@rule("Binarizer", domain=ML, status="constant")
def binarizer(node: NodeAtX) -> Affine:
    """1 above the threshold, else 0."""
    x, threshold = node.native(0), np.float32(node.attr("threshold"))
    guards = lambda: [entrywise(x.shape, side(x > threshold, float(threshold)), "threshold")]
    return Affine({}, node.cast(node.result()), guards=guards)


@rule("FeatureVectorizer", domain=ML)
def feature_vectorizer(node: NodeAtX) -> Affine:
    """Tables side by side, each cut or filled with 0 to its share of the columns."""
    shape, at, terms = node.out_shape, 0, {}
    for i, width in enumerate(node.attr("inputdimensions")):
        rows, own = shape[0], int(np.prod(node.shape(i)[1:], dtype=np.int64))
        kept = min(own, width)
        cut = Crop.along((rows, own), 1, 0, kept)
        terms[i] = chain(
            Reshape(node.shape(i), (rows, own)), cut, adjoint(Crop.along(shape, 1, at, kept))
        )
        at += width
    return Affine(terms, roundings=0)


@rule("ArrayFeatureExtractor", domain=ML, constant=(1,))
def array_feature_extractor(node: NodeAtX) -> Affine:
    """Chosen entries of the last axis."""
    shape = node.shape(0)
    lines = Along.take(shape, len(shape) - 1, node.constant(1).ravel().astype(np.int64))
    return Affine({0: chain(lines, Reshape(lines.out_shape, node.out_shape))}, roundings=0)
