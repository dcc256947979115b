"""explain writes the map in other forms, where asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.readings import to_dot
from tests.cli.helpers import pixels

pytest.importorskip("PIL.Image")


def test_explain_writes_the_map_as_a_model_and_as_a_drawing(run_json, digit) -> None:
    wanted = ["--to-onnx", "out/map.onnx", "--dot", "out/map.dot"]
    found = run_json("explain", *digit, "--no-files", *wanted)
    assert found["files"] == ["out/map.onnx", "out/map.dot"]
    m = onnxlin.linearize(digit[0], pixels(digit[1]) / 255)
    assert onnx.load("out/map.onnx") == m.to_onnx()
    assert Path("out/map.dot").read_text() == to_dot(m)
    again = onnxlin.linearize("out/map.onnx", pixels(digit[1]) / 255)
    np.testing.assert_array_equal(again.W, m.W)


def test_what_is_read_is_not_overwritten(run, wide, x4) -> None:
    before = Path(wide).read_bytes()
    code, _, err = run("explain", wide, x4, "--no-files", "--to-onnx", wide)
    assert code == 1
    assert "--to-onnx 'wide.onnx' is what is read. Give another name" in err
    assert Path(wide).read_bytes() == before
    code, _, err = run("explain", wide, x4, "--no-files", "--dot", ".")
    assert code == 1
    assert "Cannot write '.': Is a directory. Give --dot another name." in err


def test_an_annotated_model_is_written(run, wide, x4) -> None:
    """Its nodes have a status each, and it is not written over what is read."""
    code, _, _ = run("explain", wide, x4, "--no-files", "--annotate", "out/a.onnx")
    assert code == 0
    nodes = onnx.load("out/a.onnx").graph.node
    assert all("onnxlin.status" in {e.key for e in node.metadata_props} for node in nodes)
    code, _, err = run("explain", wide, x4, "--no-files", "--annotate", wide)
    assert (code, "is what is read" in err) == (1, True)
