"""Tree ensembles of ``ai.onnx.ml``: locally constant, with jumps at the thresholds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from onnxlin.primitives import Array, Select
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.guards import Guard, side
from onnxlin.rules.ml.constant import held_pieces
from onnxlin.rules.ml.scores import ML
from onnxlin.rules.registry import rule


@rule(
    "TreeEnsemble",
    "TreeEnsembleClassifier",
    "TreeEnsembleRegressor",
    domain=ML,
    status="constant",
)
def tree_ensemble(node: NodeAtX) -> list[Affine]:
    """What the leaves give at x."""
    return [replace(piece, guards=lambda: [thresholds(node)]) for piece in held_pieces(node)]


def thresholds(node: NodeAtX) -> Guard:
    """Each row stays on its side of every threshold: ``(N, thresholds)``.

    Nodes off the path count as well, so the output may be the same beyond the nearest one.
    """
    features = np.asarray(node.attr("nodes_featureids"), dtype=np.int64)
    edges, modes = _thresholds(node), node.attr("nodes_modes")
    tests = np.ones(len(features), dtype=bool)
    if isinstance(modes, list):  # else every node is a test, and leaves are kept apart
        tests = np.array([mode != "LEAF" for mode in modes])
    x = node.native(0)
    columns, edges = features[tests], edges[tests].astype(np.float64)
    values = x.reshape(-1, x.shape[-1])[:, columns]
    place = np.arange(x.size).reshape(-1, x.shape[-1])[:, columns]
    kinds = _modes(modes)[tests]
    up = np.where((kinds == 1) | (kinds == 2), values >= edges, values > edges)
    low, high = side(up, edges)
    # Equal or not: neither side goes on beyond the threshold itself.
    met = ((kinds == 4) | (kinds == 5)) & (values == edges)
    low, high = np.where(met, edges, low), np.where(met, edges, high)
    # A test for members of a set has no threshold.
    none = np.isnan(edges)
    low, high = np.where(none, -np.inf, low), np.where(none, np.inf, high)
    return Guard({0: Select.of(x.shape, place)}, low, high, "threshold")


MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")


def _modes(modes: Any) -> Array:
    """Kinds of the tests as places in `MODES`, whichever way the file has them."""
    if isinstance(modes, list):
        return np.array([MODES.index(mode) if mode in MODES else -1 for mode in modes])
    return onnx.numpy_helper.to_array(modes).astype(np.int64)


def _thresholds(node: NodeAtX) -> Array:
    for name in ("nodes_splits", "nodes_values_as_tensor"):
        stored = node.attr(name)
        if stored is not None:
            return onnx.numpy_helper.to_array(stored)
    return np.asarray(node.attr("nodes_values"), dtype=np.float32)
