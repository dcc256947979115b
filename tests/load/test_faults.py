"""Every fault of a model, at every way in: an error of ours that names it, and no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import cli
from onnxlin.testing import assert_linearizes, assert_same_map
from tests.load.faults import MODELS, X, model, node

WAYS: dict[str, Callable[[Any], object]] = {
    "linearize": lambda m: onnxlin.linearize(m, X),
    "Linearizer": onnxlin.Linearizer,
    "check_model": onnxlin.check_model,
    "compile_model": onnxlin.compile_model,
    "assert_linearizes": lambda m: assert_linearizes(m, X),
    "assert_same_map": lambda m: assert_same_map(m, m, X),
}

COMMANDS = {
    "check": ["check", "MODEL"],
    "explain": ["explain", "MODEL", "x.npy", "--no-files"],
    "region": ["region", "MODEL", "x.npy"],
    "verify": ["verify", "MODEL", "--random", "1", "--no-files"],
    "compile": ["compile", "MODEL", "-o", "out.onnx"],
    "compare": ["compare", "good.onnx", "MODEL", "x.npy"],
}


@pytest.mark.parametrize("fault", MODELS)
def test_every_way_in_names_the_fault(fault: str) -> None:
    make, words = MODELS[fault]
    made = make()
    data = made if isinstance(made, bytes) else made.SerializeToString()
    for way, call in WAYS.items():
        with pytest.raises(onnxlin.OnnxlinError, match=words) as raised:
            call(data)
        assert isinstance(raised.value, onnxlin.ModelError), way
        if not isinstance(made, bytes):
            before = made.SerializeToString()
            with pytest.raises(onnxlin.ModelError, match=words):
                call(made)
            assert made.SerializeToString() == before, way


@pytest.mark.parametrize("fault", MODELS)
def test_every_command_says_so_once(fault: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    make, words = MODELS[fault]
    made = make()
    Path("bad.onnx").write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    onnx.save(model([node("Relu", "x")]), "good.onnx")
    np.save("x.npy", X)
    for name, command in COMMANDS.items():
        code = cli.main([word.replace("MODEL", "bad.onnx") for word in command])
        out, err = capsys.readouterr()
        assert (code, out) == (1, ""), name
        assert err.startswith("onnxlin: error: "), name
        assert err.count("\n") == 1, name
        with pytest.raises(onnxlin.ModelError, match=words):
            raise onnxlin.ModelError(err)


def test_the_good_one_is_taken_by_every_way_in() -> None:
    for call in WAYS.values():
        call(model([node("Relu", "x")]))
