"""Nodes print what a model calls them so that no terminal obeys it, subgraphs included."""

from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from tests.hostile import NAME
from tests.limits import nets


@pytest.mark.parametrize("within", ["node", "body"])
def test_a_node_prints_nothing_that_is_obeyed(within: str) -> None:
    model = nets.loop(2) if within == "body" else nets.chain(2)
    node = model.graph.node[0]
    node.name = NAME
    if within == "body":
        node.attribute[0].g.node[1].name = NAME
    made = onnxlin.linearize(model, np.ones(2, np.float32))
    assert repr(onnxlin.Linearizer(model).graph.nodes).isprintable()
    assert repr(made.layers).isprintable()
