"""Trained nets after the quantisation tools of onnxruntime, against the nets in float."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime.quantization as tools
import pytest
from PIL import Image

import onnxlin
from onnxlin.primitives import Array
from tests.installed import absent, require

STRAIGHT = "straight-through"


class Reader(tools.CalibrationDataReader):  # type: ignore[misc]
    """Hands out pictures, one a call."""

    def __init__(self, name: str, pictures: list[Array]) -> None:
        self._left: Iterator[Any] = iter([{name: x} for x in pictures])

    def get_next(self) -> dict[str, Array] | None:
        return next(self._left, None)


@pytest.fixture(scope="session")
def digits(fixtures: Path) -> list[Array]:
    files = [fixtures / f"digit_{i}.png" for i in range(10)]
    pictures = [np.asarray(Image.open(file).convert("L"), np.float32) for file in files]
    return [picture[None, None] / 255 for picture in pictures]


def distance(a: Array, b: Array) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@contextmanager
def quantising() -> Iterator[None]:
    """Skip where an older onnx infers other shapes than the weights that the tools wrote."""
    try:
        yield
    except onnx.shape_inference.InferenceError as error:
        absent(f"this onnx cannot read what onnxruntime quantised: {error}")


def static(source: Path, target: Path, digits: list[Array], form: Any) -> None:
    reader = Reader(onnx.load(source).graph.input[0].name, digits)
    with quantising():
        tools.quantize_static(source, target, reader, quant_format=form, per_channel=True)


@pytest.mark.parametrize(("net", "most"), [("mlp5_mnist", 0.2), ("lenet5_mnist", 0.6)])
def test_static_quantisation(
    fixtures: Path, tmp_path: Path, digits: list[Array], net: str, most: float
) -> None:
    """Both forms have W = 0 as staircases, and one and the same W read straight through.

    It differs from the float net's by the rounding of the weights, and by units and pool windows
    whose pattern the rounding has changed.
    """
    source, x = fixtures / f"{net}.onnx", digits[3]
    require(source)
    if net.startswith("mlp"):
        digits, x = [d.reshape(_shape(source)) for d in digits], x.reshape(_shape(source))
    plain = onnxlin.linearize(source, x)
    found = []
    for form in (tools.QuantFormat.QDQ, tools.QuantFormat.QOperator):
        target = tmp_path / f"{form}.onnx"
        static(source, target, digits, form)
        held = onnxlin.linearize(target, x).verify()
        assert not held.W.any()
        for mode in ("tangent", "frozen"):
            m = onnxlin.linearize(target, x, rounding=STRAIGHT, mode=mode).verify()
            found.append(m.W)
    for W in found:
        assert distance(W, found[0]) < 1e-5
    assert distance(found[0], plain.W) < most


@pytest.mark.parametrize("net", ["mlp5_mnist", "lenet5_mnist"])
def test_dynamic_quantisation(
    fixtures: Path, tmp_path: Path, digits: list[Array], net: str
) -> None:
    source, target = fixtures / f"{net}.onnx", tmp_path / "dynamic.onnx"
    require(source)
    x = digits[3].reshape(_shape(source))
    with quantising():
        tools.quantize_dynamic(source, target, weight_type=tools.QuantType.QUInt8)
    m = onnxlin.linearize(target, x, rounding=STRAIGHT).verify()
    assert distance(m.W, onnxlin.linearize(source, x).W) < 0.1
    onnxlin.linearize(target, x).verify()


def _shape(source: Path) -> tuple[int, ...]:
    dims = onnx.load(source).graph.input[0].type.tensor_type.shape.dim
    return tuple(d.dim_value or 1 for d in dims)
