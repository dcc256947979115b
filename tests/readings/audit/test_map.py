"""The shapes that maps come in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from onnxlin import InputError, Linearizer
from onnxlin.primitives import Array
from onnxlin.readings.audit.audit import audit
from onnxlin.readings.audit.map import read_map
from onnxlin.readings.question.question import Question
from tests.small import model

# The shapes that maps come in


PHOTO = "g (float[1,3,4,5] x) => (float[1,3,4,5] y) { y = Relu(x) }"
LAST = "g (float[1,4,5,3] x) => (float[1,4,5,3] y) { y = Relu(x) }"
SERIES = "g (float[1,2,9] x) => (float[1,2,9] y) { y = Relu(x) }"


def of(text: str) -> Question:
    net = model(text)
    shape = [d.dim_value for d in net.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(0).random(shape).astype(np.float32)
    return Question(Linearizer(net), x, 0)


@pytest.mark.parametrize(
    ("text", "turn", "words"),
    [
        (PHOTO, lambda a: a, "own shape"),
        (PHOTO, lambda a: a[0], "axes of 1 do not count"),
        (PHOTO, lambda a: a.ravel(), "flat"),
        (PHOTO, lambda a: a[0].transpose(1, 2, 0), "channels last; turned"),
        (LAST, lambda a: a.transpose(0, 3, 1, 2), "channels first; turned"),
        (SERIES, lambda a: a[0], "axes of 1"),
    ],
)
def test_maps_of_every_entry(text: str, turn: Callable[[Array], Array], words: str) -> None:
    q = of(text)
    a = np.arange(len(q.x), dtype=np.float32).reshape(next(iter(q.m.inputs.values())).shape)
    found = read_map(q, turn(a))
    assert words in found.assumed
    np.testing.assert_array_equal(found.values[found.features.labels], a.ravel())
    np.testing.assert_array_equal(found.spread, a.ravel())
    assert found.dtype == np.float32


@pytest.mark.parametrize(("text", "channels"), [(PHOTO, 1), (LAST, 3)])
@pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5), (1, 1, 4, 5), (4, 5, 1)])
def test_maps_of_every_pixel(text: str, channels: int, shape: tuple[int, ...]) -> None:
    """Against W x added up over the channels."""
    q = of(text)
    parts = (q.m.W[0] * q.x).reshape(next(iter(q.m.inputs.values())).shape)
    plane = parts.sum(axis=channels)[0]
    found = audit(q, plane.reshape(shape), methods={})
    assert "(height, width): each number for all 3 channels" in found.foreign.assumed
    assert found.exact["W x"].distance == 0
    assert "W x" in found.complete
    assert found.foreign.spread.sum() == pytest.approx(plane.sum())


def test_maps_of_every_step() -> None:
    q = of(SERIES)
    parts = (q.m.W[0] * q.x).reshape(2, 9)
    steps = audit(q, parts.sum(axis=0), methods={})
    assert "one number for each of 9, summed over the other axis of (2, 9)" in steps.foreign.assumed
    assert steps.exact["W x"].distance == 0
    assert audit(q, parts.sum(axis=1), methods={}).exact["W x"].distance == 0


def test_maps_of_several_inputs() -> None:
    text = """g (float[1,2] a, float[1,3] b) => (float[1,7] y) {
        c = Concat<axis=1>(a, b, a)  y = Relu(c) }"""
    x = {"a": np.ones((1, 2), np.float32), "b": np.ones((1, 3), np.float32)}
    q = Question(Linearizer(model(text)), x, 3)
    assert read_map(q, np.arange(5)).assumed.startswith("flat")
    named = read_map(q, {"b": np.arange(3) + 2, "a": np.arange(2)})
    np.testing.assert_array_equal(named.values, np.arange(5))
    with pytest.raises(InputError, match=r"names \['a'\]; x has \['a', 'b'\]\. Give one array"):
        read_map(q, {"a": np.arange(2)})
    with pytest.raises(InputError, match=r"map of 'a' has the shape \(3,\); x has \(1, 2\)"):
        read_map(q, {"a": np.arange(3), "b": np.arange(3)})


def test_maps_that_do_not_fit() -> None:
    q = of(PHOTO)
    with pytest.raises(InputError, match=r"the shape \(7,\); x has 'x' \(1, 3, 4, 5\)\. Give one"):
        read_map(q, np.zeros(7))
    with pytest.raises(InputError, match="dtype complex128; expected real numbers"):
        read_map(q, np.zeros(60, complex))
    with pytest.raises(InputError, match="holds 60 NaN or infinite values"):
        read_map(q, np.full(60, np.nan))
    square = of("g (float[1,4,4] x) => (float[1,4,4] y) { y = Relu(x) }")
    with pytest.raises(InputError, match="4 numbers and x 4 x 4: which axis it was summed over"):
        read_map(square, np.zeros(4))
