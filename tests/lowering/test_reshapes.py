"""What is reshaped twice is reshaped once, whatever sizes stand for others."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxlin.lowering import Emitter
from onnxlin.runtime import session as door

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)

CHAINS = [
    ([[6, 4], [24]], 1),
    ([[6, 4], [-1]], 1),
    ([[6, 4], [3, -1], [4, 6]], 1),
    ([[6, 4], [0, 2, 2]], 1),
    ([[0, 12], [0, 4, 3]], 1),
    ([[-1, 4], [0, 2, 2]], 2),
    ([[6, 4], [3, 2, 4], [3, 0, 4]], 2),
    ([[6, 4], [0, 0]], 2),
]


@pytest.mark.parametrize(("shapes", "left"), CHAINS, ids=str)
def test_a_chain_is_what_its_nodes_are_one_by_one(shapes: list[list[int]], left: int) -> None:
    graph, name, expected = Emitter(np.dtype(np.float32), {"x"}), "x", X
    for shape in shapes:
        name = graph("Reshape", name, graph.ints(shape))
        sizes = [size if size else expected.shape[i] for i, size in enumerate(shape)]
        expected = expected.reshape(sizes)
    nodes = graph.finished([name])
    assert len(nodes) == left
    stored = [onnx.numpy_helper.from_array(a, n) for n, a in graph.stored.items()]
    body = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, X.shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, expected.shape)],
        stored,
    )
    proto = helper.make_model(body, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (found,) = door.run(door.opened(proto, door.for_compiled()), [name], {"x": X})
    np.testing.assert_array_equal(found, expected)


def test_sizes_of_0_that_are_meant_as_such_stay() -> None:
    graph = Emitter(np.dtype(np.float32), {"x"})
    inner = graph("Reshape", "x", graph.ints([0, 2]), allowzero=1)
    outer = graph("Reshape", inner, graph.ints([0, 2, 1]))
    assert [node.output[0] for node in graph.finished([outer])] == [inner, outer]
