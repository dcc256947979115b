"""Tree ensembles of ``ai.onnx.ml``: locally constant, with jumps at the thresholds."""

from __future__ import annotations

import numpy as np
import onnx

from onnxlin.primitives import Array
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.ml_constant import held_pieces
from onnxlin.rules.ml_scores import ML
from onnxlin.rules.registry import rule


@rule(
    "TreeEnsemble",
    "TreeEnsembleClassifier",
    "TreeEnsembleRegressor",
    domain=ML,
    status="constant",
)
def tree_ensemble(node: NodeAtX) -> list[Affine]:
    """What the leaves give at x; margins are the distances from all thresholds."""
    return [
        Affine(piece.terms, piece.bias, lambda: distances(node), roundings=0)
        for piece in held_pieces(node)
    ]


def distances(node: NodeAtX) -> Array:
    """Distance of each row from each threshold of its feature: ``(N, thresholds)``.

    Nodes off the path count as well, so that the nearest one is a lower bound.
    """
    features = np.asarray(node.attr("nodes_featureids"), dtype=np.int64)
    thresholds, modes = _thresholds(node), node.attr("nodes_modes")
    tests = np.ones(len(features), dtype=bool)
    if isinstance(modes, list):  # else every node is a test, and leaves are kept apart
        tests = np.array([mode != "LEAF" for mode in modes])
    x = node.native(0)
    rows = x.reshape(-1, x.shape[-1])
    gaps = np.abs(rows[:, features[tests]] - thresholds[tests])
    # A test for members of a set has no threshold.
    return np.where(np.isnan(gaps), np.inf, gaps)


def _thresholds(node: NodeAtX) -> Array:
    for name in ("nodes_splits", "nodes_values_as_tensor"):
        stored = node.attr(name)
        if stored is not None:
            return onnx.numpy_helper.to_array(stored)
    return np.asarray(node.attr("nodes_values"), dtype=np.float32)
