"""``onnxlin explain --layers`` and ``--singular`` say what the readings of streams do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.readings import depths, output_embedding, token_operators
from tests.readings.stream.nets import IDS, WIDTH, T, transformer
from tests.small import X, mlp

pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(transformer(), "m.onnx")
    np.save("ids.npy", IDS)


def test_depths_of_the_rows_that_are_explained(run_json) -> None:
    found = run_json("explain", "m.onnx", "ids.npy", "--layers", "--class", "3", "--mode", "frozen")
    rows = [item["output"] for item in found["explained"]]
    assert len(rows) == 2
    own = depths(onnxlin.linearize("m.onnx", IDS, rows=rows, mode="frozen"))
    np.testing.assert_allclose(found["layers"]["values"], own.values.transpose(1, 0, 2))
    np.testing.assert_allclose(found["layers"]["shares"], np.transpose([*own.places.values()]))
    assert found["layers"]["positions"] == [str(i) for i in IDS[0]]
    assert sum(path.endswith(".layers.png") for path in found["files"]) == 2
    assert all(Path(path).is_file() for path in found["files"])


def test_they_are_printed(run) -> None:
    code, out, err = run("explain", "m.onnx", "ids.npy", "--layers", "--no-files")
    assert (code, err) == (0, "")
    for words in ("at every depth: W_h h + b_h", "attention 2", "norm before the head", "PASS"):
        assert words in out


def test_nobody_asks(run_json) -> None:
    assert run_json("explain", "m.onnx", "ids.npy", "--no-files")["layers"] is None


def test_a_net_without_a_stream(run) -> None:
    onnx.save(mlp(), "m.onnx")
    np.save("x.npy", X)
    code, _, err = run("explain", "m.onnx", "x.npy", "--layers", "--no-files")
    assert code == 1
    assert "No stream was found between" in err


def test_operators_of_the_strongest_tokens(run, run_json) -> None:
    found = run_json("explain", "m.onnx", "ids.npy", "--singular", "2", "--no-files")["singular"]
    lin = onnxlin.Linearizer("m.onnx", outputs=found["tensor"])
    at = range((T - 1) * WIDTH, T * WIDTH)
    head = output_embedding(onnxlin.linearize("m.onnx", IDS, rows=[0]))
    assert (found["tensor"], found["position"]) == (head.tensor, T - 1)
    for one in found["tokens"]:
        (own,) = token_operators(lin(IDS, rows=at), one["token"])
        np.testing.assert_allclose(one["values"], own.values[:4])
        first = one["directions"][0]
        assert first["nearest"] == [str(i) for i in head.nearest(own.left[:, 0])[0]]
        assert one["left_out"]["1"] == pytest.approx(own.low_rank_error(1))
    code, out, err = run("explain", "m.onnx", "ids.npy", "--singular", "1", "--no-files")
    assert (code, err) == (0, "")
    assert "Operators of tokens: from each vector to 'top'" in out


def test_operators_of_what_has_no_tokens(run) -> None:
    onnx.save(mlp(), "m.onnx")
    np.save("x.npy", X)
    code, _, err = run("explain", "m.onnx", "x.npy", "--singular", "1", "--no-files")
    assert code == 1
    assert "--singular is about tokens" in err
