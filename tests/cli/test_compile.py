"""onnxlin compile: a file that runs without onnxlin, and what is said of it."""

from __future__ import annotations

import json
import os

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

import onnxlin
from onnxlin import cli
from onnxlin.engines.compiled.export import compilable
from tests.cli.helpers import write_model


@pytest.fixture
def open_shape() -> str:
    return write_model("open.onnx", [helper.make_node("Mul", ["x", "x"], ["y"])], x=("N", 3))


def rows(path, feeds) -> np.ndarray:
    return onnxruntime.InferenceSession(path).run(["seeds_W"], feeds)[0]


def test_compile(run, run_json, digit) -> None:
    code, out, err = run("compile", digit[0], "-o", "out.onnx", "--shares")
    assert (code, err) == (0, "")
    assert f"{digit[0]}: 12 nodes, {os.path.getsize(digit[0]):,} bytes -> " in out
    for line in ("image", "seeds ", "logits ", "seeds_W", "K x 784", "shares"):
        assert f"  {line}" in out
    assert 'session = onnxruntime.InferenceSession("out.onnx")' in out
    assert 'session.run(None, {"image": ..., "seeds": ...})' in out
    assert f"wrote out.onnx, {os.path.getsize('out.onnx'):,} bytes" in out
    found = run_json("compile", digit[0], "-o", "out.onnx", "--mode", "frozen")
    made = onnx.load("out.onnx")
    assert found["files"] == {"out.onnx": os.path.getsize("out.onnx")}
    assert found["nodes"] == {"model": 12, "compiled": len(made.graph.node)}
    assert found["inputs"]["seeds"] == {"type": "float", "shape": ["K", 10]}
    assert list(found["outputs"]) == ["logits", "seeds_W", "seeds_b"]
    assert (found["mode"], found["direction"], found["shares"]) == ("frozen", "adjoint", None)
    x = np.random.default_rng(0).random((1, 1, 28, 28)).astype(np.float32)
    m = onnxlin.linearize(digit[0], x, rows=[7])
    seeds = np.eye(10, dtype=np.float32)[7:8]
    gap = rows("out.onnx", {"image": x, "seeds": seeds}) @ m.x - m.W @ m.x
    assert (np.abs(gap) <= m.bound * m.scale).all()


def test_a_file_for_another_provider(run, run_json, digit) -> None:
    name = "OpenVINOExecutionProvider"
    found = run_json("compile", digit[0], "-o", "out.onnx", "--provider", name)
    assert found["provider"] == name
    assert "HardSigmoid" not in {node.op_type for node in onnx.load("out.onnx").graph.node}
    out = run("compile", digit[0], "-o", "out.onnx", "--provider", name)[1]
    assert f'InferenceSession("out.onnx", providers=["{name}"])' in out
    found = run_json("compile", digit[0], "-o", "out.onnx")
    assert found["provider"] == "CPUExecutionProvider"
    assert "HardSigmoid" in {node.op_type for node in onnx.load("out.onnx").graph.node}
    code, _, err = run("compile", digit[0], "-o", "out.onnx", "--provider", "openvino")
    assert (code, "Did you mean OpenVINOExecutionProvider?" in err) == (1, True)


def test_tangents_from_an_inner_tensor_and_weights_apart(run_json, digit) -> None:
    hidden = onnxlin.Linearizer(digit[0]).graph.nodes[-2].outputs[0]
    found = run_json("compile", digit[0], "-o", "out.onnx", "--direction", "tangent",
                     "--outputs", hidden, "--external-data")  # fmt: skip
    assert list(found["files"]) == ["out.onnx", "out.onnx.data"]
    assert list(found["outputs"]) == [hidden, "W_tangents"]
    assert found["rows"][0]["tensor"] == hidden
    again = run_json("compile", "out.onnx", "-o", "again.onnx", "--inputs", "image",
                     "--outputs", hidden, "--shape", "tangents=2,784")  # fmt: skip
    assert again["model_bytes"] == sum(found["files"].values())


def test_shapes_that_the_model_leaves_open(run, open_shape) -> None:
    code, _, err = run("compile", open_shape, "-o", "out.onnx")
    assert code == 1
    assert "the model leaves some open: {'x': float32[Nx3]}" in err
    assert run("compile", open_shape, "-o", "out.onnx", "--shape", "x=2,3")[0] == 0
    x = np.ones((2, 3), np.float32)
    found = rows("out.onnx", {"x": x, "seeds": np.eye(6, dtype=np.float32)})
    np.testing.assert_array_equal(found, 2 * np.eye(6))


def test_notes_are_shown(run, fixtures) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Softmax", ["r"], ["y"])]
    out = run("compile", write_model("s.onnx", nodes), "-o", "o.onnx", "--outputs", "logits")[1]
    assert 'note: outputs="logits" left out Softmax' in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.onnx", "-o", "out.onnx"], "No such model file: 'none.onnx'"),
        (["MODEL", "-o", "no/out.onnx"], "Cannot write 'no/out.onnx'"),
        (["MODEL", "-o", "MODEL"], "is the model itself. Give --out another name"),
        (["MODEL", "-o", "out.onnx", "--direction", "tangent", "--shares"], "takes tangents"),
        (["MODEL", "-o", "out.onnx", "--shape", "z=1"], "names ['z'], which are no inputs"),
        (["JUMP", "-o", "out.onnx"], "cannot be compiled: values decide which branch If"),
    ],
)
def test_what_cannot_be_compiled_is_exit_code_1(run, digit, jump, arguments, words) -> None:
    places = {"MODEL": digit[0], "JUMP": jump}
    code, out, err = run("compile", *(places.get(a, a) for a in arguments))
    assert (code, out) == (1, "")
    assert words in err
    assert not os.path.exists("out.onnx")


