"""What a bound decides: PASS, FAIL, or nothing."""

from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from onnxlin import AffineMap, Verdict, linearize
from onnxlin.affine_map import bounds
from onnxlin.affine_map.verdict import judge, together
from tests.small import model

LOST = "g (float[2] x) => (float[2] y) <float[1] c = {8e6}> { s = Add(x, c)  y = Sub(s, c) }"
# The lowest number hides one entry.
MASKED = """g (float[2,3] x) => (float[2,3] y) <float[2,3] mask = {0, 0, -3.4028234e38, 0, 0, 0}>
{ s = Add(x, mask)  y = Softmax(s) }"""
PASS, FAIL, UNDECIDED = Verdict.PASS, Verdict.FAIL, Verdict.UNDECIDED


def test_every_row_is_judged() -> None:
    inf, nan = np.inf, np.nan
    error = np.array([0, 1, 3, 1, 1, 0, nan, nan, inf, inf])
    bound = np.array([1, 1, 2, 9, nan, inf, 1, nan, 1, inf])
    size = np.full(len(error), 5.0)
    want = [PASS, PASS, FAIL, *[UNDECIDED] * 3, FAIL, FAIL, FAIL, UNDECIDED]
    assert judge(error, bound, size) == want


def test_one_row_decides_for_all() -> None:
    assert together([]) is PASS
    assert together([PASS, UNDECIDED]) is UNDECIDED
    assert together([PASS, UNDECIDED, FAIL]) is FAIL


@pytest.mark.parametrize("engine", ["reverse", "compiled"])
def test_what_rounding_may_hide_is_not_decided(engine: str) -> None:
    m = linearize(model(LOST), np.ones(2), engine=engine)
    assert m.verdicts == (UNDECIDED, UNDECIDED)
    assert (m.residual <= m.bound).all()
    assert (m.error_bound > m.output_size).all()
    with pytest.raises(onnxlin.UndecidedError, match=r"Not decided for 2 of 2 rows.*Sub at node"):
        m.verify()
    assert m.doubt(0).op_type == "Sub"
    assert m.verify(tol=1.0) is m


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_behind_a_mask_are_not_charged(dtype: type) -> None:
    """They are 3.4e38, and the smallest number times that is 4: it has weight 0 in every row."""
    x = np.array([[0.1, 0.2, 0.3], [0.4, -0.5, 0.6]])
    m = linearize(model(MASKED), x, engine="reverse", dtype=dtype).verify()
    assert m.bound.max() < 1e-4


@pytest.mark.parametrize(
    "text",
    ["Sigmoid(x)", "Exp(x)", "Sub(x, x)", "Relu(x)", "Softmax(x)"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", ["tangent", "frozen"])
def test_what_is_tiny_or_nothing_is_decided(text: str, dtype: type, mode: str) -> None:
    proto = model("g (float[2] x) => (float[2] y) { y = " + text + " }")
    m = linearize(proto, np.array([-100, -103.0]), dtype=dtype, mode=mode)
    assert m.verify().verdict is PASS
    assert (m.error_bound <= m.output_size).all()


def test_sums_of_more_terms_than_the_precision_has_digits_for() -> None:
    """With 2^24 terms gamma is infinite; a sum that is right is neither refused nor undecided."""
    text = """g (float[2] x) => (float[1] y) <int64[1] n = {33554432}, int64[1] a = {0}>
    { t = ReduceMean(x)  w = Expand(t, n)  y = ReduceMean(w, a) }"""
    m = linearize(model(text, opset=18), np.array([1.5, 0.5]), engine="reverse")
    assert np.isfinite(m.error).all()
    assert m.verdict is not FAIL
    assert not np.isnan(m.error_bound).any()
    assert m.first_departure() is None


@pytest.mark.parametrize(
    ("rows", "cheap", "wrong_by"), [(5, 0, 1e-3), (60, 2**30, 1e-3), (60, 0, 1e-2)]
)
def test_a_wrong_map_fails_however_many_rows(
    rows: int, cheap: int, wrong_by: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By worst cases (few rows, or a small net), and by noise first (many)."""
    monkeypatch.setattr(bounds, "CHEAP", cheap)
    rng = np.random.default_rng(0)
    W = ", ".join(f"{w:.4f}" for w in rng.normal(size=rows * 4))
    text = f"g (float[1,4] x) => (float[1,{rows}] y) <float[4,{rows}] W = {{{W}}}>"
    proto = model(text + " { h = MatMul(x, W)  y = Relu(h) }")
    right = linearize(proto, np.ones((1, 4)), engine="reverse").verify()
    assert right.verdict is PASS
    b = AffineMap.b.func
    monkeypatch.setattr(AffineMap, "b", property(lambda m: b(m) + wrong_by))
    wrong = linearize(proto, np.ones((1, 4)), engine="reverse")
    assert set(wrong.verdicts) == {FAIL}
    with pytest.raises(onnxlin.ResidualError, match="is past its bound") as caught:
        wrong.verify()
    assert type(caught.value) is onnxlin.ResidualError


def test_combinations_are_held_against_what_they_combine() -> None:
    text = "g (float[2] x) => (float[2] y) <float[2] c = {3, 5}> { y = Mul(x, c) }"
    m = linearize(model(text), np.array([1.0, 2.0]), rows=np.array([[2.0, -0.5], [0.0, 1.0]]))
    # F is (3, 10): a tenth of the largest that a row combines, 2 * 10, is more than |6 - 5|.
    assert m.output_size.tolist() == [2.0, 10.0]
    assert linearize(model(text), np.array([1e-3, 2.0])).output_size.tolist() == [1.0, 10.0]
    assert m.verdict is PASS
