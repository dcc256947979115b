"""What explain prints and writes is what the library says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import onnxlin
from onnxlin.affine_map import AffineMap
from tests.agree import assert_close, sums
from tests.cli.helpers import pixels, write_model
from tests.installed import require

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")


def test_explain_prints_what_a_person_asks_for(run, digit) -> None:
    code, out, err = run("explain", *digit)
    assert (code, err) == (0, "")
    for words in (
        "gray, scale 1/255, as NCHW, 1 x 28 x 28",
        "Prediction: 7,",
        "softmax of the outputs, for display only",
        "% W x",
        "PASS  residual",
        "exactly on a kink",
        "channel  row  column",
        "/11/Gemm",
        "wrote digit_7.7.png",
        "wrote digit_7.npz",
    ):
        assert words in out
    with Image.open("digit_7.7.png") as picture:
        assert picture.size[0] > 500


def test_explain_says_what_it_took_when_asked(run, digit) -> None:
    quiet, told = (run("explain", *digit, "--no-files", *more)[1] for more in ((), ("--verbose",)))
    for words in ("engine  reverse:", "memory  about"):
        assert words in told
        assert words not in quiet


def test_explain_json_agrees_with_the_library(run_json, digit) -> None:
    found = run_json("explain", *digit, "--class", "3", "--top", "6")
    picture = pixels(digit[1]) / 255
    m = onnxlin.linearize(digit[0], picture)
    assert [row["output"] for row in found["rows"]] == list(range(10))
    for name, values in {
        "F": m.y, "Wx": m.Wx, "b": m.b, "residual": m.residual, "bound": m.bound,
    }.items():  # fmt: skip
        assert [row[name] for row in found["rows"]] == values.tolist()
    assert all(row["Wx_share"] + row["b_share"] == pytest.approx(1) for row in found["rows"])
    assert sum(row["probability"] for row in found["rows"]) == pytest.approx(1)
    assert found["kinks"]["ties"] == sum(m.near_kinks(0).values())
    assert [e["output"] for e in found["explained"]] == [7, 3]
    parts = m.W[7].astype(np.float64) * m.x
    sizes = np.sort(np.abs(parts))[::-1][:6]
    assert [abs(f["contribution"]) for f in found["explained"][0]["features"]] == sizes.tolist()
    for feature in found["explained"][0]["features"]:
        at = feature["channel"], feature["row"], feature["column_of_picture"]
        assert feature["contribution"] == parts.reshape(1, 28, 28)[at]
        assert feature["x"] * feature["weight"] == feature["contribution"]
    for share in found["explained"][1]["biases"]:
        assert share["value"] == m.bias_by_node[share["node"]][3]
    assert found["files"] == ["digit_7.7.png", "digit_7.3.png", "digit_7.npz"]
    loaded = AffineMap.load("digit_7.npz")
    np.testing.assert_array_equal(loaded.W, m.W)


def test_one_class_against_another(run_json, run, digit) -> None:
    found = run_json("explain", *digit, "--against", "9", "--top", "784", "--html", "p.html")
    pair, seven, nine = found["explained"]
    assert (pair["label"], pair["pair"]) == ("7 against 9", [7, 9])
    margin = onnxlin.readings.margin(onnxlin.linearize(digit[0], pixels(digit[1]) / 255), 7, 9)
    assert pair["F"] == seven["F"] - nine["F"]
    assert abs(pair["F"] - pair["Wx"] - pair["b"]) <= pair["error_bound"]
    for feature in pair["features"]:
        near = pytest.approx(margin.values[0, feature["column"]], rel=1e-6, abs=1e-9)
        assert feature["contribution"] == near
        assert feature["weight"] * feature["x"] == near
    for name in ("Wx", "b"):
        assert pair[name] == pytest.approx(seven[name] - nine[name])
    assert sum(share["value"] for share in pair["biases"]) == pytest.approx(pair["b"], rel=1e-5)
    # One picture, and a page that opens on the question.
    assert found["files"] == ["digit_7.7-against-9.png", "digit_7.npz", "p.html"]
    document = json.loads(Path("p.html").read_text().split('id="data">')[1].split("</script>")[0])
    assert [document["places"][k] for k in document["open"]] == [7, 9]
    out = run("explain", *digit, "--against", "7", "--class", "3", "--no-files")[1]
    assert "3 against 7: F(x) differs by -" in out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--against", "7"), "--against 7 is the output that is explained"),
        (("--against", "12"), "--against 12: the map has 10 outputs"),
        (("--against", "3", "--rows", "seeds.npy"), "--against compares outputs"),
    ],
)
def test_what_cannot_be_compared_is_refused(run, digit, asked, said) -> None:
    np.save("seeds.npy", np.eye(2, 10))
    code, _, err = run("explain", *digit, "--no-files", *asked)
    assert code == 1
    assert said in err


def test_options_reach_the_library(run_json, digit) -> None:
    options = ["--no-files", "--engine", "explicit", "--dtype", "float64", "--mode", "frozen"]
    found = run_json("explain", *digit, *options, "--rows", "7,0:2,-1", "--memory", "1GiB")
    assert found["map"] | {"plan": ""} == {
        "rows": 4, "columns": 784, "rows_note": "", "dtype": "float64", "mode": "frozen",
        "rounding": "staircase", "notes": [], "status": {"exact": 12},
        "engine": "explicit", "plan": "",
    }  # fmt: skip
    assert [row["output"] for row in found["rows"]] == [7, 0, 1, 9]
    assert found["files"] == []
    assert not Path("digit_7.npz").exists()


def test_preprocessing_options_override_the_model(run_json, digit) -> None:
    found = run_json("explain", *digit, "--no-files", "--scale", "2/255", "--mean", "1")
    assert found["input_notes"] == ["gray, scale 0.00784314, mean 1, as NCHW, 1 x 28 x 28"]
    x = pixels(digit[1]) * (2 / 255) - 1
    m = onnxlin.linearize(digit[0], x)
    assert [row["F"] for row in found["rows"]] == m.y.tolist()


def test_classes_by_name(run_json, run, fixtures) -> None:
    pair = fixtures / "lenet5_fashion.onnx", fixtures / "garment_bag.png"
    require(pair[0])
    found = run_json("explain", *pair, "--class", "ankle BOOT", "--out", "made/")
    assert found["explained"][1]["label"] == "Ankle boot"
    assert found["files"][1] == str(Path("made/garment_bag.ankle-boot.png"))
    assert "9 Ankle boot" in run("explain", *pair, "--no-files")[1]
    code, _, err = run("explain", *pair, "--class", "hat")
    assert code == 1
    assert "--class 'hat' is no index and no class name. Known: T-shirt/top" in err


@pytest.mark.parametrize(
    ("out", "expected"),
    [(".", "digit_7.npz"), ("a/b/", "a/b/digit_7.npz"), ("other", "other.npz")],
)
def test_out_names_a_folder_or_a_prefix(run_json, digit, out, expected) -> None:
    assert Path(run_json("explain", *digit, "--out", out)["files"][-1]) == Path(expected)
    assert Path(expected).exists()


def test_a_large_map_shows_its_strongest_rows(run_json, run, wide, x4) -> None:
    found = run_json("explain", wide, x4, "--class", "1199", "--no-files")
    y = onnxlin.linearize(wide, np.load(x4)).y
    strongest = np.argsort(-y)[:5].tolist()
    assert [row["output"] for row in found["rows"]] == [*strongest, 1199]
    assert found["map"]["rows_note"].startswith("6 of 1,200 rows: the 5 strongest outputs and")
    assert len(run_json("explain", wide, x4, "--rows", "all", "--no-files")["rows"]) == 1200
    assert "--rows all computes every row" in run("explain", wide, x4, "--no-files")[1]


def test_combinations_of_outputs(run_json, wide, x4) -> None:
    seeds = np.zeros((2, 1200))
    seeds[:, 0], seeds[:, 1] = 1, -1
    np.save("rows.npy", seeds)
    found = run_json("explain", wide, x4, "--rows", "rows.npy")
    y = onnxlin.linearize(wide, np.load(x4)).y
    assert [row["F"] for row in found["rows"]] == pytest.approx([y[0] - y[1]] * 2)
    assert [row["label"] for row in found["rows"]] == ["combination 0", "combination 1"]
    assert "x4.combination-0.png" in found["files"]


def test_rows_without_the_strongest_output_explain_the_strongest_of_them(run_json, digit) -> None:
    found = run_json("explain", *digit, "--rows", "0,9", "--no-files")
    assert [e["output"] for e in found["explained"]] == [9]


def test_tables_bring_their_names(run, run_json, wide) -> None:
    Path("row.csv").write_text("age,height,weight,size\n1,2,3,4\n")
    found = run_json("explain", wide, "row.csv", "--rows", "0")
    assert {f["name"] for f in found["explained"][0]["features"]} == {
        "age", "height", "weight", "size",
    }  # fmt: skip
    assert "height" in run("explain", wide, "row.csv", "--rows", "0", "--no-files")[1]


@pytest.mark.parametrize(
    "name", ["conv1d", "two_in_two_out", "scalar_input", "empty_rows", "constant_output",
             "mixed_dtypes", "opset7_image", "gather_index", "dynamic_axes"],
)  # fmt: skip
def test_odd_graphs_are_explained_and_drawn(run, fixtures, name) -> None:
    pair = fixtures / "odd" / f"{name}.onnx", fixtures / "odd" / f"{name}.npz"
    code, out, err = run("explain", *pair)
    assert (code, err) == (0, "")
    assert f"wrote {name}.npz" in out
    assert run("verify", pair[0], "--input", pair[1])[0] == 0


def test_many_short_channels_are_drawn_as_bars(run) -> None:
    model = write_model("m.onnx", [helper.make_node("Relu", ["x"], ["y"])], (1, 13, 20))
    np.save("many.npy", np.ones((1, 13, 20), np.float32))
    assert run("explain", model, "many.npy", "--rows", "0")[0] == 0
    assert Path("many.y-0-0-0.png").exists()


def test_a_map_may_start_and_end_inside(run_json, digit) -> None:
    graph = onnxlin.Linearizer(digit[0]).graph
    hidden = graph.nodes[1].outputs[0]
    found = run_json("explain", *digit, "--inputs", hidden)
    assert list(found["inputs"]) == [hidden]
    found = run_json("explain", *digit, "--outputs", hidden, "--no-files")
    assert list(found["outputs"]) == [hidden]
    assert found["explained"][0]["label"].startswith(f"{hidden}[0,")


def test_probabilities_are_shown_as_they_are(run_json, run, x4) -> None:
    x = np.array([[0.1, 0.2, 0.3, 0.4]], np.float32)
    np.save("p.npy", x)
    model = write_model("same.onnx", [helper.make_node("Identity", ["x"], ["y"])])
    found = run_json("explain", model, "p.npy", "--no-files")
    assert found["prediction"]["probability_is"] == "output"
    assert "Prediction: 3, 40.0% (the output)" in run("explain", model, "p.npy", "--no-files")[1]
    np.save("zero.npy", 0 * x)
    found = run_json("explain", model, "zero.npy", "--no-files")
    assert found["rows"][0]["Wx_share"] is None
    text = run("explain", model, "zero.npy", "--no-files")[1]
    assert "none: W x is 0 in every entry" in text
    assert "none: b is 0" in text


def test_b_is_shown_by_kind(run_json, run, fixtures) -> None:
    pair = fixtures / "cnn_bn_mnist.onnx", fixtures / "digit_7.png"
    found = run_json("explain", *pair, "--no-files")
    kinds = {kind["kind"]: kind for kind in found["explained"][0]["kinds"]}
    assert (kinds["layer bias"]["nodes"], kinds["batch norm"]["nodes"]) == (1, 4)
    row = found["rows"][found["explained"][0]["position"]]
    shares = [abs(bias["value"]) for bias in found["explained"][0]["biases"]]
    total = sum(kind["value"] for kind in kinds.values())
    assert_close(total, row["b"], sums(2 * len(shares), sum(shares)))
    assert {bias["kind"] for bias in found["explained"][0]["biases"]} == set(kinds)
    out = run("explain", *pair, "--no-files")[1]
    assert "The b of 7 by kind" in out
    assert "beta - gamma mean / sqrt(var + epsilon)" in out
    assert found["structural_zero"]["holds"] is False
    assert "bias    b = 0" not in out


def test_b_that_must_be_zero_is_said_to_be(run, x4) -> None:
    weights = np.ones((4, 2), np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    out = run("explain", write_model("free.onnx", nodes, w=weights), x4, "--no-files")[1]
    assert "bias    b = 0 must hold: no path has a bias; W x is Integrated Gradients" in out


def test_a_baseline_is_compared_with(run_json, run, digit, fixtures) -> None:
    x, x0 = pixels(digit[1]) / 255, pixels(fixtures / "digit_1.png") / 255
    lin = onnxlin.Linearizer(digit[0])
    m, other = lin(x), next(iter(lin.run(x0).values())).ravel()
    found = run_json("explain", *digit, "--baseline", str(fixtures / "digit_1.png"))
    done = ["gray, scale 1/255, as NCHW, 1 x 28 x 28"]
    assert found["baseline"] == {"x0": str(fixtures / "digit_1.png"), "notes": done}
    against = found["explained"][0]["baseline"]
    parts = m.W[7].astype(np.float64) * (m.x - x0.ravel().astype(np.float32))
    assert_close(against["difference"], parts.sum(), sums(parts.size, np.abs(parts).sum()))
    assert against["F_at_baseline"] == other[7]
    assert against["gap"] == against["F_at_baseline"] - against["map_at_baseline"]
    both = against["difference"] + against["map_at_baseline"]
    assert_close(both, m.y[7], 2 * (m.bound * m.scale)[7])
    sizes = np.sort(np.abs(parts))[::-1][:10]
    shown = [abs(f["contribution"]) for f in found["explained"][0]["features"]]
    np.testing.assert_allclose(shown, sizes, rtol=1e-12)
    out = run("explain", *digit, "--baseline", "zero", "--no-files")[1]
    for words in ("7 against the baseline x0 = zero", "W (x - x0)", "F(x0), the model at x0"):
        assert words in out


def test_a_baseline_of_a_map_that_starts_inside(run_json, run, digit) -> None:
    hidden = onnxlin.Linearizer(digit[0]).graph.nodes[1].outputs[0]
    found = run_json("explain", *digit, "--inputs", hidden, "--baseline", "zero", "--no-files")
    assert found["explained"][0]["baseline"]["F_at_baseline"] is None
    code, _, err = run("explain", *digit, "--inputs", hidden, "--baseline", digit[1])
    assert code == 1
    assert f"holds ['image'], and the map starts at ['{hidden}']. Give --baseline zero" in err
    same = write_model("same.onnx", [helper.make_node("Identity", ["x"], ["y"])])
    np.save("x.npy", np.ones((1, 4), np.float32))
    out = run("explain", same, "x.npy", "--baseline", "x.npy", "--no-files")[1]
    assert "none: W (x - x0) is 0 in every entry" in out
