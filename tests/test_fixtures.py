"""Every model that the project ships is linear at its example, to within rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxlin
from tests.proofs import assert_linear_or_listed, instance
from tests.twin import by_hand

FOLDER = Path(__file__).parent.parent / "fixtures"
TRAINED = sorted(FOLDER.glob("*.onnx"))
ODD = sorted((FOLDER / "odd").glob("*.onnx"))


def named(path: Path) -> str:
    return path.stem


def test_there_are_fixtures() -> None:
    assert len(TRAINED) >= 10
    assert len(ODD) >= 30


@pytest.mark.parametrize("path", TRAINED, ids=named)
def test_trained_model(path: Path) -> None:
    model = onnx.load(path)
    assert assert_linear_or_listed(model, instance(model, seed=0)) == "linear"


@pytest.mark.parametrize("path", TRAINED, ids=named)
def test_trained_model_at_zero(path: Path) -> None:
    model = onnx.load(path)
    x = {name: np.zeros_like(value) for name, value in instance(model, seed=0).items()}
    assert assert_linear_or_listed(model, x) == "linear"


@pytest.mark.parametrize("path", ODD, ids=named)
def test_odd_model(path: Path) -> None:
    model = onnx.load(path)
    x = dict(np.load(path.with_suffix(".npz")))
    assert assert_linear_or_listed(model, x) == "linear"
    m = onnxlin.linearize(path, x, dtype=np.float64)
    hand = by_hand(m)
    for engine in ("explicit", "reverse", "forward"):
        other = onnxlin.linearize(path, x, dtype=np.float64, engine=engine)
        assert (np.abs(other.W - hand.W) <= hand.slack).all()
        assert (np.abs(other.b - hand.b) <= hand.bias_slack).all()


def test_small_model_by_hand() -> None:
    """The layers of LeNet-5, multiplied by hand, are W."""
    model = onnx.load(FOLDER / "lenet5_mnist.onnx")
    m = onnxlin.linearize(model, instance(model, seed=1), dtype=np.float64)
    hand = by_hand(m)
    assert (np.abs(m.W - hand.W) <= hand.slack).all()
    assert (np.abs(m.b - hand.b) <= hand.bias_slack).all()
