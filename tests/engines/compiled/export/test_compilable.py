"""What `check_model` says of models that nobody can feed, or whose example would be too large."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, ValueInfoProto, helper

import onnxlin
from onnxlin import cli
from tests.small import model

FLOATS = helper.make_tensor_type_proto(TensorProto.FLOAT, [2])
KINDS = {
    "a sequence": helper.make_sequence_type_proto(FLOATS),
    "an optional": helper.make_optional_type_proto(FLOATS),
    "a map": helper.make_map_type_proto(TensorProto.INT64, FLOATS),
    "a sparse tensor": helper.make_sparse_tensor_type_proto(TensorProto.FLOAT, [2]),
    "nothing said": onnx.TypeProto(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_that_are_no_tensors_are_refused(kind, tmp_path, capsys) -> None:
    made = model("g (float[2] x) => (y) { y = Relu(x) }")
    made.graph.input.append(ValueInfoProto(name="strange", type=KINDS[kind]))
    report = onnxlin.check_model(made)
    assert not report.ok
    assert "'strange' is no tensor" in str(report.refused)
    with pytest.raises(onnxlin.InputError, match="'strange' is no tensor"):
        onnxlin.compile_model(made)
    path = tmp_path / "m.onnx"
    onnx.save(made, path)
    assert cli.main(["check", str(path)]) == 3
    assert "'strange' is no tensor" in capsys.readouterr().out


def test_text_is_an_input_that_can_be_given() -> None:
    made = model("g (float[2] x, string[2] s) => (y) { a = Cast <to = 1> (s)  y = Add(x, a) }")
    assert onnxlin.check_model(made).ok
    x = {"x": [1.0, 2.0], "s": ["3", "4.5"]}
    assert onnxlin.linearize(made, x).verify().y.tolist() == [4.0, 6.5]


@pytest.mark.parametrize("shape", [f"{2**40}", f"{2**62},4", f"{2**31},1", f"{2**62},n"])
def test_an_example_too_large_is_not_made(shape) -> None:
    made = model(f"g (float[{shape}] x) => (y) {{ y = Relu(x) }}")
    report = onnxlin.check_model(made)
    assert report.ok
    assert report.compiles is None
    assert "'x' is of shape" in str(report.not_compiled_because)


def test_a_limit_raised_lets_the_memory_decide(monkeypatch) -> None:
    made = model(f"g (float[{2**40}] x) => (y) {{ y = Relu(x) }}")
    with (
        onnxlin.limits.raised(entries=2**50),
        pytest.raises(onnxlin.LimitError, match="do not fit into the memory"),
    ):
        onnxlin.compile_model(made)


def test_an_output_named_twice_is_one() -> None:
    made = model("g (float[2] x) => (float[2] y, float[2] z) { y = Relu(x)  z = Tanh(x) }")
    made.graph.output.append(made.graph.output[0])
    assert onnxlin.linearize(made, [1.0, 2.0]).W.shape == (4, 2)
    assert onnxlin.check_model(made).outputs == ("y", "z")
