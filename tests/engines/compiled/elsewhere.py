"""A section compiled at one x and asked at another, beside the engines that interpret it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

import onnxlin
from onnxlin import AffineMap, Linearizer
from onnxlin.engines.seeds import Seeds
from onnxlin.graph import Array
from onnxlin.testing import GrownModel
from tests.twin import by_hand


def plain() -> onnxruntime.SessionOptions:
    """Options without optimisers: the forward pass is to the last bit what the other engines see.

    Fused kernels round differently, so a unit within a rounding of its kink may lie on its other
    side. Both maps are then right, but they differ.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return options


def elsewhere(x: dict[str, Array], seed: int = 0) -> dict[str, Array]:
    """Another x of the same shapes: other signs, other maxima, another order."""
    rng = np.random.default_rng(seed)
    moved = {name: rng.normal(size=value.shape) - value[..., ::-1] if value.ndim else -value
             for name, value in x.items()}  # fmt: skip
    return {name: value.astype(np.float32) for name, value in moved.items()}


def compiled(grown: GrownModel, **options: Any) -> Linearizer | None:
    """A linearizer that has compiled a grown model at its x; None if it says that it cannot."""
    lin = Linearizer(grown.model, **({"session_options": plain()} | options))
    try:
        lin(grown.x, engine="compiled")
    except onnxlin.OptionError:
        return None
    return lin


def assert_agrees(lin: Linearizer, x: dict[str, Array], rows: Any = None) -> AffineMap | None:
    """The compiled map at x is that of the reverse engine, within what rounding can do to it.

    Returns
    -------
    The compiled map; None where there is none at x, for the same reason by either engine.
    """
    try:
        other = lin(x, rows, engine="reverse")
    except onnxlin.TraceError as error:
        with pytest.raises(onnxlin.TraceError, match=str(error)[:20]):
            lin(x, rows, engine="compiled")
        return None
    m = lin(x, rows, engine="compiled")
    assert (m.engine, m.dtype, m.mode) == ("compiled", other.dtype, other.mode)
    assert m.W.shape == other.W.shape
    # A share that is 0 may be left out, and a branch that is not taken has shares that are 0.
    further = m.bias_by_node.keys() - other.bias_by_node.keys()
    assert not any(m.bias_by_node[name].any() for name in further)
    hand = by_hand(lin(x, engine="reverse"), apart=True)
    slack, bias_slack = (
        sized(m.rows, each, hand.roundings) for each in (hand.slack, hand.bias_slack)
    )
    far = np.abs(m.W - other.W) > slack
    pools = any(node.op_type == "AveragePool" for node in lin.section.nodes)
    if far.any() and pools and other.near_kinks(1e-6):
        return None  # operator sets add up windows in another order: a tie may fall otherwise
    assert not far.any(), (np.argwhere(far), m.W[far], other.W[far], slack[far])
    for name, share in other.bias_by_node.items():
        gap = np.abs(m.bias_by_node.get(name, np.zeros(len(share))) - share)
        assert (gap <= bias_slack).all(), (name, gap, bias_slack)
    assert (np.abs(m.y - other.y) <= other.bound * other.scale).all(), (m.y, other.y)
    return m


def sized(rows: Seeds, slack: Array, roundings: int) -> Array:
    """Slack of the rows asked; a combination is one more sum, over the rows."""
    if rows.matrix is None:
        return slack[rows.index]
    return (1 + rows.size / roundings) * (np.abs(rows.matrix) @ slack)
