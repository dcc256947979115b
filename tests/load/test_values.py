"""Attributes with values that their operators do not have, which onnxruntime takes all the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxlin

LOSSES = ("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")


def model(node: onnx.NodeProto, stored: dict[str, list[int]]) -> onnx.ModelProto:
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array(v), name) for name, v in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("op_type", LOSSES)
@pytest.mark.parametrize("reduction", ["", "MEAN", "max"])
def test_reductions_that_are_none(op_type: str, reduction: str) -> None:
    node = helper.make_node(op_type, ["x", "t"], ["y"], "loss", reduction=reduction)
    with pytest.raises(onnxlin.ModelError, match=r"'loss' .* has reduction=.*can be 'mean'"):
        onnxlin.check_model(model(node, {"t": [0, 2]}))


@pytest.mark.parametrize("op_type", LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_reductions_that_there_are(op_type: str, reduction: str) -> None:
    node = helper.make_node(op_type, ["x", "t"], ["y"], reduction=reduction)
    onnxlin.linearize(model(node, {"t": [0, 2]}), np.ones((2, 3), np.float32)).verify()


@pytest.mark.parametrize("axis", [-(2**63), -1, 2])
@pytest.mark.parametrize("name", ["batch_axis", "time_axis"])
def test_axes_of_a_reversed_sequence_are_the_first_two(name: str, axis: int) -> None:
    node = helper.make_node("ReverseSequence", ["x", "n"], ["y"], **{name: axis})
    with pytest.raises(onnxlin.ModelError, match=f"{name}={axis}"):
        onnxlin.check_model(model(node, {"n": [1, 2, 1]}))