@pytest.mark.parametrize("shape", ["x", "=1", "x=a", "x=1,-1"])
def test_a_shape_that_is_none_is_exit_code_2(run, shape) -> None:
    code, _, err = run("compile", "m.onnx", "-o", "out.onnx", "--shape", shape)
    assert code == 2
    assert f"{shape!r} is no NAME=1,3,224,224" in err


def test_a_scalar_has_an_empty_shape(run) -> None:
    model = write_model("scalar.onnx", [helper.make_node("Relu", ["x"], ["y"])], x=None)
    assert run("compile", model, "-o", "out.onnx", "--shape", "x=")[0] == 0
    found = rows("out.onnx", {"x": np.array(2, np.float32), "seeds": np.ones((1, 1), np.float32)})
    assert found.tolist() == [[1]]


def test_an_older_second_file_goes(run_json, digit) -> None:
    hidden = onnxlin.Linearizer(digit[0]).graph.nodes[0].outputs[0]
    run_json("compile", digit[0], "-o", "out.onnx", "--external-data")
    found = run_json("compile", digit[0], "-o", "out.onnx", "--external-data", "--outputs", hidden)
    assert list(found["files"]) == ["out.onnx"]
    assert not os.path.exists("out.onnx.data")


@pytest.fixture
def jump() -> str:
    """A branch that x decides."""
    from tests.engines.compiled.export.test_export_says import JUMP
    from tests.small import model

    onnx.save(model(JUMP), "jump.onnx")
    return "jump.onnx"


def test_check_says_whether_a_model_compiles(run, run_json, digit, jump, open_shape) -> None:
    found = run_json("check", digit[0])
    assert (found["compiles"], found["not_compiled_because"]) == (True, None)
    assert "compiles: yes (onnxlin compile, --engine compiled)" in run("check", digit[0])[1]
    found = run_json("check", jump)
    assert found["compiles"] is False
    assert "compiles: no, values decide which branch If" in run("check", jump)[1]
    assert run_json("check", open_shape)["compiles"]
    assert run_json("check", digit[0], "--compiling", "no")["compiles"] is None
    assert "compiles: not tried" in run("check", digit[0], "--compiling", "no")[1]


def test_check_tries_large_models_on_demand_only(run_json, digit, monkeypatch) -> None:
    monkeypatch.setattr(compilable, "LARGEST", 1000)
    found = run_json("check", digit[0])
    assert (found["compiles"], found["not_compiled_because"]) == (
        None, "not tried: the weights take 0.0 GiB",
    )  # fmt: skip
    assert run_json("check", digit[0], "--compiling", "yes")["compiles"]


def test_check_tries_lengths_of_open_axes(run_json) -> None:
    """A window of 5 by 5 fits 16 entries, and never one."""
    nodes = [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[5, 5])]
    found = run_json("check", write_model("pool.onnx", nodes, x=("N", 1, "H", "W")))
    assert found["compiles"]
    nodes = [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[99, 99])]
    found = run_json("check", write_model("pool.onnx", nodes, x=("N", 1, "H", "W")))
    assert found["compiles"] is None
    assert found["not_compiled_because"].startswith("not tried: onnxruntime cannot run")


def test_check_passes_on_what_a_rule_refuses(run_json) -> None:
    nodes = [helper.make_node("Dropout", ["x", "r", "t"], ["y"], name="drop")]
    model = write_model("drop.onnx", nodes, r=np.float32(0.5), t=np.array(True))
    found = run_json("check", model)
    assert found["compiles"] is False
    assert "Dropout at node 'drop': training_mode is true" in found["not_compiled_because"]


def test_check_names_obstacles_first(run) -> None:
    nodes = [helper.make_node("Dice", ["x"], ["y"], domain="my.domain")]
    code, out, _ = run("check", write_model("dice.onnx", nodes), "--json")
    assert code == 3
    found = json.loads(out)
    assert (found["compiles"], found["not_compiled_because"]) == (False, "nodes are unsupported")


def test_the_mode_that_does_not_compile_is_named(run_json, monkeypatch) -> None:
    tried = compilable.compiled_at

    def only_tangent(section, mode, **options) -> object:
        if mode == "frozen":
            raise onnxlin.CompileError("no") from ValueError("not today")
        return tried(section, mode, **options)

    monkeypatch.setattr(compilable, "compiled_at", only_tangent)
    model = write_model("tanh.onnx", [helper.make_node("Tanh", ["x"], ["y"])])
    assert run_json("check", model)["not_compiled_because"] == "not today (frozen mode)"


def test_the_compiled_engine_may_be_asked_for(run_json, digit) -> None:
    found = run_json("verify", digit[0], "--engine", "compiled")
    assert found["pass"]
    assert found["checks"][0]["engine"] == "compiled"
    assert {"compile", "check"} <= set(cli.COMMANDS)


def test_a_batch_axis_is_open_when_asked_for(run_json, run, digit) -> None:
    found = run_json("compile", digit[0], "-o", "many.onnx", "--batch", "--shares")
    assert found["inputs"]["image"]["shape"] == ["N", 1, 28, 28]
    assert found["inputs"]["seeds"]["shape"] == ["N", "K", 10]
    assert found["outputs"]["seeds_W"]["shape"] == ["N", "K", 784]
    out = run("compile", digit[0], "-o", "many.onnx", "--batch")[1]
    assert "N x 1 x 28 x 28" in out
