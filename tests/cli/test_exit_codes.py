"""Every end of a command has its code, and none is a traceback."""

from __future__ import annotations

import json

import numpy as np
import pytest

import onnxlin
from onnxlin import cli
from onnxlin.affine_map import AffineMap
from onnxlin.cli import streams

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")


def plant_a_wrong_bias(monkeypatch) -> None:
    right = AffineMap.b.func
    monkeypatch.setattr(AffineMap, "b", property(lambda m: right(m) + 1))


def test_a_residual_past_its_bound_is_exit_code_4(run, digit, monkeypatch) -> None:
    plant_a_wrong_bias(monkeypatch)
    code, out, _ = run("explain", *digit, "--no-files")
    assert code == 4
    assert "FAIL  residual" in out
    assert "is past what rounding allows" in out
    code, out, _ = run("verify", digit[0], "--laws", "at-x", "--no-files")
    assert code == 4
    assert "FAIL  0 of 5 inputs" in out
    assert "Law 'at-x' does not hold" in out
    code, out, _ = run(
        "verify", digit[0], "--random", "1", "--laws", "at-x,ledger", "--json", "--no-files"
    )
    assert code == 4
    assert json.loads(out)["pass"] is False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explain", "none.onnx", "x4.npy"], "No such model file: 'none.onnx'"),
        (["explain", "MODEL", "none.png"], "No such input file: 'none.png'"),
        (["explain", "MODEL", "x4.npy"], "Input 'image' has shape (1, 4)"),
        (["explain", "x4.npy", "x4.npy"], "is not a readable ONNX model"),
        (["explain", "MODEL", "PNG", "--class", "10"], "--class 10: the map has 10 outputs"),
        (["explain", "MODEL", "PNG", "--rows", "10"], "--rows '10': 10 is out of range"),
        (["explain", "MODEL", "PNG", "--rows", "0:99"], "--rows '0:99': 99 is out of range"),
        (["explain", "MODEL", "PNG", "--rows", "a"], "--rows 'a': 'a' is no index"),
        (["explain", "MODEL", "PNG", "--rows", "1:2:3"], "'1:2:3' is no index"),
        (["explain", "MODEL", "PNG", "--rows", "none.npy"], "is not a readable .npy file"),
        (["explain", "MODEL", "PNG", "--rows", "x4.npy"], "expected output indices"),
        (["explain", "MODEL", "PNG", "--outputs", "none"], "none"),
        (["explain", "MODEL", "PNG", "--memory", "lots"], "memory='lots'"),
        (["explain", "MODEL", "PNG", "--smooth", "-1"], "smooth=-1.0; expected"),
        (["explain", "MODEL", "PNG", "--std", "0"], "std other than 0"),
        (["explain", "MODEL", "PNG", "--mean", "1,2"], "mean has 2 numbers"),
        (["explain", "MODEL", "PNG", "--channels", "rgb"], "channels='rgb', but input 'image'"),
        (["explain", "MODEL", "PNG", "--out", "x4.npy/deep"], "Cannot write"),
        (["verify", "MODEL", "--laws", "x"], "There is no law ['x']; expected some of"),
    ],
)
@pytest.mark.usefixtures("x4")
def test_what_cannot_be_used_is_exit_code_1(run, digit, arguments, words) -> None:
    places = {"MODEL": digit[0], "PNG": digit[1]}
    code, out, err = run(*(places.get(a, a) for a in arguments))
    assert (code, out) == (1, "")
    assert err.startswith("onnxlin: error: ")
    assert words in err


def test_the_input_is_never_written_over(run, wide, x4) -> None:
    np.savez("x4.npz", x=np.load(x4))
    code, _, err = run("explain", wide, "x4.npz")
    assert code == 1
    assert "'x4.npz' is the input itself. Give --out" in err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["explain"],
        ["unknown"],
        ["compile", "m.onnx"],
        ["explain", "m", "x", "--engine", "magic"],
        ["explain", "m", "x", "--top", "0"],
        ["explain", "m", "x", "--scale", "1/0"],
        ["explain", "m", "x", "--mean", "a,b"],
        ["verify", "m", "--input", "x", "--random", "2"],
    ],
)
def test_a_wrong_command_line_is_exit_code_2(run, arguments) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "usage: onnxlin" in err


def test_help_lists_the_exit_codes(run) -> None:
    for arguments in [["--help"], *([name, "--help"] for name in cli.COMMANDS)]:
        code, out, _ = run(*arguments)
        assert code == 0
        assert "4    a residual is past its bound" in out
    assert run("--version")[1] == f"onnxlin {onnxlin.__version__}\n"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "onnxlin: interrupted"),
        (BrokenPipeError(), 0, ""),
        (MemoryError("big"), 1, "onnxlin: error: out of memory (big)"),
        (onnxlin.ResidualError("off"), 4, "onnxlin: error: off"),
    ],
)
def test_what_stops_a_command(run, monkeypatch, error, code, words) -> None:
    def stop(*_) -> int:
        raise error

    monkeypatch.setattr(cli.COMMANDS["ops"], "run", stop)
    monkeypatch.setattr(streams, "forget_stdout", lambda: None)
    found, out, err = run("ops")
    assert (found, out) == (code, "")
    assert err.startswith(words)
