"""onnxlin audit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import helper

import onnxlin
from onnxlin.affine_map import AffineMap
from tests.cli.helpers import pixels, write_model


@pytest.fixture
def maps(fixtures) -> tuple[str, str, str]:
    """W x of a digit, as a tool would write it."""
    model, picture = fixtures / "cnn_bn_mnist.onnx", fixtures / "digit_7.png"
    x = (pixels(picture) / 255).astype(np.float32)
    m = onnxlin.linearize(model, x, rows=[7])
    np.save("gxi.npy", (m.W[0] * x.ravel()).reshape(28, 28))
    return str(model), str(picture), "gxi.npy"


def test_w_x_is_recognised(run_json, maps) -> None:
    found = run_json("audit", *maps)
    assert (found["output"], found["label"]) == (7, "7")
    assert found["complete"] == ["W x"]
    assert found["gap"]["explained"]
    assert found["gap"]["how"] == "all biases are left out"
    assert found["gap"]["value"] == pytest.approx(found["b"], abs=1e-4)
    assert found["gap"]["shares"][0]["node"] == "/1/BatchNormalization"
    assert found["nearest"][0]["method"] == "gradient x input"
    assert found["against"]["W x"]["cosine"] == pytest.approx(1)
    assert found["against"]["W x"]["top"] == {"10": 1.0, "100": 1.0}
    assert found["compared"] == {"count": 784, "what": "entries"}
    assert found["dtype"] == "float32"
    assert found["methods"]["SmoothGrad"]["samples"] == 50
    assert found["methods"]["occlusion"]["window"] == "(2, 2)"
    assert found["judged"] is found["file"] is None


def test_an_audit_in_words(run, maps) -> None:
    code, out, err = run("audit", *maps, "--top", 2)
    assert (code, err) == (0, "")
    for words in (
        "F(x)    15.3101 = W x + b = 16.2119 + -0.901731",
        "PASS  residual",
        "float32, (28, 28) as the input's (1, 1, 28, 28)",
        "The map against the exact contributions",
        "complete: it adds up to W x",
        "all biases are left out",
        "/1/BatchNormalization  +5.8698",
        "What it looks like",
    ):
        assert words in out
    assert "/4/BatchNormalization  -2.1" not in out  # past --top


def test_against_a_baseline(run_json, run, maps, fixtures) -> None:
    found = run_json("audit", *maps, "--baseline", "mean")
    assert list(found["against"]) == ["W x", "W (x - x0)"]
    assert [each["what"] for each in found["sums"]][-1] == "W (x - x0)"
    assert found["baseline"] == "mean"
    other = run_json("audit", *maps, "--baseline", fixtures / "digit_3.png")
    assert other["sums"][2]["expected"] != found["sums"][2]["expected"]
    np.savez("other.npz", y=np.zeros((1, 1, 28, 28)), z=np.zeros(3))
    code, _, err = run("audit", *maps, "--baseline", "other.npz")
    assert code == 1
    assert "--baseline 'other.npz' holds ['y', 'z'], and the map starts at ['image']" in err


def test_another_class_and_an_incomplete_map(run, run_json, maps) -> None:
    """An incomplete map is what an audit is there to find: exit code 0."""
    found = run_json("audit", *maps, "--class", 3)
    assert found["output"] == 3
    assert found["complete"] == []
    assert not found["gap"]["explained"]
    code, out, _ = run("audit", *maps, "--class", 3)
    assert code == 0
    assert "not complete: it adds up to none of these" in out
    assert "no set of node biases adds up to it" in out
    assert "its sum is off W x by" in out


def test_judging_draws_the_curves(run_json, run, maps) -> None:
    found = run_json("audit", *maps, "--judge", "--steps", 8)
    table = found["judged"]["table"]
    assert list(table)[:2] == ["this map", "gradient"]
    assert list(table)[-1] == "random"
    assert table["this map"] == pytest.approx(table["gradient x input"], rel=1e-3)
    assert table["this map"]["deletion"] < table["random"]["deletion"]
    assert found["judged"]["at_once"] > 1
    assert found["file"] == "gxi.judged.png"
    assert pixels("gxi.judged.png").std() > 0
    code, out, err = run("audit", *maps, "--judge", "--steps", 3, "--no-files")
    assert (code, err) == (0, "")
    assert "deletion (small)" in out
    assert "runs of the model, 64 at once" in out
    code, _, err = run("audit", *maps, "--judge", "--steps", 2, "--out", "gxi.npy")
    assert code == 1
    assert "'gxi.npy' is an input itself" in err


def test_exact_integrated_gradients_of_a_small_net(run_json, x4) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="mix"),
        helper.make_node("Relu", ["h"], ["y"], name="act"),
    ]
    w = np.array([[1, 0.5], [0, 1], [1, 0], [0, 0.25]], np.float32)
    net = write_model("relu.onnx", nodes, w=w)
    np.save("ig.npy", np.array([1.0, 0, 3.0, 0]))
    found = run_json("audit", net, x4, "ig.npy", "--exact")
    assert "Integrated Gradients" in found["methods"]
    assert found["methods"]["Integrated Gradients"]["pieces"] == 1
    assert set(found["complete"]) == {"F(x)", "W x", "F(x) - F(x0)"}
    assert found["gap"]["nodes"] == []


def test_from_a_hidden_tensor_on(run_json, digit) -> None:
    hidden = onnxlin.Linearizer(digit[0]).graph.nodes[2].outputs[0]
    np.save("hidden.npy", np.zeros(1176))
    found = run_json("audit", *digit, "hidden.npy", "--inputs", hidden)
    assert found["compared"] == {"count": 1176, "what": "entries"}
    assert not found["gap"]["explained"]


def test_a_net_without_biases_in_words(run, x4) -> None:
    net = write_model("mix.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])],
                      w=np.ones((4, 2), np.float32))  # fmt: skip
    np.save("wrong.npy", np.ones(4))
    code, out, _ = run("audit", net, x4, "wrong.npy")
    assert code == 0
    assert "gap -6; b 0" in out
    assert "largest biases" not in out


def test_a_doubtful_sum_in_words(run, run_json, maps) -> None:
    model, picture, file = maps
    found = run_json("audit", *maps)
    (bound,) = [each["bound"] for each in found["sums"] if each["what"] == "W x"]
    np.save("near.npy", np.load(file) + np.float32(0.3 * bound / 784))
    code, out, _ = run("audit", model, picture, "near.npy")
    assert code == 0
    assert "doubtful: W x. Rounding allows it in the worst case, but made only" in out


def test_a_map_that_is_not_the_model_judges_nothing(run, maps, monkeypatch) -> None:
    right = AffineMap.b.func
    monkeypatch.setattr(AffineMap, "b", property(lambda m: right(m) + 1))
    code, out, _ = run("audit", *maps)
    assert code == 4
    assert "FAIL  residual" in out
    assert "What it looks like" not in out
    code, out, _ = run("audit", *maps, "--json")
    assert code == 4
    assert json.loads(out)["residual"]["pass"] is False


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing.npy", "No such map: 'nothing.npy'"),
        ("text.csv", "is no .npy or .npz"),
        ("bad.npy", "is not a readable .npy file"),
        ("short.npy", "The map has the shape (3,); x has 'image' (1, 1, 28, 28)"),
    ],
)
def test_maps_that_cannot_be_read(run, digit, name, words) -> None:
    np.save("short.npy", np.zeros(3))
    for file in ("text.csv", "bad.npy"):
        with open(file, "w", encoding="utf-8") as text:
            text.write("1,2")
    code, out, err = run("audit", *digit, name)
    assert (code, out) == (1, "")
    assert words in err


def test_one_array_in_an_archive_will_do(run_json, maps) -> None:
    model, picture, file = maps
    np.savez("map.npz", attribution=np.load(file))
    assert run_json("audit", model, picture, "map.npz")["complete"] == ["W x"]
    np.savez("map.npz", image=np.load(file), extra=np.zeros(1))
