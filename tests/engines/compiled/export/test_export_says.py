"""What a compiled model says about itself, and what is refused."""

from __future__ import annotations

import hashlib
import json
import re

import numpy as np
import onnx
import pytest

import onnxlin
from tests.engines.compiled.exported import facts, run, session
from tests.small import X, mlp, model

OPEN = "g (float[N,3] x, float[M] t) => (float[N,3] y) { y = Mul(x, x) }"
JUMP = """g (float[2] x) => (float[n] y) <float z = {1}> {
    s = ReduceSum<keepdims=0>(x)  c = Less(s, z)
    [branch] y = If <then_branch = a () => (float[2] p) { p = Neg(x) },
                     else_branch = b () => (float[4] q) { q = Concat<axis=0>(x, x) }> (c) }"""
BAD = "g (float[2] x, int64[1] n) => (float[m] y) { y = Expand(x, n) }"
SHAPE = {"x": (2, 3), "t": (1,)}


def test_metadata(tmp_path) -> None:
    source = tmp_path / "source.onnx"
    proto = mlp()
    proto.metadata_props.add(key="classes", value='["a", "b"]')
    onnx.save(proto, source)
    made = onnxlin.compile_model(source, mode="frozen", rounding="straight-through", shares=True)
    assert (made.producer_name, made.producer_version) == ("onnxlin", onnxlin.__version__)
    found = facts(made)
    assert found["classes"] == '["a", "b"]'
    own = {k.removeprefix("onnxlin."): v for k, v in found.items() if k.startswith("onnxlin.")}
    assert own["format"] == "1"
    assert own["version"] == onnxlin.__version__
    texts = (own["mode"], own["rounding"], own["direction"])
    assert texts == ("frozen", "straight-through", "adjoint")
    assert json.loads(own["columns"]) == [{"tensor": "x", "shape": [1, 3], "start": 0, "stop": 3}]
    assert json.loads(own["rows"]) == [{"tensor": "y", "shape": [1, 2], "start": 0, "stop": 2}]
    assert json.loads(own["names"]) == {
        "given": "seeds", "rows": "seeds_W", "bias": "seeds_b", "shares": "shares",
    }  # fmt: skip
    assert json.loads(own["shares"]) == ["first"]
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert json.loads(own["source"]) == {"graph": "g", "sha256": digest}
    assert json.loads(own["notes"]) == []
    assert "seeds_W = seeds @ W and seeds_b = seeds @ b, in frozen mode" in made.doc_string
    texts = {info.name: info.doc_string for info in (*made.graph.input, *made.graph.output)}
    assert texts["seeds_W"] == "(K, n_in) = seeds @ W, columns of W: entries of x, each in C order"
    assert all(texts[name] for name in json.loads(own["names"]).values())


def test_the_source_is_named_however_it_is_given() -> None:
    data = mlp().SerializeToString(deterministic=True)
    digests = {json.loads(facts(onnxlin.compile_model(given))["onnxlin.source"])["sha256"]
               for given in (data, mlp())}  # fmt: skip
    assert digests == {hashlib.sha256(data).hexdigest()}


def test_outputs_have_types_and_shapes() -> None:
    def shapes(made: onnx.ModelProto) -> dict:
        kinds = {i.name: i.type.tensor_type for i in (*made.graph.input, *made.graph.output)}
        assert {kind.elem_type for kind in kinds.values()} == {onnx.TensorProto.FLOAT}
        return {n: [d.dim_param or d.dim_value for d in t.shape.dim] for n, t in kinds.items()}

    assert shapes(onnxlin.compile_model(mlp(), shares=True)) == {
        "x": [1, 3], "seeds": ["K", 2],
        "y": [1, 2], "seeds_W": ["K", 3], "seeds_b": ["K"], "shares": ["K", 1],
    }  # fmt: skip
    assert shapes(onnxlin.compile_model(mlp(), direction="tangent")) == {
        "x": [1, 3], "tangents": ["K", 3], "y": [1, 2], "W_tangents": ["K", 2],
    }  # fmt: skip


