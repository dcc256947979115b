"""Commands tell the truth: what is left out, why W is 0, what onnxruntime refuses; no warnings."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnxlin
from onnxlin import cli
from tests.cli.helpers import write_model
from tests.small import model


def saved(text: str, name: str = "m.onnx", **metadata: str) -> str:
    proto = model(text)
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=value)
    onnx.save(proto, name)
    return name


@pytest.fixture
def x3() -> str:
    np.save("x3.npy", np.array([[1.0, 2.0, 3.0]], np.float32))
    return "x3.npy"


# Why W is 0

TOKENS = """g (float[1,3] x) => (float y) <float[9,2] E = {0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7}> {
    [cast] i = Cast<to = 7>(x)  [look] e = Gather(E, i)  y = Flatten(e) }"""
QUANTISED = """g (float[1,3] x) => (float y) <float s = {0.1}, uint8 z = {0}> {
    [in] q = QuantizeLinear(x, s, z)  y = DequantizeLinear(q, s, z) }"""
DEAD = "g (float[1,3] x) => (float y) { n = Neg(x)  [off] r = Relu(n)  y = Neg(r) }"
ROUND = "g (float[1,3] x) => (float y) { n = Neg(x)  [steps] r = Floor(n)  y = Neg(r) }"
CANCEL = "g (float[1,3] x) => (float y) { n = Neg(x)  y = Add(x, n) }"


@pytest.mark.parametrize(
    ("text", "why", "ways"),
    [
        (TOKENS, "it ends at Cast 'cast', which makes no floats: a step", ["--inputs e"]),
        (QUANTISED, "QuantizeLinear 'in'", ["--rounding straight-through"]),
        (DEAD, "Relu 'off', which is constant at this x", ["--inputs r", "--outputs n"]),
        (ROUND, "Floor 'steps', which is locally constant: a step", ["--inputs r", "--outputs n",
                                                                     "straight-through"]),
        (CANCEL, "every way from x to it cancels", []),
    ],
)  # fmt: skip
def test_a_row_of_zeros_says_why(run, x3, text, why, ways) -> None:
    name = saved(text)
    out = run("explain", name, x3, "--no-files")[1]
    assert "note    W is 0 in every row: " in out
    assert why in out
    for way in (*ways, "onnxlin region"):
        assert way in out.split("        try ")[1].splitlines()[0]
    found = json.loads(run("explain", name, x3, "--no-files", "--json")[1])["ended"]
    assert found["rows"] == list(range(len(found["rows"])))
    assert why in found["why"]


@pytest.mark.parametrize(("text", "option"), [(TOKENS, "--inputs e"), (DEAD, "--outputs n"),
                         (ROUND, "--rounding straight-through"), (ROUND, "--outputs n"),
                         (QUANTISED, "--rounding straight-through")])  # fmt: skip
def test_what_is_advised_has_a_matrix(run_json, x3, text, option) -> None:
    found = run_json("explain", saved(text), x3, "--no-files", *option.split())
    assert found["ended"] is None


def test_rows_with_a_matrix_say_nothing(run, run_json, digit, x3) -> None:
    assert run_json("explain", *digit, "--no-files")["ended"] is None
    half = "g (float[1,3] x) => (float y) <float[3,2] A = {1, 0, 1, 0, 1, 0}> { y = MatMul(x, A) }"
    out = run("explain", saved(half), x3, "--no-files")[1]
    assert "note    W is 0 in 1 of 2 rows" in out


# Predictions

HEADS = {
    "logits": ("y = Identity(z)", "Largest output"),
    "softmax": ("y = Softmax(z)", "Prediction: "),
    "sigmoid": ("y = Sigmoid(z)", "Largest output"),
    "regression": ("y = Relu(z)", "Largest output"),
}


def headed(head: str, **metadata: str) -> str:
    return saved(f"g (float[1,3] x) => (float y) {{ z = Neg(x)  {head} }}", **metadata)


@pytest.mark.parametrize("name", HEADS)
def test_only_logits_of_one_group_are_predictions(run, x3, name) -> None:
    head, words = HEADS[name]
    assert words in run("explain", headed(head), x3, "--no-files")[1]


def test_what_is_known_to_be_classes_is_a_prediction(run, x3) -> None:
    classes = {"classes": '["a", "b", "c"]'}
    assert (
        "Prediction: " in run("explain", headed("y = Identity(z)", **classes), x3, "--no-files")[1]
    )
    name = headed("y = Sigmoid(z)", **classes)
    assert "Largest" in run("explain", name, x3, "--no-files")[1]
    assert "Largest" in run("explain", name, x3, "--no-files", "--outputs", "logits")[1]
    name = headed("y = Softmax(z)")
    out = run("explain", name, x3, "--no-files")[1]
    assert (
        "note    y is made by Softmax at node 'Softmax:y': --outputs logits ends before it" in out
    )
    out = run("explain", name, x3, "--no-files", "--outputs", "logits")[1]
    assert "Prediction: 0, 66.5% (softmax of the outputs" in out
    assert "ends before it" not in out


# check


def blocked(before: int) -> str:
    """Some ReLUs, a node that no rule is for (see below), and another ReLU."""
    chain = [
        helper.make_node("Relu", [f"t{i}" if i else "x"], [f"t{i + 1}"]) for i in range(before)
    ]
    first = f"t{before}" if before else "x"
    chain.append(helper.make_node("Softsign", [first], ["d"], name="odd"))
    return write_model("odd.onnx", [*chain, helper.make_node("Relu", ["d"], ["y"])])


def test_an_obstacle_at_the_first_node_is_left_behind(run, monkeypatch) -> None:
    monkeypatch.delitem(onnxlin.RULES, ("", "Softsign"))
    code, out, _ = run("check", blocked(0))
    assert code == 3
    assert "--outputs x" not in out
    assert "fix  begin behind it: --inputs d; or write a rule" in out
    assert run("check", blocked(0), "--inputs", "d")[0] == 0
    out = run("check", blocked(2))[1]
    assert "fix  end before it: --outputs t2; or begin behind it: --inputs d; or write" in out


def test_what_onnxruntime_cannot_run_is_no_start(run) -> None:
    node = helper.make_node("Dice", ["x"], ["d"], name="dice", domain="my.domain")
    name = write_model("dice.onnx", [node, helper.make_node("Relu", ["d"], ["y"])])
    code, out, _ = run("check", name)
    assert code == 3
    assert "fix  write it with standard operators, as onnxruntime does not know it either" in out
    code, out, _ = run("check", name, "--inputs", "d")
    assert code == 3
    assert "my.domain:Dice is none of onnxruntime's operators" in out


@pytest.mark.parametrize(
    ("text", "options", "why"),
    [
        (DEAD, ["--outputs", "x"], "x is both an input and an output, so the map is the identity"),
        (
            TOKENS,
            [],
            "W is 0 at every x: dependence ends at Cast 'cast', inputs=['e'] start behind",
        ),
        (QUANTISED, [], "QuantizeLinear 'in', rounding=\"straight-through\" goes on"),
        (DEAD, ["--inputs", "r", "--outputs", "n"], "no path of floats leads"),
    ],
)
def test_a_map_without_nodes_does_not_pass(run, text, options, why) -> None:
    code, out, _ = run("check", saved(text), *options)
    assert code == 3
    assert "FAIL  the map holds no node: " in out
    assert why in out.splitlines()[-1]
    code, out, _ = run("check", saved(text), *options, "--json")
    assert why in json.loads(out)["empty"]


def test_nodes_outside_of_the_map_are_outside(run_json) -> None:
    text = """g (float[2,3] x) => (float y) {
        a = Neg(x)  h = Relu(a)  s = Shape(x)  f = Reshape(h, s)  y = Abs(f) }"""
    found = run_json("check", saved(text), "--inputs", "h", "--outputs", "f")
    status = {node["op_type"]: node["status"] for node in found["nodes"]}
    assert status == {"Neg": "outside", "Relu": "outside", "Shape": "folded", "Reshape": "exact",
                      "Abs": "outside"}  # fmt: skip


def too_new(kind: str) -> str:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])],
    )
    opset, ir = (999, 10) if kind == "operators" else (17, 999)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    proto.ir_version = ir
    onnx.save(proto, "new.onnx")
    return "new.onnx"


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("operators", "Its operator set is newer than this onnxruntime. Convert it, onnx.version_"),
        ("format", "Its file format is newer than this onnxruntime: set model.ir_version = "),
    ],
)
def test_what_onnxruntime_refuses_is_said_first(run, kind, what) -> None:
    code, out, _ = run("check", too_new(kind))
    assert code == 3
    assert out.splitlines()[1].startswith("FAIL  onnxruntime cannot load the model: ")
    assert what in out.splitlines()[1]
    np.save("x.npy", np.ones(3, np.float32))
    code, _, err = run("explain", "new.onnx", "x.npy")
    assert code == 1
    assert what in err


# Warnings


def test_warnings_never_reach_a_user(monkeypatch, capsys) -> None:
    def noisy(options, screen) -> int:
        warnings.warn("of Python", RuntimeWarning, stacklevel=1)
        np.float32(1e38) * np.float32(1e38)
        return 0

    monkeypatch.setattr(cli.COMMANDS["ops"], "run", noisy)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert cli.main(["ops", "--json"]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys, "warnoptions", ["error"])
    with pytest.raises(RuntimeWarning, match="of Python"):
        cli.main(["ops", "--json"])


def test_warnings_of_a_real_run_stay_inside(tmp_path) -> None:
    """An overflowing Exp warns NumPy in float64 twins; the command says what is wrong itself."""
    saved("g (float[1,3] x) => (float y) { e = Exp(x)  y = Div(x, e) }", "over.onnx")
    np.save("x.npy", np.array([[1e30, -1e30, 1.0]], np.float32))
    command = [sys.executable, "-m", "onnxlin", "explain", "over.onnx", "x.npy", "--no-files"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "Warning" not in done.stderr
    assert "Traceback" not in done.stderr
