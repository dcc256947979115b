"""No number is changed without a word: what is fed is what was given, rounded to floats at most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onnxlin import InputError, Linearizer, linearize
from onnxlin.section.numbers import fitted, real
from tests.small import model

GIVEN = ["float16", "float32", "float64", "int8", "int64", "uint8", "uint64"]
WANTED = ["float16", "float32", "float64", "int8", "int32", "int64", "uint8", "uint64", "bool"]

NEAR = [0, 1, 2, -1, 127, 128, 255, 256, 0.5, 1e5, 2.0**63, np.nan, np.inf]  # the edges of types


@given(st.data(), st.sampled_from(GIVEN), st.sampled_from(WANTED))
def test_a_number_is_kept_or_refused(data, found: str, wanted: str) -> None:
    numbers = [v for v in NEAR if _has(found, v)]
    entries = st.sampled_from(numbers).map(np.dtype(found).type) | hnp.from_dtype(np.dtype(found))
    array = data.draw(hnp.arrays(found, hnp.array_shapes(max_side=3), elements=entries))
    exact = [value.item() for value in array.ravel()]
    if not all(_has(wanted, value) for value in exact):
        with pytest.raises(InputError, match=r"Entry \["):
            fitted("x", array, wanted)
        return
    cast = fitted("x", array, wanted)
    assert cast.dtype == wanted
    assert cast.shape == array.shape
    assert not np.shares_memory(cast, array)
    for value, kept in zip(exact, cast.ravel(), strict=True):
        if wanted[0] == "f":
            nearest = array.dtype.type(value).astype(wanted)
            assert kept == nearest or np.isnan(value)
            assert np.isfinite(kept) == np.isfinite(value)
        else:
            assert int(kept) == value


def _has(name: str, value: float) -> bool:
    """Whether a type has a number, floats up to rounding."""
    kind = np.dtype(name)
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            return not np.isfinite(value) or bool(np.isfinite(np.array(value).astype(kind)))
    if not np.isfinite(value) or value != int(value):
        return False
    low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
    return low <= int(value) <= high


BAD = {
    "a decimal": (np.array([1.0, 1.5]), "int64", r"Entry \[1\] is 1\.5, which is no whole number"),
    "too large": (np.array([7, 300]), "uint8", r"goes from 0 to 255\. Entry \[1\] is 300"),
    "below": (np.array([[-1, 0]]), "uint8", r"Entry \[0, 0\] is -1"),
    "NaN for integers": (np.array([np.nan]), "int32", r"Entry \[0\] is nan, which is no whole"),
    "imaginary": (np.array([1, 2j]), "float32", r"Entry \[1\] is 2j: give real numbers"),
    "complex": (np.array([1 + 0j]), "float32", r"dtype complex128; the model takes float32"),
    "text": (np.array(["1"]), "float32", r"Entry \[0\] is '1', which is no number"),
    "one text": (np.array([1, "b"], object), "float32", r"Entry \[1\] is 'b', which is no number"),
    "None": ([[1.0, None]], "float64", r"Entry \[0, 1\] is None"),
    "a number for text": (np.array([1, "b"], object), "O", r"Entry \[0\] is 1, which is no text"),
    "overflow": (np.array([1, 1e39]), "float32", r"overflows .*float32; .* Entry \[1\] is 1e\+39"),
    "too large alone": (np.array(300), "uint8", "It is 300"),
    "ragged": ([[1], [1, 2]], "float32", "is no array"),
    "dates": (np.array(["2020-01-01"], "M8[D]"), "float32", "dtype datetime64.*which is no number"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_named(name: str) -> None:
    value, wanted, words = BAD[name]
    with pytest.raises(InputError, match=words):
        fitted("Input 'x'", value, wanted)


def test_numbers_in_wrappers_are_numbers() -> None:
    column = np.array([1, 2.5, np.float32(3)], dtype=object)
    np.testing.assert_array_equal(fitted("x", column, "float32"), np.float32([1, 2.5, 3]))
    assert fitted("x", np.array([1.0, 2.0]), "int64").tolist() == [1, 2]
    assert fitted("x", np.array(["a"]), "O").tolist() == ["a"]


@pytest.mark.parametrize("bad", ["mean", [1j], [[1], [2, 3]], [np.nan], [np.inf], {"a": 1}, None])
def test_real_numbers_alone_are_real(bad) -> None:
    with pytest.raises(InputError, match="The baseline"):
        real("The baseline", bad)


MIXED = "g (float[1,2] x, uint8[1] i) => (float y) { f = Cast<to = 1>(i)  y = Mul(x, f) }"


@pytest.mark.parametrize("engine", ["reverse", "compiled"])
@pytest.mark.parametrize("bad", [300, -1, 1.5, np.nan])
def test_every_way_in_refuses_alike(bad: float, engine: str) -> None:
    lin, x = Linearizer(model(MIXED)), np.ones((1, 2))
    with pytest.raises(InputError) as alone:
        linearize(model(MIXED), {"x": x, "i": np.array([bad])})
    with pytest.raises(InputError) as called:
        lin({"x": x, "i": np.array([bad])}, engine=engine)
    assert str(called.value) == str(alone.value)
    several = {"x": np.ones((9, 2)), "i": np.array([[1]] * 6 + [[bad]] + [[2]] * 2)}
    with pytest.raises(InputError, match=f"^Instance 6: {_escaped(str(alone.value))}"):
        list(lin.map(several, engine=engine))


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "[]().+" else c for c in text)


PLAIN = "g (float[1,2] x) => (float y) { y = Neg(x) }"


@pytest.mark.parametrize(("text", "xs"), [(PLAIN, 3.0), (MIXED, {"x": 3.0, "i": [[1]]})])
def test_a_stack_has_an_axis(text: str, xs) -> None:
    with pytest.raises(InputError, match="stack instances on axis 0"):
        list(Linearizer(model(text)).map(xs))
