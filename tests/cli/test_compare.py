"""onnxlin compare."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxlin.cli.compare import compare as command
from onnxlin.runtime.share import share
from tests.cli.helpers import write_model


def two_layers(path: str, weight: float = 0.5, *, classes: list[str] | None = None) -> str:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="mix"),
        helper.make_node("Add", ["h", "c"], ["s"], name="shift"),
        helper.make_node("Relu", ["s"], ["y"], name="act"),
    ]
    w = np.array([[1, weight], [0, 1], [1, 0], [0, -0.25]], np.float32)
    written = write_model(path, nodes, w=w, c=np.array([0.5, 1.0], np.float32))
    if classes:
        model = onnx.load(written)
        helper.set_model_props(model, {"classes": json.dumps(classes)})
        onnx.save(model, written)
    return written


def test_the_same_file_is_exit_code_0(run, x4) -> None:
    path = two_layers("a.onnx")
    code, out, err = run("compare", path, path, x4)
    assert (code, err) == (0, "")
    assert "PASS  the same map: y, W and b are the same numbers" in out
    assert "first node that departs: none" in out


def test_two_models_apart_are_exit_code_5(run, x4) -> None:
    a, b = two_layers("a.onnx", classes=["cat", "dog"]), two_layers("b.onnx", 0.75)
    code, out, err = run("compare", a, b, x4)
    assert (code, err) == (5, "")
    assert "FAIL  not the same map: y, W differ by more than rounding explains" in out
    assert "first node that departs: MatMul 'mix', tensor 'h': fed the same" in out
    assert "constants ['w'] differ" in out
    assert "Row dog: where W differs most" in out
    assert "x[0,0]" in out
    assert "APART" in out
    assert "cat" in out


def test_json_holds_the_same(run, x4) -> None:
    a, b = two_layers("a.onnx"), two_layers("b.onnx", 0.75)
    code, out, err = run("compare", a, b, x4, "--json")
    assert (code, err) == (5, "")
    found = json.loads(out)
    assert found["a"] == "a.onnx"
    assert found["same"] is False
    assert [row["same"] for row in found["rows"]] == [True, False]
    assert found["rows"][1]["W_gap"] == 0.25
    assert found["rows"][1]["features"][0]["weights"] == [0.5, 0.75]
    assert found["matched"]["nodes"] == {"mix": "mix", "shift": "shift", "act": "act"}
    assert [one["state"] for one in found["tensors"]] == [
        "equal", "introduced", "inherited", "inherited",
    ]  # fmt: skip


def test_tol_accepts_what_it_says(run, x4) -> None:
    a, b = two_layers("a.onnx"), two_layers("b.onnx", 0.5 + 2**-10)
    assert run("compare", a, b, x4)[0] == 5
    code, out, _ = run("compare", a, b, x4, "--tol", "1e-2")
    assert code == 0
    assert "PASS  the same map within the tolerance given" in out
    code, _, err = run("compare", a, b, x4, "--tol", "-1")
    assert code == 1
    assert "tol=-1.0; expected a number that is 0 or more" in err


def test_threads_are_those_of_one_input_too(run, x4, monkeypatch) -> None:
    """As the help says; of one input there is no worker."""
    helped = " ".join(run("compare", "--help")[1].split())
    assert "onnxruntime and BLAS, at one input or here (all cores) or of each worker (1)" in helped
    seen, compare = [], command.compare

    def watched(*asked, **options):
        seen.append(share())
        return compare(*asked, **options)

    monkeypatch.setattr(command, "compare", watched)
    a = two_layers("a.onnx")
    assert run("compare", a, a, x4, "--threads", "1")[0] == 0
    assert seen == [1]


def test_rows_of_a_large_map_are_chosen(run, wide, x4) -> None:
    code, out, _ = run("compare", wide, wide, x4)
    assert code == 0
    assert "5 of 1,200 rows" in out
    assert run("compare", wide, wide, x4, "--rows", "0:3")[0] == 0


def test_models_of_other_inputs_are_refused(run, x4) -> None:
    a = two_layers("a.onnx")
    b = write_model("b.onnx", [helper.make_node("Relu", ["x"], ["y"])], x=(1, 5))
    code, out, err = run("compare", a, b, x4)
    assert (code, out) == (1, "")
    assert "Model B does not take what model A takes" in err


def test_a_quantised_digit(run, digit, fixtures, tmp_path) -> None:
    """What a person sees who has quantised a net."""
    tools = pytest.importorskip("onnxruntime.quantization")
    target = tmp_path / "dynamic.onnx"
    tools.quantize_dynamic(digit[0], target, weight_type=tools.QuantType.QUInt8)
    code, out, _ = run("compare", digit[0], target, digit[1], "--rounding", "straight-through")
    assert code == 5
    assert "only in B: image_QuantizeLinear" in out
    assert "on the other side of a kink" in out
    code, out, _ = run("compare", digit[0], target, digit[1])
    assert "rounds its numbers" in out
