"""Masks of every form: b, its shares and the residual are as accurate as F, and W is right."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onnxlin
from onnxlin.section import MODES
from tests.longer import LONG
from tests.proofs import unrefused
from tests.small import model

ENGINES = ("explicit", "reverse", "forward", "live", "cut", "compiled")
LOWEST = float(np.finfo(np.float32).min)
LOWS = {"1e9": -1e9, "1e30": -1e30, "lowest": LOWEST, "infinite": -np.inf}
# Row 0 sees everything, row 1 two entries, row 2 one, row 3 none: left padding.
KEEP = np.array([[1, 1, 1], [1, 1, 0], [0, 1, 0], [0, 0, 0]], bool)
X = np.array([[0.1, -0.2, 0.3], [0.4, -0.5, 0.6], [1.5, 0.25, -2], [-1, 2, 0.5]], np.float32)

# Each makes the scores `s` of `x`; `low` is the mask's number, `mask` has it where nothing is kept.
MASKS = {
    "added": "s = Add(x, mask)",
    "added first": "s = Add(mask, x)",
    "subtracted": "n = Neg(mask)  s = Sub(x, n)",
    "chosen": "s = Where(keep, x, low)",
    "chosen by an input": "s = Where(k, x, low)",
    "made of an input": "f = Cast <to = 1> (k)  m = Sub(one, f)  n = Mul(m, low)  s = Add(x, n)",
    "chosen, then added": "n = Where(k, zero, low)  s = Add(x, n)",
    "expanded": "n = Where(k, zero, low)  m = Expand(n, shape)  s = Add(x, m)",
    "added twice": "h = Add(x, mask)  s = Add(h, mask)",
    "added, then scaled": "h = Add(x, mask)  g = Mul(h, half)  s = Add(g, g)",
    "added, then moved": (
        "h = Add(x, mask)  i = Transpose <perm = [1, 0]> (h)  s = Transpose <perm = [1, 0]> (i)"
    ),
    "held from below": "h = Add(x, mask)  s = Max(h, low)",
}
# Each makes weights `p` of the scores.
SOFTMAX = {
    "Softmax": "p = Softmax(s)",
    "decomposed": (
        "t = ReduceMax <axes = [1]> (s)  d = Sub(s, t)  e = Exp(d)  q = ReduceSum(e, axis)  "
        "p = Div(e, q)"
    ),
    "logarithm": "l = LogSoftmax(s)  p = Exp(l)",
    "by log sum exp": "t = ReduceLogSumExp <axes = [1]> (s)  d = Sub(s, t)  p = Exp(d)",
}
OF_ZERO = {"made of an input"}  # 0 times infinity


def masked(mask: str, softmax: str, low: float, keep: np.ndarray) -> onnx.ModelProto:
    proto = model(
        "g (float[4,3] x, bool[4,3] k) => (float[4,2] y) <float[3,2] V = {1, -2, 3, 0.5, -1, 2}, "
        "float zero = {0}, float one = {1}, float half = {0.5}, int64[1] axis = {1}, "
        f"int64[2] shape = {{4, 3}}> {{ {MASKS[mask]} {SOFTMAX[softmax]} y = MatMul(p, V) }}",
        opset=17,
    )
    for name, array in {
        "low": np.float32(low),
        "keep": keep,
        "mask": np.where(keep, np.float32(0), np.float32(low)),
    }.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    return proto


EACH = [(mask, softmax, low) for mask in MASKS for softmax in SOFTMAX for low in LOWS]
# A third, among them every form and every number; all take a minute more.
FEW = EACH if LONG else EACH[::3]


@pytest.mark.parametrize(("mask", "softmax", "low"), FEW)
def test_masks(mask: str, softmax: str, low: str) -> None:
    number, keep = LOWS[low], KEEP
    if low == "infinite" or (low == "lowest" and mask == "added twice"):
        keep = np.concatenate([KEEP[:3], KEEP[:1]])  # of a row without any F is no number
        if mask in OF_ZERO:
            pytest.skip("F is no number")
    proto = masked(mask, softmax, number, keep)
    plain = masked("added", "Softmax", -60.0, keep)  # exp(-60) is nothing beside 1
    x = {"x": X, "k": keep}
    seen = np.repeat(keep.any(axis=1), 2)
    dtypes = (np.float32, np.float64)
    for mode in MODES:
        if mode == "frozen" and softmax != "Softmax":
            continue  # how the weights are written decides what is held
        expected = onnxlin.linearize(plain, x, mode=mode, inputs="x", dtype=np.float64)
        for engine in ENGINES:
            for dtype in dtypes if engine != "compiled" else dtypes[:1]:
                how = {"mode": mode, "engine": engine, "dtype": dtype, "inputs": "x"}
                m = onnxlin.linearize(proto, x, **how)
                # What arrives at a cut is added up by size, where such numbers cancel.
                coarse = (engine, dtype, low) == ("cut", np.float32, "lowest")
                unrefused(m) if coarse else m.verify()
                room = 1e-5 * (1 + np.abs(m.y).max())
                np.testing.assert_allclose(m.Wx + m.b, m.y, atol=room)
                np.testing.assert_allclose(m.W[seen], expected.W[seen], atol=1e-5)
                np.testing.assert_array_equal(m.W[~seen], 0)
                shares = np.array(list(m.bias_by_node.values()))
                assert np.abs(shares).max() < 10


@pytest.mark.parametrize("low", [-1e9, LOWEST])
def test_a_small_number_beside_an_ordinary_one_keeps_its_slope(low: float) -> None:
    """1e-12 - 0.485 is -0.485, and so it would be for a black pixel: no reason for W = 0."""
    proto = model(
        "g (float[3] x) => (float[3] y) <float[3] c = {0.485, 1000, -4e6}> { y = Add(x, c) }"
    )
    m = onnxlin.linearize(proto, np.array([1e-12, 1e-6, 0.25], np.float32))
    np.testing.assert_array_equal(m.W, np.eye(3))


def test_a_narrow_model_may_be_masked() -> None:
    """float16, where -65504 + 2 is -65504, unless the runtime hands it on as it computed it."""
    proto = model(
        "g (float16[2,2] x) => (float16[2,2] y) <float16[2,2] m> { s = Add(x, m)  y = Softmax(s) }"
    )
    mask = np.array([[0, -65504], [-65504, -65504]], np.float16)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(mask, "m"))
    m = onnxlin.linearize(proto, np.array([[0.5, 1], [2, -1]], np.float16))
    np.testing.assert_allclose(m.Wx + m.b, m.y, atol=0.02)
    unrefused(m)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_mask_that_keeps_its_slope_is_seen(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug: no sum swallows anything, and a row that is masked throughout cancels."""
    for module in ("onnxlin.program.still", "onnxlin.rules.products.arithmetic"):
        monkeypatch.setattr(f"{module}.may_swallow", lambda total, eps: False)
    x = {"x": X, "k": KEEP}
    m = onnxlin.linearize(masked("added", "Softmax", LOWEST, KEEP), x, engine=engine, inputs="x")
    assert not np.allclose(m.Wx + m.b, m.y, atol=1)


