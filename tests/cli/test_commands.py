"""check, verify and ops say what the library says."""

from __future__ import annotations

import dataclasses
import importlib
import io
import json
import subprocess
import sys

from onnx import helper

import onnxlin
from onnxlin.cli import streams
from tests.cli.helpers import write_model


def test_check(run, run_json, digit) -> None:
    found = run_json("check", digit[0])
    assert found["ok"]
    assert found["histogram"] == onnxlin.check_model(digit[0]).histogram
    code, out, _ = run("check", digit[0])
    assert code == 0
    assert "PASS  every node can be linearised" in out


def test_check_lists_obstacles_with_a_fix(run) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Dice", ["r"], ["y"], name="dice", domain="my.domain"),
    ]
    model = write_model("dice.onnx", nodes)
    code, out, _ = run("check", model)
    assert code == 3
    assert "my.domain.Dice (opset 1) at node 'dice'" in out
    assert "why  no rule for my.domain.Dice" in out
    assert "fix  end before it: --outputs r; or write it with standard operators" in out
    code, out, _ = run("check", model, "--json")
    assert code == 3
    assert json.loads(out)["nodes"][1]["fix"].startswith("end before it: --outputs r")
    assert run("check", model, "--outputs", "r")[0] == 0
    code, _, err = run("verify", model)
    assert code == 1
    assert "no rule for my.domain.Dice" in err


def test_check_tells_of_operands_that_may_not_depend_on_x(run, monkeypatch) -> None:
    held = dataclasses.replace(onnxlin.RULES["", "Neg"], constant=(0,))
    monkeypatch.setitem(onnxlin.RULES, ("", "Neg"), held)
    model = write_model("held.onnx", [helper.make_node("Neg", ["x"], ["y"])])
    code, out, _ = run("check", model)
    assert code == 3
    assert "why  input 0 depends on x" in out
    assert "hold that operand constant" in out
    assert "constant: 0" in run("ops")[1]


def test_ops(run, run_json) -> None:
    found = run_json("ops")
    assert found["count"] == len(onnxlin.RULES)
    assert {(op["domain"], op["operator"]) for op in found["operators"]} == set(onnxlin.RULES)
    out = run("ops")[1]
    assert "Conv" in out
    assert f"{len(onnxlin.RULES)} operators" in out


def test_verify(run, run_json, digit) -> None:
    found = run_json("verify", digit[0], "--random", "2", "--seed", "5")
    assert found["pass"]
    assert len(found["checks"]) == 2
    assert all(c["residual"] <= c["bound"] for c in found["checks"])
    assert found == run_json("verify", digit[0], "--random", "2", "--seed", "5")
    code, out, _ = run("verify", digit[0], "--input", digit[1], "--rows", "7")
    assert code == 0
    assert "PASS  1 of 1 inputs" in out


def test_as_a_module_into_a_pipe_that_closes() -> None:
    script = f"{sys.executable} -m onnxlin ops --json | head -c 1"
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == (b"{", b"")


def test_as_a_module() -> None:
    importlib.import_module("onnxlin.__main__")  # imported, it runs nothing
    # In a process of its own: pytest's import hook, which runpy cannot use, takes the modules of
    # every package that brings a plugin.
    command = [sys.executable, "-m", "onnxlin", "ops"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"operators" in done.stdout


def test_a_pipe_that_closes_is_forgotten(monkeypatch, tmp_path) -> None:
    with (tmp_path / "out").open("w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        streams.forget_stdout()
        stream.write("nobody reads this")
    assert not (tmp_path / "out").read_text()
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    streams.forget_stdout()
