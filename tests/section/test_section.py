"""Which nodes lie between two ends, and what depends on what."""

from __future__ import annotations

import pytest

from onnxlin.load import load
from onnxlin.section import make_section
from tests.small import model

# c is compared only: it decides a Where, and no dependence on x goes through it.
TEXT = """
g (float[2] x) => (float[2] y) {
    [before] a = Neg(x)  [beside] dead = Exp(x)  [on] r = Relu(a)  [compared] c = Mul(a, a)
    [decides] test = Greater(c, r)  [end] y = Where(test, r, a)
}
"""


@pytest.mark.parametrize(
    ("inputs", "outputs", "deciding", "nodes", "live"),
    [
        (None, None, False, "before on end", "x a r y"),
        (None, None, True, "before on compared decides end", "x a r c y"),
        ("a", None, False, "on end", "a r y"),
        ("a", "r", True, "on", "a r"),
        ("r", None, False, "end", "r y"),
        ("r", None, True, "decides end", "r y"),
        ("x", "x", False, "", "x"),
    ],
)
def test_nodes_between(
    inputs: str | None, outputs: str | None, deciding: bool, nodes: str, live: str
) -> None:
    found = make_section(load(model(TEXT)), inputs, outputs, deciding=deciding)
    assert [node.name for node in found.nodes] == nodes.split()
    assert found.live == set(live.split())
    assert found.varying == {"x", "a", "dead", "r", "c", "test", "y"}
    assert not found.carriers
    assert found.deciding == deciding
