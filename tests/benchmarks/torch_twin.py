"""The same network as plain torch calls, for timing autograd beside onnxlin in one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
from onnx import numpy_helper


def torch_twin(model: onnx.ModelProto, output: str) -> Callable[[Any], Any]:
    """Return ``x -> output`` out of torch.nn.functional calls, for plain convolutional nets."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    weights = {
        t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in model.graph.initializer
    }
    source = next(i.name for i in model.graph.input if i.name not in weights)

    def attributes(node: onnx.NodeProto) -> dict[str, Any]:
        return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}

    def window(a: dict[str, Any]) -> tuple[Any, list[int]]:
        rank = len(a["kernel_shape"])
        return a.get("strides", [1] * rank), list(a.get("pads", [0] * 2 * rank))

    def apply(node: onnx.NodeProto, a: dict[str, Any], args: list[Any]) -> Any:
        match node.op_type:
            case "Conv":
                strides, pads = window(a)
                assert pads[:2] == pads[2:]
                bias = args[2] if len(args) > 2 else None
                return F.conv2d(args[0], args[1], bias, strides, pads[:2], groups=a.get("group", 1))
            case "MaxPool":
                strides, pads = window(a)
                assert pads[:2] == pads[2:]
                return F.max_pool2d(args[0], a["kernel_shape"], strides, pads[:2])
            case "Gemm":
                assert a.get("transB", 0) == 1
                return F.linear(*args)
            case "Relu":
                return F.relu(args[0])
            case "Concat":
                return torch.cat(args, a["axis"])
            case "GlobalAveragePool":
                return args[0].mean((2, 3), keepdim=True)
            case "Flatten":
                return args[0].flatten(a.get("axis", 1))
            case "Dropout":
                return args[0]
        raise NotImplementedError(node.op_type)

    def forward(x: Any) -> Any:
        values = weights | {source: x}
        for node in model.graph.node:
            values[node.output[0]] = apply(node, attributes(node), [values[i] for i in node.input])
            if node.output[0] == output:
                break
        return values[output]

    return forward
