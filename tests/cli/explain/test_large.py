"""A large map goes to its file while it is computed, and the screen stays short."""

from __future__ import annotations

import os
import re
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import onnxlin
from onnxlin.affine_map import AffineMap
from onnxlin.cli import target
from onnxlin.linearizer import by_program
from tests.linearizer import test_kept
from tests.longer import with_time

pytest.importorskip("matplotlib")


@pytest.fixture
def kept():
    """Whether W went to its file as it was computed."""
    with mock.patch.object(by_program, "kept", wraps=by_program.kept) as called:
        yield called


def test_all_rows_are_summed_up(run, wide, x4) -> None:
    _, out, _ = run("explain", wide, x4, "--rows", "all")
    assert "F(x) = W x + b, 10 of 1200 rows" in out
    assert "all 1,200 rows: 1,200 PASS" in out
    assert len(out.splitlines()) < 50
    assert "rows: " not in run("explain", wide, x4, "--rows", "0:3")[1]


@pytest.mark.parametrize("memory", [None, "140KiB"])
def test_a_large_map_is_the_same_in_its_file(run_json, wide, x4, kept, memory: str | None) -> None:
    """Of many entries, or of many beside the budget."""
    plain = run_json("explain", wide, x4, "--rows", "all", "--out", "plain")
    assert not kept.called
    with mock.patch.object(target, "LARGE_MAP", target.LARGE_MAP if memory else 1000):
        asked = ["--memory", memory] if memory else []
        found = run_json("explain", wide, x4, "--rows", "all", "--out", "deep/er/large", *asked)
    assert kept.called
    assert found["files"] == [
        f"deep/er/{name.replace('plain', 'large')}" for name in plain["files"]
    ]
    assert Path("deep/er/large.npz").read_bytes() == Path("plain.npz").read_bytes()
    same = set(plain) - {"files", "memory", "seconds", "explained"}
    assert {name: found[name] for name in same} == {name: plain[name] for name in same}


def test_progress_is_shown_as_one_count(run, wide, x4, kept, monkeypatch) -> None:
    """W and bounds are one call, which counts what both take."""
    monkeypatch.setattr(target, "LARGE_MAP", 1000)
    monkeypatch.setattr("onnxlin.cli.screen.PATIENCE", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    code, _, err = run("explain", wide, x4, "--rows", "all")
    assert (code, kept.called) == (0, True)
    counts = re.findall(r"\x1b\[K(.+?): (\d+) of (\d+)", err)
    assert {what for what, *_ in counts} == {"sweeps for W and bounds"}
    done = [int(each) for _, each, _ in counts]
    assert done == sorted(set(done))
    assert done[-1] == int(counts[-1][2]) == 2400


def test_nothing_large_goes_to_a_pipe_or_without_files(run_json, wide, x4, kept, monkeypatch):
    monkeypatch.setattr(target, "LARGE_MAP", 1000)
    run_json("explain", wide, x4, "--rows", "all", "--no-files")
    os.symlink("/dev/null", "pipe.npz")
    assert (
        run_json("explain", wide, x4, "--rows", "all", "--out", "pipe")["files"][-1] == "pipe.npz"
    )
    assert not kept.called


def test_the_input_is_not_written_over_before_anything_is_computed(run, wide, kept) -> None:
    np.savez("x.npz", x=np.ones((1, 4), np.float32))
    with mock.patch.object(target, "linearise", side_effect=AssertionError("too late")):
        code, _, err = run("explain", wide, "x.npz", "--rows", "all")
    assert (code, "is the input itself" in err) == (1, True)


def test_w_beyond_the_budget(run, run_json, tmp_path) -> None:
    model = test_kept.wide(tmp_path / "picture.onnx")
    np.save("x.npy", np.random.default_rng(0).random((1, 3, 128, 128), np.float32))
    asked = [
        "explain",
        model,
        "x.npy",
        "--rows",
        "0:400",
        "--memory",
        "40MiB",
        "--engine",
        "reverse",
    ]
    code, _, err = run(*asked, "--no-files")
    assert code == 1
    assert "give save= a file" in err
    assert "`onnxlin explain` without --no-files does" in err
    found = run_json(*asked, "--out", "map")
    assert found["residual"]["verdict"] == "PASS"
    assert found["memory"]["estimate"] < 40 * 2**20
    assert len(found["rows"]) == 400
    m = AffineMap.load("map.npz", mmap=True)
    assert m.W.nbytes > 70 * 2**20
    assert [row["Wx"] for row in found["rows"]] == m.Wx.tolist()


SQUEEZENET = Path(os.environ.get("ONNXLIN_ZOO", "nowhere")) / (
    "imagenet_squeezenet_fp32_from_fp16.onnx"
)


@with_time
@pytest.mark.skipif(not SQUEEZENET.exists(), reason="needs ONNXLIN_ZOO")
def test_rows_of_a_trained_net(run_json) -> None:
    """Through the file within 256 MiB as in memory, to the last bit."""
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3)).astype(np.uint8)
    pytest.importorskip("PIL.Image").fromarray(pixels).save("photo.png")
    asked = ["explain", SQUEEZENET, "photo.png", "--rows", "0:128", "--engine", "reverse"]
    found = run_json(*asked, "--memory", "256MiB", "--out", "kept")
    assert found["residual"]["verdict"] == "PASS"
    m = AffineMap.load("kept", mmap=True)
    lin = onnxlin.Linearizer(SQUEEZENET)
    whole = lin(m.inputs, range(128), "reverse")
    np.testing.assert_array_equal(m.W, whole.W)
    np.testing.assert_array_equal(m.b, whole.b)
    np.testing.assert_array_equal(m.residual, whole.residual)
