"""Quantising and dequantising as arithmetic are to the last bit what onnxruntime's kernels do."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from onnxlin.graph import Array
from onnxlin.lowering import Emitter
from onnxlin.lowering.codes import CODES, Codebook, Operand, dequantised, quantised

SCALES = (0.25, 0.1, 0.05, 0.03, 1 / 255, 7.7e-5)


def on_edges(dtype: Any, scale: float) -> Array:
    """Numbers anywhere, half way between two codes of any width, and out of every range."""
    rng, step = np.random.default_rng(0), np.float32(scale)
    anywhere = rng.normal(size=1000) * scale * 300
    halves = [(rng.integers(-n, n, 1000) + 0.5) * step for n in (600, 70_000)]
    ends = np.array([np.inf, -np.inf, 0.0, -0.0, 1e30, -1e30])
    with np.errstate(over="ignore"):
        found: Array = np.concatenate([anywhere, *halves, ends]).astype(dtype)[None]
    return np.concatenate([found, found[:, ::-1]])


def run(nodes: list[onnx.NodeProto], stored: dict[str, Array], x: Array, codes: Any) -> list[Array]:
    kinds = [int(helper.np_dtype_to_tensor_dtype(np.dtype(t))) for t in (x.dtype, codes, x.dtype)]
    given, *made = (
        helper.make_tensor_value_info(name, kind, x.shape)
        for name, kind in zip("xqy", kinds, strict=True)
    )
    kept = [onnx.numpy_helper.from_array(array, name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "g", [given], made, kept)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    found: list[Array] = session.run(["q", "y"], {"x": x})
    return found


@pytest.mark.parametrize("codes", sorted(CODES, key=str), ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("lines", [False, True], ids=["one", "each-line"])
@pytest.mark.parametrize("constant", [True, False], ids=["stored", "computed"])
def test_the_arithmetic_is_the_kernels(codes: Any, dtype: Any, lines: bool, constant: bool) -> None:
    info = np.iinfo(codes)
    for scale in SCALES:
        for zero in (0, 3, int(info.min), int(info.max)):
            stored = {
                "s": np.asarray([scale, scale / 2] if lines else scale, dtype),
                "z": np.asarray([zero, 1] if lines else zero, codes),
            }
            x = on_edges(dtype, scale)
            axis = {"axis": 0} if lines else {}
            nodes = [
                helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], **axis),
                helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], **axis),
            ]
            graph = Emitter(np.float32, ["x", "q", "y", *stored])
            for name, array in stored.items():
                graph.keep(name, array)
            book = Codebook(
                *(
                    Operand(n, a.dtype, a if constant else None, (2, 1) if lines else None)
                    for n, a in stored.items()
                )
            )
            quantised(graph, Operand("x", x.dtype), book, codes, "q")
            dequantised(graph, Operand("q", codes), book, "y")
            written = graph.finished(["q", "y"])
            for ours, theirs in zip(
                run(written, graph.stored, x, codes), run(nodes, stored, x, codes), strict=True
            ):
                np.testing.assert_array_equal(ours, theirs)
