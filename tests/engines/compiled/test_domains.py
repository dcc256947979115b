"""Operators of other domains, quantised numbers and double precision in a compiled model."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest

import onnxlin
from tests.engines.compiled.exported import Reference, integers, run, session
from tests.installed import require_quantising

HEAD = '<ir_version: 9, opset_import: ["": 21, "com.microsoft": 1, "ai.onnx.ml": 3]>\n'
X = {"x": np.array([[0.3, -1.2, 0.7, 2.0]], np.float32)}

MODELS = {
    "com.microsoft": "g (float[1,4] x) => (float[1,4] y) { h = com.microsoft.Gelu(x) y = Relu(h) }",
    "ai.onnx.ml": """g (float[1,4] x) => (float[1,4] y) {
        h = ai.onnx.ml.Scaler<offset = [0.5], scale = [2.0]>(x)  y = Relu(h) }""",
    "quantised": """g (float[1,4] x) => (float[1,4] y) <float s = {0.03}, uint8 z = {100}> {
        q = QuantizeLinear(x, s, z)  d = DequantizeLinear(q, s, z)  y = Relu(d) }""",
    "double": "g (double[1,4] x) => (double[1,4] y) { h = Sigmoid(x)  y = Mul(h, x) }",
}


@pytest.mark.parametrize("direction", ["adjoint", "tangent"])
@pytest.mark.parametrize("name", MODELS)
def test_models_of_all_kinds(name: str, direction: str, tmp_path) -> None:
    if name == "quantised":
        require_quantising()
    model, path = onnx.parser.parse_model(HEAD + MODELS[name]), str(tmp_path / "m.onnx")
    options = {"rounding": "straight-through"}
    made = onnxlin.compile_model(model, path, direction=direction, **options)
    onnx.checker.check_model(path, full_check=True)
    kind = made.graph.input[0].type.tensor_type.elem_type
    x = {"x": X["x"].astype(onnx.helper.tensor_dtype_to_np_dtype(kind))}
    want = Reference.at(model, x, **options)
    assert np.abs(want.W).sum() > 0
    given = integers(np.random.default_rng(0), 3, 4).astype(want.W.dtype)
    answer = run(session(path), {**x, made.graph.input[-1].name: given})
    (want.assert_rows if direction == "adjoint" else want.assert_columns)(given, answer)


def test_a_staircase_has_no_slope() -> None:
    require_quantising()
    made = onnxlin.compile_model(onnx.parser.parse_model(HEAD + MODELS["quantised"]))
    answer = run(session(made), {**X, "seeds": np.eye(4, dtype=np.float32)})
    assert not answer["seeds_W"].any()
    np.testing.assert_array_equal(answer["seeds_b"], answer["y"][0])
