"""``onnxlin explain --layers`` says and draws what `onnxlin.readings.depths` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.readings import depths
from tests.readings.stream.nets import IDS, transformer
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