def test_a_model_without_biases_has_no_shares() -> None:
    text = "g (float[2] x) => (float[2] y) { y = Relu(x) }"
    made = onnxlin.compile_model(model(text), shares=True)
    onnx.checker.check_model(made, full_check=True)
    seeds = np.eye(2, dtype=np.float32)
    found = run(session(made), {"x": seeds[0], "seeds": seeds})
    assert json.loads(facts(made)["onnxlin.shares"]) == []
    assert found["shares"].shape == (2, 0)
    assert found["seeds_b"].tolist() == [0, 0]


def test_open_axes_take_given_shapes() -> None:
    made = onnxlin.compile_model(model(OPEN), shapes=SHAPE)
    x = {"x": np.ones((2, 3), np.float32), "t": np.zeros(1, np.float32)}
    found = run(session(made), {**x, "seeds": np.eye(6, dtype=np.float32)})
    np.testing.assert_array_equal(found["seeds_W"], 2 * np.eye(6, 7))


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        ({"direction": "up"}, onnxlin.OptionError, "direction='up'; expected one of ['adjoint'"),
        ({"direction": "tangent", "shares": True}, onnxlin.OptionError, "so there are no rows="),
        ({"direction": "tangent", "rows": [0]}, onnxlin.OptionError, "compile with direction='adj"),
        ({"mode": "secant"}, onnxlin.OptionError, "mode='secant'; expected one of"),
        ({"rounding": "up"}, onnxlin.OptionError, "rounding='up'; expected one of"),
        ({"x": X, "shapes": {}}, onnxlin.OptionError, "leave out shapes=, or x="),
        ({"x": X[0]}, onnxlin.InputError, "A batch axis seems to be missing"),
        ({"shapes": {"z": (1,)}}, onnxlin.InputError, "names ['z'], which are no inputs"),
        ({"shapes": {"x": (1, 4)}}, onnxlin.InputError, "Input 'x' has shape (1, 4)"),
        ({"rows": [2]}, onnxlin.RowsError, "rows=[2] do not exist"),
        ({"outputs": "no"}, onnxlin.TensorNameError, "no such tensor"),
        ({"path": "no/folder/m.onnx"}, onnxlin.OptionError, "Cannot write 'no/folder/m.onnx': No"),
    ],
)
def test_what_is_refused(call, kind, words) -> None:
    with pytest.raises(kind, match=re.escape(words)):
        onnxlin.compile_model(mlp(), **call)


def test_open_axes_are_all_named() -> None:
    words = "leaves some open: {'x': float32[Nx3], 't': float32[M]}. Say them with shapes={name"
    with pytest.raises(onnxlin.InputError, match=re.escape(words)):
        onnxlin.compile_model(model(OPEN))


def test_a_model_that_cannot_be_compiled_says_where() -> None:
    words = r"cannot be compiled: values decide which branch If at node 'branch' takes, and the two"
    with pytest.raises(onnxlin.CompileError, match=words):
        onnxlin.compile_model(model(JUMP))
    onnxlin.compile_model(model(JUMP), outputs=["s"])


def test_a_made_up_instance_that_does_not_run_says_so() -> None:
    words = "The instance was made up from the input shapes: give a real one as x="
    with pytest.raises(onnxlin.TraceError, match=words):
        onnxlin.compile_model(model(BAD), shapes={"x": (2,), "n": (1,)})
    with pytest.raises(onnxlin.TraceError) as found:
        onnxlin.compile_model(model(BAD), x={"x": np.ones(2), "n": np.array([3])})
    assert "made up" not in str(found.value)


def test_what_is_no_tensor_cannot_be_made_up() -> None:
    text = """g (seq(float[2]) s, float[2] x) => (float[2] y) <int64 i = {0}> {
        e = SequenceAt(s, i)  y = Add(e, x) }"""
    with pytest.raises(onnxlin.InputError, match="Input 's' is no tensor but a sequence"):
        onnxlin.compile_model(model(text))
