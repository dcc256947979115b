"""The embeddings of a fused graph, opened, are those that onnxruntime computes in one node."""

from __future__ import annotations

from itertools import product

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

import onnxlin
from onnxlin.load import load
from onnxlin.section.starts import find_starts

MS = "com.microsoft"
RNG = np.random.default_rng(3)
FEEDS = {
    "ids": np.array([[3, 0, 5], [1, 1, 2]], np.int32),
    "types": np.array([[0, 0, 1], [1, 0, 1]], np.int32),
    "mask": np.array([[1, 1, 0], [1, 1, 1]], np.int32),
    "places": np.array([[1, 2, 0], [0, 1, 4]], np.int32),
}
TABLES = {"a": (7, 4), "b": (6, 4), "c": (2, 4), "gamma": (4,), "beta": (4,)}


def fused(types: bool, mask: bool, places: bool) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    given = {"ids": True, "types": types, "mask": mask, "places": places}
    feeds = {name: FEEDS[name] for name, there in given.items() if there}
    reads = ["ids", types and "types", "a", "b", types and "c", "gamma", "beta"]
    reads += [mask and "mask", places and "places"]
    node = helper.make_node(
        "EmbedLayerNormalization",
        [name or "" for name in reads],
        ["y", "counted", "sum"],
        domain=MS,
        epsilon=1e-3,
        name="embed",
    )
    stored = [
        onnx.numpy_helper.from_array(RNG.normal(size=shape).astype(np.float32), name)
        for name, shape in TABLES.items()
    ]
    outputs = [("y", 1, (2, 3, 4)), ("counted", 6, (2,)), ("sum", 1, (2, 3, 4))]
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info(name, 6, value.shape) for name, value in feeds.items()],
        [helper.make_tensor_value_info(*each) for each in outputs],
        stored,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MS, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8), feeds


def run(proto: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return session.run(["y", "counted", "sum"], feeds)


@pytest.mark.parametrize(("types", "mask", "places"), list(product([False, True], repeat=3)))
def test_opened_embeddings_are_the_same(types: bool, mask: bool, places: bool) -> None:
    proto, feeds = fused(types, mask, places)
    graph = load(proto)
    old, new = run(proto, feeds), run(graph.model, feeds)
    assert np.array_equal(old[1], new[1])
    for a, b in zip(old[::2], new[::2], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)
    assert "EmbedLayerNormalization" not in {node.op_type for node in graph.nodes}


def test_maps_start_at_the_tokens_inside() -> None:
    proto, feeds = fused(types=True, mask=True, places=False)
    kinds = find_starts(load(proto)).kinds
    assert [len(names) for names in kinds.values()] == [1, 1, 1, 0]
    m = onnxlin.linearize(proto, feeds, outputs="y", dtype=np.float64).verify()
    assert list(m.inputs) == ["embed:word_embedding~0"]
    np.testing.assert_array_equal(m.x.reshape(2, 3, 4), _table(proto, "a")[feeds["ids"]])


def _table(proto: onnx.ModelProto, name: str) -> np.ndarray:
    return next(onnx.numpy_helper.to_array(t) for t in proto.graph.initializer if t.name == name)
