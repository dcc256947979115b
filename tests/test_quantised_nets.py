"""Trained nets after the quantisation tools of onnxruntime, against the nets in float."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxruntime.quantization as tools
import pytest
from PIL import Image

import onnxlin
from onnxlin.primitives import Array
from onnxlin.testing.bounds.composing import made_anew, of_biases
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


@pytest.mark.parametrize("form", [tools.QuantFormat.QDQ, tools.QuantFormat.QOperator])
@pytest.mark.parametrize("types", ["8", "16"])
def test_compiled_nets_are_the_nets(
    fixtures: Path, tmp_path: Path, digits: list[Array], form: Any, types: str
) -> None:
    """At every digit, by the engine to the last bit; and a default session opens the file."""
    source, target = fixtures / "lenet5_mnist.onnx", tmp_path / "net.onnx"
    require(source)
    more: dict[str, Any] = {}
    if types == "16":
        if form == tools.QuantFormat.QOperator:
            pytest.skip("no such operators")
        wide, contributed = tools.QuantType.QUInt16, {"UseQDQContribOps": True}
        more = {"activation_type": wide, "extra_options": contributed}
    name = onnx.load(source).graph.input[0].name
    tools.quantize_static(source, target, Reader(name, digits), quant_format=form, **more)
    for rounding in ("staircase", STRAIGHT):
        lin = onnxlin.Linearizer(target, rounding=rounding)
        for x in digits:
            m = lin(x, engine="compiled").verify()
            np.testing.assert_array_equal(m.y, m.own_y)
            other = lin(x, engine="reverse")
            assert not m.W.any() or distance(m.W, other.W) < 1e-5
            made = other.made_from("the test")
            sized = made_anew(made.program, made.values)
            assert (np.abs(m.b - other.b) <= 2 * of_biases(made.program, m.rows, sized)).all()
    onnxlin.compile_model(target, tmp_path / "map.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "map.onnx")
    found = session.run(None, {name: digits[3], "seeds": np.eye(10, dtype=np.float32)})[0]
    assert found.argmax() == lin.run(digits[3])[lin.section.outputs[0]].argmax()


def _shape(source: Path) -> tuple[int, ...]:
    dims = onnx.load(source).graph.input[0].type.tensor_type.shape.dim
    return tuple(d.dim_value or 1 for d in dims)
