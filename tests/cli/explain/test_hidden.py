"""``onnxlin explain --at`` says and draws what `hidden_maps` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.readings import hidden_maps
from tests.readings.stream.test_hidden import fire
from tests.small import X, mlp

pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(fire(), "m.onnx")
    x = np.random.default_rng(1).normal(size=(1, 2, 8, 6)).astype(np.float32)
    np.save("x.npy", x)


def test_maps_of_the_rows_that_are_explained(run_json) -> None:
    found = run_json("explain", "m.onnx", "x.npy", "--class", "1", "--at", "p", "last")
    rows = [item["output"] for item in found["explained"]]
    m = onnxlin.linearize("m.onnx", np.load("x.npy"), rows=rows)
    own = hidden_maps(m, tensors=["last", "p"])
    assert [one["tensor"] for one in found["hidden"]["maps"]] == ["p", "o"]
    for said, one in zip(found["hidden"]["maps"], own, strict=True):
        np.testing.assert_allclose(said["values"], one.values, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(said["rest"], one.rest, rtol=1e-5, atol=1e-5)
        assert set(said["verdicts"]) == {"PASS"}
    drawn = [path for path in found["files"] if ".at-" in path]
    assert len(drawn) == 2 * len(rows)
    assert all(Path(path).is_file() for path in drawn)


def test_names_that_look_alike_have_files_of_their_own(run_json) -> None:
    proto = fire()
    for node in proto.graph.node:
        renamed = {"r": "/t/", "p": "t!"}
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    onnx.save(proto, "m.onnx")
    found = run_json("explain", "m.onnx", "x.npy", "--at", "/t/", "t!", "t")
    assert len({path for path in found["files"] if ".at-t" in path}) == 3


def test_they_are_printed(run) -> None:
    code, out, err = run("explain", "m.onnx", "x.npy", "--at", "all", "--no-files")
    assert (code, err) == (0, "")
    for words in ("from hidden tensors: F(x) = W_h h + b_h", "4 x 3", "off by"):
        assert words in out


def test_nobody_asks(run_json) -> None:
    assert run_json("explain", "m.onnx", "x.npy", "--no-files")["hidden"] is None


def test_what_cannot_be_asked(run) -> None:
    code, _, err = run("explain", "m.onnx", "x.npy", "--at", "l", "--no-files")
    assert code == 1
    assert "can't be cut at" in err
    onnx.save(mlp(), "m.onnx")
    np.save("x.npy", X)
    code, _, err = run("explain", "m.onnx", "x.npy", "--at", "last", "--no-files")
    assert code == 1
    assert "no hidden tensor with places of a picture" in err
