"""onnxlin compare over a data set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from onnxlin import data
from tests.cli.helpers import write_model
from tests.cli.test_compare import two_layers

# Of the third the first class has the larger output with a weight of 0.5, the second with 1.25.
XS = np.array(
    [[0, 1, 0, 0], [2, 1.2, 0, 0], [3, 0, 0.5, 0], [0, 3, 0, 0], [4, 0, 4, 1]], np.float32
)
LABELS = "dog\ncat\ncat\ndog\ncat\n"


@pytest.fixture
def pair():
    np.save("xs.npy", XS)
    Path("labels.txt").write_text(LABELS)
    return two_layers("a.onnx", classes=["cat", "dog"]), two_layers("b.onnx", 1.25)


def test_the_verdict_comes_first_with_the_samples_named(run, pair) -> None:
    code, out, err = run("compare", *pair, "xs.npy", "--each", "--labels", "labels.txt")
    assert (code, err) == (5, "")
    lines = out.splitlines()
    assert lines[0] == "FAIL  1 of 5 decisions changed (20.0%)"
    assert "right   80.00% in A, 60.00% in B: 0 mended, 1 spoilt" in out
    (line,) = [line for line in lines if line.split()[:4] == ["2", "cat", "cat", "dog"]]
    assert line.split()[-1] == "h"
    assert "Decisions that changed: margin of A's class over B's" in out
    assert "margins in A: 1.5 in the middle of those that changed, 1.5 at most;" in out
    (share,) = [line for line in lines if line.split()[:3] == ["h", "MatMul", "MatMul"]]
    assert share.split()[3:] == ["-2.25", "0", "100.0%", "1"]
    assert "In all 0.0% of the change is bent." in out


def test_json_says_what_the_library_says(run, run_json, pair) -> None:
    code, out, _ = run("compare", *pair, "xs.npy", "--each", "--json")
    assert code == 5
    found = json.loads(out)
    expected = data.compare(*pair, XS)
    for name, value in json.loads(json.dumps(expected.as_dict())).items():
        assert found[name] == value, name
    assert found["same"] is False
    assert (found["changed"], found["samples"], found["allowed"]) == (1, 5, 0)
    assert found["accuracy"] is None
    accepted = run_json("compare", *pair, "xs.npy", "--each", "--tol", "0.2")
    assert accepted["same"] is True
    out = run("compare", *pair, "xs.npy", "--each", "--tol", "0.2")[1]
    assert out.startswith("PASS  1 of 5 decisions changed (20.0%, 20.0% allowed)")


def test_the_same_file_is_exit_code_0(run, pair) -> None:
    code, out, err = run("compare", pair[0], pair[0], "xs.npy", "--each", "--limit", "2")
    assert (code, err) == (0, "")
    assert out.startswith("PASS  0 of 2 decisions changed (0.0%)")
    assert "What moved" not in out


def test_several_pictures_and_folders_are_data_sets(run_json, fixtures) -> None:
    net = fixtures / "mlp2_mnist.onnx"
    files = [fixtures / f"digit_{i}.png" for i in range(3)]
    Path("folder").mkdir()
    for file in files:
        shutil.copy(file, "folder")
    for given in (files, ["folder"]):
        found = run_json("compare", net, net, *given)
        assert (found["changed"], found["samples"]) == (0, 3)


def test_names_of_files_are_those_of_the_samples(run, fixtures) -> None:
    """A net whose bias says nothing but eight: every other digit is named."""
    import onnx

    from tests.readings.compare.test_compare import changed

    net = fixtures / "mlp2_mnist.onnx"
    proto = onnx.load(net)
    bias = proto.graph.node[-1].input[2]
    onnx.save(changed(proto, bias, 8, 100.0), "eight.onnx")
    files = [fixtures / f"digit_{i}.png" for i in (7, 8, 9)]
    code, out, _ = run("compare", net, "eight.onnx", *files, "--top", "1")
    assert code == 5
    assert "FAIL  2 of 3 decisions changed" in out
    assert "digit_7.png" in out or "digit_9.png" in out
    assert "  and 1 more; --json has them" in out


def test_ties_and_pinned_outputs_are_said(run) -> None:
    nodes = [
        helper.make_node("Identity", ["x"], ["h"], name="same"),
        helper.make_node("QuantizeLinear", ["h", "s", "z"], ["c"], name="to"),
        helper.make_node("DequantizeLinear", ["c", "s", "z"], ["y"], name="from"),
    ]
    b = write_model("b.onnx", nodes, s=np.float32(0.5), z=np.int8(0))
    a = write_model("a.onnx", [helper.make_node("Identity", ["x"], ["y"], name="same")])
    np.save("xs.npy", np.array([[70, 80, 0, 0], [1.1, 1.2, 0, 0]], np.float32))
    code, out, _ = run("compare", a, b, "xs.npy", "--each")
    assert code == 5
    assert "ties: at 2 of them B has one number for both classes" in out
    assert "pinned: at 1 of them an output lies at the end of the range of its codes" in out
    assert "note    B rounds its numbers (it is quantised): read straight through here" in out


def test_refusals(run, pair, x4) -> None:
    for given, words in (
        (["xs.npy", "--each", "--rows", "0"], "--rows is about one input; leave it out."),
        ([x4, "--labels", "labels.txt"], "--labels is about a data set: give one, or --each."),
        ([x4, "--limit", "3"], "--limit N is about a data set"),
        (["xs.npy", "--each", "--tol", "-1"], "tol=-1.0; expected a number that is 0 or more"),
        (["nowhere", "--each"], "No such data: 'nowhere'"),
    ):
        code, _, err = run("compare", *pair, *given)
        assert code == 1, given
        assert words in err
