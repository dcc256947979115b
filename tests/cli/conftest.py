"""What the tests of the command line share."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import helper

from onnxlin import cli
from tests.cli.helpers import write_model


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def digit(fixtures) -> tuple[str, str]:
    return str(fixtures / "lenet5_mnist.onnx"), str(fixtures / "digit_7.png")


@pytest.fixture
def run(capsys):
    def call(*arguments) -> tuple[int, str, str]:
        code = cli.main([str(a) for a in arguments])
        found = capsys.readouterr()
        return code, found.out, found.err

    return call


@pytest.fixture
def run_json(run):
    def call(*arguments) -> dict:
        code, out, err = run(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))

    return call


@pytest.fixture
def wide() -> str:
    """1,200 outputs of 4 inputs: a map of which only some rows are shown."""
    weights = np.random.default_rng(0).standard_normal((4, 1200)).astype(np.float32)
    return write_model("wide.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], w=weights)


@pytest.fixture
def x4() -> str:
    np.save("x4.npy", np.array([[1.0, -2.0, 3.0, -4.0]], np.float32))
    return "x4.npy"