@settings(max_examples=max(settings().max_examples // 3, 1))
@given(st.data())
def test_any_mask(data: st.DataObject) -> None:
    """Rows of any pattern, scores of any ordinary size, forms and numbers as they come."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    keep = rng.random((4, 3)) < data.draw(st.sampled_from([0.2, 0.5, 0.8]))
    mask, softmax = (
        data.draw(st.sampled_from(list(MASKS))),
        data.draw(st.sampled_from(list(SOFTMAX))),
    )
    low = data.draw(st.sampled_from([-1e9, -1e30]))
    scores = (rng.normal(size=(4, 3)) * data.draw(st.sampled_from([0.1, 1.0, 8.0]))).astype(
        np.float32
    )
    x = {"x": scores, "k": keep}
    proto, plain = masked(mask, softmax, low, keep), masked("added", "Softmax", -200.0, keep)
    expected = onnxlin.linearize(plain, x, inputs="x", dtype=np.float64)
    seen = np.repeat(keep.any(axis=1), 2)
    for engine in ENGINES:
        m = onnxlin.linearize(proto, x, engine=engine, inputs="x")
        m.verify()
        np.testing.assert_allclose(m.Wx + m.b, m.y, atol=1e-5 * (1 + np.abs(m.y).max()))
        np.testing.assert_allclose(m.W[seen], expected.W[seen], atol=2e-5)
        np.testing.assert_array_equal(m.W[~seen], 0)
