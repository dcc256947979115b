"""Frames as x: whatever the order of their columns, they are the arrays that they hold."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin.readings import compare, evaluate
from tests.small import mlp, model

NAMES = ("a", "b", "c")
ROWS = np.random.default_rng(3).normal(size=(4, 3)).astype(np.float32)
TYPED = """g (float[N,1] age, int64[N,1] children, string[N,1] city) => (float[N,1] y)
    <int64[2] v = {1, 1}> {
    n = Cast <to = 1> (children)
    i = ai.onnx.ml.LabelEncoder <keys_strings = ["oslo", "rome"], values_floats = [2.0, 3.0],
        default_float = -1.0> (city)
    s = Add(age, n)
    y = Add(s, i) }"""


def frame(package: str, columns: dict[str, Any]) -> Any:
    return pytest.importorskip(package).DataFrame(columns)


def told() -> onnx.ModelProto:
    proto = mlp()
    onnx.helper.set_model_props(proto, {"features": json.dumps(NAMES)})
    return proto


def typed() -> onnx.ModelProto:
    proto = model(TYPED)
    proto.opset_import.append(onnx.helper.make_opsetid("ai.onnx.ml", 3))
    return proto


PACKAGES = pytest.mark.parametrize("package", ["pandas", "polars"])


@PACKAGES
@given(st.permutations(range(3)))
def test_any_order_of_columns_is_one_x(package: str, order: list[int]) -> None:
    lin = onnxlin.Linearizer(told())
    found = frame(package, {NAMES[i]: ROWS[:, i] for i in order})
    m = lin(found[:1])
    np.testing.assert_array_equal(m.x, ROWS[0])
    assert compare(m, lin(ROWS[:1])).same
    for each, row in zip(lin.map(found), ROWS, strict=True):
        np.testing.assert_array_equal(each.x, row)
    scores, plain = (evaluate(lin, xs, [0, 1, 1, 0]) for xs in (found, ROWS))
    np.testing.assert_array_equal(scores.y, plain.y)


def test_a_row_of_a_pandas_frame() -> None:
    found = frame("pandas", {name: ROWS[:, i] for i, name in enumerate(NAMES)})
    m = onnxlin.linearize(told(), found[["c", "a", "b"]].iloc[2])
    np.testing.assert_array_equal(m.x, ROWS[2])


@PACKAGES
def test_columns_have_the_types_of_their_inputs(package: str) -> None:
    """Categories count by their values; whole numbers that are floats fit, others do not."""
    columns = {"city": ["rome", "oslo"], "children": [2.0, 0.0], "age": [30, 40]}
    found, lin = frame(package, columns), onnxlin.Linearizer(typed())
    if package == "pandas":
        found["city"] = found["city"].astype("category")
    else:
        polars = pytest.importorskip("polars")
        found = found.with_columns(polars.col("city").cast(polars.Categorical))
    assert lin(found).y.tolist() == [35.0, 42.0]
    assert lin(found[1:]).y.tolist() == [42.0]
    assert [m.y.tolist() for m in lin.map(found)] == [[35.0], [42.0]]
    half = frame(package, columns | {"children": [2.5, 0.0]})
    with pytest.raises(onnxlin.InputError, match=r"'children'.*2\.5.*no whole number"):
        lin(half)


@PACKAGES
def test_what_does_not_fit_is_named(package: str) -> None:
    lin, whole = onnxlin.Linearizer(told()), {n: [1.0] for n in NAMES}
    with pytest.raises(onnxlin.InputError, match=r"lacks the columns \['b'\] and has \['q'\]"):
        lin(frame(package, {"a": [1.0], "q": [1.0], "c": [1.0]}))
    with pytest.raises(onnxlin.InputError, match=r"has \['id'\], which are not known"):
        lin(frame(package, whole | {"id": [7]}))
    with pytest.raises(onnxlin.InputError, match=r"columns \['b'\] hold text, and the others"):
        lin(frame(package, whole | {"b": ["x"]}))
    with pytest.raises(onnxlin.InputError, match="the model's inputs"):
        onnxlin.Linearizer(typed())(frame(package, whole))
    with pytest.raises(onnxlin.InputError, match="NaN or infinite"):
        lin(frame(package, whole | {"b": [float("nan")]}))
    if package == "pandas":
        twice = frame(package, whole).set_axis(["a", "b", "b"], axis=1)
        with pytest.raises(onnxlin.InputError, match="columns of one name"):
            lin(twice)


def test_a_model_without_names_takes_them_in_their_order() -> None:
    found = frame("pandas", {name: ROWS[:1, i] for i, name in enumerate("zyx")})
    np.testing.assert_array_equal(onnxlin.linearize(mlp(), found).x, ROWS[0])
