"""Compiled graphs of convolutional nets stay in their layout, and agree with reverse."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxlin import Linearizer
from onnxlin.lowering import winners

CHANNELS = 32


class Net:
    """Writes a net of images ``(1, 3, 24, 24)``, layer by layer."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def __call__(self, op_type: str, *inputs: str, **given: Any) -> str:
        name = f"{op_type}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [name], **given))
        return name

    def conv(self, x: str, before: int, after: int, size: int = 3, **given: Any) -> str:
        name = f"w{len(self.weights)}"
        weight = self.rng.normal(size=(after, before, size, size)) / size / before**0.5
        bias = self.rng.normal(size=after)
        for key, value in ((name, weight), (f"{name}b", bias)):
            self.weights.append(numpy_helper.from_array(value.astype(np.float32), key))
        return self("Conv", x, name, f"{name}b", pads=[size // 2] * 4, **given)

    def relu(self, *given: Any, **further: Any) -> str:
        return self("Relu", self.conv(*given, **further))

    def model(self, y: str) -> onnx.ModelProto:
        y = self("Flatten", self("GlobalAveragePool", y))
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 24, 24])],
            [helper.make_tensor_value_info(y, TensorProto.FLOAT, [1, CHANNELS])],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def fires() -> onnx.ModelProto:
    """Convolutions whose outputs are put side by side, behind a pool, as in SqueezeNet."""
    net = Net()
    x = net("MaxPool", net.relu("x", 3, CHANNELS), kernel_shape=[3, 3], strides=[2, 2])
    for _ in range(2):
        x = net.relu(x, CHANNELS, 16, 1)
        x = net("Concat", net.relu(x, 16, 16, 1), net.relu(x, 16, 16), axis=1)
    return net.model(net.relu(x, CHANNELS, CHANNELS, 1))


def residual() -> onnx.ModelProto:
    """Residual blocks, the second of which has strides, as in a ResNet."""
    net = Net()
    x = net.relu("x", 3, CHANNELS)
    x = net("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for step in ([1, 1], [2, 2], [1, 1]):
        inner = net.conv(net.relu(x, CHANNELS, CHANNELS, 1, strides=step), CHANNELS, CHANNELS)
        around = net.conv(x, CHANNELS, CHANNELS, 1, strides=step) if step == [2, 2] else x
        x = net("Relu", net("Add", inner, around))
    return net.model(x)


NETS = {"fires": fires, "residual": residual}


@pytest.fixture(params=list(NETS))
def model(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> onnx.ModelProto:
    monkeypatch.setattr(winners, "MANY", 0)
    return NETS[request.param]()


@pytest.mark.parametrize("rows", [[1], [0, 3, 5]], ids=["one", "many"])
def test_agrees_with_reverse(model: onnx.ModelProto, rows: list[int]) -> None:
    lin = Linearizer(model)
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=(1, 3, 24, 24)).astype(np.float32)
        x = np.where(x < 0.3, 0, x)  # windows of equals
        found, known = (lin(x, rows=rows, engine=engine) for engine in ("compiled", "reverse"))
        scale = np.abs(known.W).max()
        np.testing.assert_allclose(found.W, known.W, rtol=0, atol=2e-5 * scale)
        np.testing.assert_allclose(found.b, known.b, rtol=0, atol=2e-4)


@pytest.mark.parametrize("rows", [[1], [0, 3, 5]], ids=["one", "many"])
def test_nothing_leaves_the_layout_that_need_not(model: onnx.ModelProto, rows: list[int]) -> None:
    lin, x = Linearizer(model), np.ones((1, 3, 24, 24), np.float32)
    _ = lin(x, rows=rows, engine="compiled").W
    runner = lin._ready.shelf.latest(lin.feeds(x), single=len(rows) == 1)
    nodes = runner.compiled.model.graph.node
    made = {name: node for node in nodes for name in node.output}
    assert [len(node.output) for node in nodes if node.op_type == "MaxPool"] == [1]
    cut = [made.get(node.input[0]) for node in nodes if node.op_type == "Slice"]
    assert not [node for node in cut if node is not None and node.op_type == "Conv"]
    # The way in and around a block with strides are added up before they are spread.
    assert sum(node.op_type == "ConvTranspose" for node in nodes) <= 2
    # One row enters the layout once behind what has left it: the head, the pool, the one spread.
    assert (0 < sum(node.op_type == "AveragePool" for node in nodes) <= 4) == (len(rows) == 1)
