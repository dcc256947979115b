"""``onnxlin verify``: every law on the command line, failures made small and written down."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import onnxlin
from onnxlin import cli
from onnxlin.cli import bar
from onnxlin.primitives import identity
from onnxlin.rules import Affine
from onnxlin.testing.laws.laws import LAWS
from onnxlin.testing.run import examine
from tests.cli.helpers import write_model

RELU = [
    helper.make_node("MatMul", ["x", "w"], ["h"], name="weigh"),
    helper.make_node("Relu", ["h"], ["y"], name="act"),
]
# Of the first unit and the last one is dead at every x but 0.
W = np.array([[1, -2, -1], [2, 1, -2], [0.5, 1, -0.5], [1, 1, -1]], np.float32)


@pytest.fixture
def net() -> str:
    return write_model("net.onnx", RELU, w=W)


def plant(monkeypatch) -> None:
    """Take the wrong side of the kink of every dead unit."""
    true = onnxlin.RULES["", "Relu"]
    wrong = lambda node: Affine({0: identity(node.shape(0))})
    monkeypatch.setitem(onnxlin.RULES, ("", "Relu"), replace(true, function=wrong))


def test_every_law_is_held_in_both_modes(run, run_json, net) -> None:
    found = run_json("verify", net)
    assert found["pass"]
    assert found["inputs"] == len(found["checks"]) == 5
    assert [c["x"].split()[0] for c in found["checks"]] == [
        "normal", "range", "halves", "zeros", "near_kink",
    ]  # fmt: skip
    names = [law.name for law in LAWS]
    assert [law["law"] for law in found["laws"]] == names * 2
    assert [law["mode"] for law in found["laws"]] == ["tangent"] * len(names) + ["frozen"] * len(
        names
    )
    for law in found["laws"]:
        assert law["passed"] + law["not applicable"] == 5
        assert law["passed"] > 0
        assert sum(law["reasons"].values()) == law["not applicable"]
    assert all(c["residual"] <= c["bound"] for c in found["checks"])
    code, out, _ = run("verify", net)
    assert code == 0
    assert re.search(r"inside +tangent +4 +1 +0 +F\(x'\) = W x' \+ b", out)
    assert "inside, tangent, 1 x: a kink is nearer to x than rounding" in out
    assert re.search(r"PASS  5 of 5 inputs, laws held \d+ times, 0 failures", out)


def test_the_same_seed_says_the_same(run_json, net) -> None:
    one, two, other = (run_json("verify", net, "--random", 2, "--seed", s) for s in (5, 5, 6))
    assert one == two
    assert one["checks"][0]["residual"] != other["checks"][0]["residual"]


def test_laws_modes_and_an_input_may_be_chosen(run, run_json, net, x4) -> None:
    found = run_json("verify", net, "--input", x4, "--laws", "ledger,at-x", "--mode", "frozen")
    assert [(law["law"], law["mode"]) for law in found["laws"]] == [
        ("at-x", "frozen"), ("ledger", "frozen"),
    ]  # fmt: skip
    assert [c["x"] for c in found["checks"]] == [x4]
    code, _, err = run("verify", net, "--laws", "at-x,none")
    assert code == 1
    assert "There is no law ['none']; expected some of ['at-x', " in err


def test_whole_numbers_are_drawn_where_they_index_something(run_json, run, fixtures) -> None:
    found = run_json("verify", fixtures / "odd" / "gather_index.onnx")
    assert found["pass"]
    reshape = [helper.make_node("Reshape", ["x", "shape"], ["y"], name="reshape")]
    graph = helper.make_graph(
        reshape,
        "g",
        [
            helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4]),
            helper.make_tensor_value_info("shape", onnx.TensorProto.INT64, [2]),
        ],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        "r.onnx",
    )
    code, _, err = run("verify", "r.onnx")
    assert code == 1
    assert "Input 'shape' (int64[2]) holds no floats, and is input 1 of Reshape 'reshape'" in err


# Failures


def test_a_failure_is_made_small_named_and_written(run, monkeypatch, net, x4) -> None:
    plant(monkeypatch)
    np.save(x4, np.array([[1.37, -2.61, 3.18, 4.77]], np.float32))
    code, out, err = run("verify", net, "--input", x4, "--mode", "tangent")
    assert (code, err) == (4, "")
    assert "FAIL  0 of 1 inputs" in out
    assert "Law 'at-x' does not hold (mode='tangent')." in out
    assert "first node that departs: Relu at node 'act', output 'y'(0, " in out
    assert "failures of one kind (laws at-x, float64" in out
    assert re.search(r"x shrunk to 1 of 4 numbers that are not 0, in \d+ calls", out)
    small = np.load("net.failure.npz")["x"]
    assert np.count_nonzero(small) == 1
    assert set(np.abs(small[small != 0])) == {1}
    text = Path("net.failure.py").read_text()
    assert len(text.splitlines()) == 3
    assert "mode='tangent', laws=['at-x']" in text
    # Without the planted bug the same script passes.
    root = Path(onnxlin.__file__).parent.parent
    done = subprocess.run([sys.executable, "net.failure.py"], check=False, timeout=120,
                          env={"PYTHONPATH": str(root)}, capture_output=True)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reproducer_goes_where_it_is_asked(run_json, run, monkeypatch, net) -> None:
    plant(monkeypatch)
    for out, start in [("deep/", "deep/net.failure"), ("here", "here"), (".", "net.failure")]:
        code, text, _ = run("verify", net, "--random", "1", "--out", out, "--json")
        (failure,) = json.loads(text)["failures"]
        assert code == 4
        assert [Path(name) for name in failure["files"]] == [
            Path(f"{start}{ending}").absolute() for ending in (".npz", ".py")
        ]
        assert all(Path(name).exists() for name in failure["files"])
    Path("file").touch()
    code, _, err = run("verify", net, "--random", "1", "--out", "file/deep/")
    assert code == 1
    assert "Cannot write" in err
    assert "Give another --out, or --no-files" in err


def test_no_files_and_no_shrinking(run, monkeypatch, net) -> None:
    plant(monkeypatch)
    code, text, _ = run("verify", net, "--random", "1", "--no-files", "--no-shrink", "--json")
    assert code == 4
    (failure,) = json.loads(text)["failures"]
    assert failure["files"] == []
    assert failure["shrunk"]["entries"] == 4
    assert not list(Path().glob("*.npz"))


def test_the_options_of_the_run_are_those_of_the_reproducer(run, monkeypatch, net) -> None:
    plant(monkeypatch)
    code, _, _ = run("verify", net, "--random", 1, "--rows", "0,2", "--outputs", "y", "--engine",
                     "explicit", "--dtype", "float64", "--rounding", "straight-through",
                     "--laws", "at-x", "--mode", "frozen", "--no-shrink")  # fmt: skip
    assert code == 4
    asked = Path("net.failure.py").read_text().splitlines()[2]
    for words in ("rows=[0, 2]", "outputs=['y']", "engine='explicit'", "dtype='float64'",
                  "rounding='straight-through'", "mode='frozen'", "laws=['at-x']"):  # fmt: skip
        assert words in asked


# What a run can't do


def test_no_law_is_begun_when_the_time_is_up(run, monkeypatch, net) -> None:
    clock = iter(range(10**6))
    late = lambda *args, **how: examine.examine(*args, **how | {"clock": lambda: next(clock)})
    monkeypatch.setattr("onnxlin.cli.verify.verify.examine", late)
    code, text, _ = run("verify", net, "--seconds", "3", "--json")
    assert code == 0
    found = json.loads(text)
    assert found["skipped"] > 60
    assert sum(law["passed"] for law in found["laws"]) >= 1
    code, out, _ = run("verify", net, "--seconds", "3")
    assert re.search(r"skipped: \d+, as no time was left; --seconds gives more", out)
    assert "law       mode     passed  not applicable  failed  skipped  what" in re.sub(
        "law +mode", "law       mode", out
    )


def test_a_run_that_says_nothing_does_not_pass(run) -> None:
    """F is infinite at every x that is drawn."""
    nodes = [helper.make_node("Div", ["x", "zero"], ["y"])]
    model = write_model("infinite.onnx", nodes, zero=np.zeros(4, np.float32))
    code, out, err = run("verify", model)
    assert (code, out) == (1, "")
    assert "NaN or infinite at this x" in err


def test_an_x_without_a_map_is_said_and_passed_over(run, run_json) -> None:
    """The logarithm of numbers below 0."""
    model = write_model("log.onnx", [helper.make_node("Log", ["x"], ["y"])])
    found = run_json("verify", model, "--random", "2")
    assert found["pass"]
    (reason,) = found["laws"][0]["reasons"]
    assert "NaN or infinite at this x" in reason
    np.save("below.npy", -np.ones((1, 4), np.float32))
    code, _, err = run("verify", model, "--input", "below.npy")
    assert code == 1
    assert "NaN or infinite at this x" in err


def test_a_map_of_few_rows_says_so(run) -> None:
    weights = np.ones((4, 600_000), np.float32)
    model = write_model("w.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], w=weights)
    code, out, _ = run("verify", model, "--random", "1", "--laws", "at-x", "--mode", "tangent")
    assert code == 0
    assert "5 of 600,000 rows of W; --rows all computes every row" in out


# The bar


class Terminal:
    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


def test_a_bar_on_a_terminal(monkeypatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setattr(bar.sys, "stderr", Terminal())
    with bar.Bar("laws") as shown:
        shown(1, 4, "one [of] them")
        shown(2, 5, "another")
        (task,) = shown._rich.tasks
        assert (task.completed, task.total, task.description) == (2, 5, "another")


def test_a_plain_line_without_rich(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setattr(bar.sys, "stderr", Terminal())
    with bar.Bar("laws") as shown:
        assert shown._rich is None
        shown(1, 4, "one")


def test_help_documents_the_laws_and_the_code_of_a_failure(run) -> None:
    code, out, _ = run("verify", "--help")
    assert code == 0
    for words in ("--random N", "near_kink", "--laws", "at-x", "--seconds", "4    a residual"):
        assert words in out
    assert cli.COMMANDS["verify"].PAST_BOUND == 4
