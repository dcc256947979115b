"""onnxlin region and onnxlin path."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

import onnxlin
from tests.cli.explain.test_next_token import decoder
from tests.cli.helpers import pixels, write_model


@pytest.fixture
def relu(x4: str) -> tuple[str, str]:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="mix"),
        helper.make_node("Relu", ["h"], ["y"], name="act"),
    ]
    w = np.array([[1, 0.5], [0, 1], [1, 0], [0, 0.25]], np.float32)
    return write_model("relu.onnx", nodes, w=w), x4


def test_region_of_a_digit(run_json, digit, fixtures):
    found = run_json("region", *digit, "--norm", "l2", "--to", fixtures / "digit_3.png")
    region = found["region"]
    assert region["ties"] > 0
    assert region["radius"][0]["upper"] == 0
    (beside,) = region["radius_beside_ties"]
    assert beside["exact"]
    assert 0 < beside["upper"] < 1
    assert "window" in beside["unit"] or "unit" in beside["unit"]
    (decision,) = found["decisions"]
    assert decision["rival"] == "9"
    assert decision["certified"] == 0
    assert decision["found"]["row"] == "9"
    assert decision["found"]["distance"] > beside["upper"]
    assert found["step"]["share"] == 0
    assert len(region["near_ties"]) == 5


def test_region_in_words(run, relu):
    code, out, err = run("region", *relu)
    assert (code, err) == (0, "")
    assert "a region defined by 2 constraints" in out
    assert "unit [0,0] of Relu 'act'" in out
    assert "Distance to another decision" in out
    assert out.index("Proved: the map") < out.index("found by a search")
    assert "a nearer one may exist" in out
    _, out, _ = run("region", *relu, "--no-search", "--norm", "l2")
    assert "none" in out


def test_a_certificate_of_nothing_says_so_first(run, digit):
    """Behind the ties of a constant background nothing is proved, whatever W would go on to say."""
    code, out, _ = run("region", *digit, "--norm", "linf")
    assert code == 0
    assert "Nothing is proved of x' beside x: x lies on 8" in out.splitlines()[1]
    assert "so the certificate is 0" in out
    assert "Proved:" not in out


def test_one_row_has_no_decision(run, run_json, relu):
    assert run_json("region", *relu, "--rows", "0")["decisions"] == []
    assert "no decision to certify" in run("region", *relu, "--rows", "0")[1]


def test_bounds_in_words(run, fixtures):
    args = (fixtures / "resnet_mnist.onnx", fixtures / "digit_7.png")
    code, out, _ = run("region", *args, "--sweeps", 1, "--norm", "l1")
    assert code == 0
    assert "bounds" in out


def test_region_of_a_smooth_model(run, run_json, x4):
    path = write_model("smooth.onnx", [helper.make_node("Tanh", ["x"], ["y"], name="bend")])
    found = run_json("region", path, x4)
    assert found["region"] is None
    assert found["obstacles"] == ["Tanh 'bend' is smooth"]
    moves = [one["W"] for one in found["drift"]]
    assert 0 < moves[0] < moves[1] < moves[2]
    code, out, _ = run("region", path, x4)
    assert code == 0
    assert "no linear region" in out
    assert "|W' - W| / |W|" in out


def test_path_between_two_files(run_json, run, relu):
    model, x0 = relu
    np.save("x1.npy", -np.load(x0))
    found = run_json("path", model, x0, "x1.npy", "--class", 1)
    assert found["pieces"] == 2
    assert found["breakpoints"] == pytest.approx([0.5])
    assert found["integrated"]["row"] == "1"
    assert found["integrated"]["gap"] <= found["integrated"]["bound"]
    assert found["file"] == "x4_x1.png"
    assert pixels("x4_x1.png").std() > 0
    code, out, err = run("path", model, x0, "x1.npy", "--no-files")
    assert (code, err) == (0, "")
    assert "2 affine pieces" in out
    assert "Integrated Gradients of" in out


def test_path_refuses_a_row_that_is_not_there(run, relu):
    model, x0 = relu
    code, _, err = run("path", model, x0, x0, "--rows", "0", "--class", "1")
    assert code == 1
    assert "that output is not among --rows" in err


def test_drift_of_a_map_that_starts_at_tokens(run_json) -> None:
    """What moves are their vectors; the ids stay as they are."""
    onnx.save(decoder(), "m.onnx")
    np.save("ids.npy", np.array([[1, 2, 3]]))
    found = run_json("region", "m.onnx", "ids.npy", "--rows", "30,31")
    assert found["region"] is None
    near, further, far = found["drift"]
    assert 0 < near["W"] < further["W"] < far["W"]
    assert 0 < near["distance"] < further["distance"] < far["distance"]
    # On a short way F leaves W x' + b by no more than W moves, if nothing else does.
    size = np.linalg.norm(onnxlin.linearize("m.onnx", np.load("ids.npy"), rows=[30, 31]).W)
    for one in found["drift"]:
        assert one["error"] <= one["W"] * size * one["distance"] + one["rounding"]
