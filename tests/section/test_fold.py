"""What is the same for every x is computed once, and a weight that is turned round not at all."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.load import load
from onnxlin.section.fold import fold
from tests.small import model

# A head tied to its embedding, by one transpose and by two; doubled, it is a tensor of its own.
TEXT = """
g (int64[3] ids) => (float[3,40] y, float[3,40] z, float[3,40] v) <float[40,8] table> {{
    e = Gather(table, ids)  h = Tanh(e)
    turned = {spelt}
    y = MatMul(h, turned)
    doubled = Add(turned, turned)
    z = MatMul(h, doubled)
    v = Add(y, z)
}}
"""
SPELT = {
    "once": "Transpose <perm = [1, 0]> (table)",
    "by default": "Transpose(table)",
    "three times": "Transpose(back)",
}
TABLE = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)


def tied(spelt: str) -> onnx.ModelProto:
    text = TEXT.format(spelt=SPELT[spelt])
    if spelt == "three times":
        text = text.replace(
            "turned =", "there = Transpose(table)  back = Transpose(there)  turned ="
        )
    made = model(text)
    made.graph.initializer.append(onnx.numpy_helper.from_array(TABLE, "table"))
    return made


@pytest.mark.parametrize("spelt", SPELT)
def test_a_turned_weight_is_a_view(spelt: str) -> None:
    graph = load(tied(spelt))
    found = fold(graph, ["table", "turned", "doubled"])
    np.testing.assert_array_equal(found["turned"], TABLE.T)
    np.testing.assert_array_equal(found["doubled"], 2 * TABLE.T)
    assert np.shares_memory(found["turned"], graph.initialisers["table"])
    assert not np.shares_memory(found["doubled"], graph.initialisers["table"])


@pytest.mark.parametrize("spelt", SPELT)
@pytest.mark.parametrize("engine", ["explicit", "reverse", "forward", "compiled", "live"])
def test_maps_are_those_of_an_untied_head(spelt: str, engine: str) -> None:
    ids = np.array([3, 0, 39])
    m = onnxlin.linearize(tied(spelt), {"ids": ids}, outputs="y", engine=engine).verify()
    slope = 1 - np.tanh(TABLE[ids].astype(np.float64)) ** 2
    for step in range(3):
        own = m.W[40 * step : 40 * step + 40, 8 * step : 8 * step + 8]
        np.testing.assert_allclose(own, TABLE * slope[step], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("spelt", SPELT)
def test_a_compiled_file_holds_it_once(spelt: str) -> None:
    made = onnxlin.compile_model(tied(spelt), outputs="y", inputs="e")
    large = [t.name for t in made.graph.initializer if np.prod(t.dims) >= TABLE.size]
    assert len(large) == 1
