"""The same over any folder of models: set ONNXLIN_ZOO to one."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import onnx
import pytest

from tests.proofs import assert_linear_or_listed, instance

ZOO = os.environ.get("ONNXLIN_ZOO", "")
MODELS = sorted(Path(ZOO).rglob("*.onnx")) if ZOO else []
pytestmark = pytest.mark.skipif(not ZOO, reason="ONNXLIN_ZOO names no folder of models")


def test_zoo_holds_models() -> None:
    assert MODELS, f"no .onnx files below {ZOO}"
    print(Counter(path.parent.name for path in MODELS))


@pytest.mark.parametrize("path", MODELS, ids=[str(path.relative_to(ZOO)) for path in MODELS])
def test_zoo_model(path: Path) -> None:
    model = onnx.load(path)
    print(path.stem, assert_linear_or_listed(model, instance(model, seed=0)))
