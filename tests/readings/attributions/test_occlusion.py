"""Occlusion: patches, and what F loses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxlin import Linearizer, OptionError
from onnxlin.readings.attributions.occlusion import occlusion
from onnxlin.readings.question.question import Question
from tests.agree import assert_close
from tests.readings.exact_nets import linear
from tests.readings.nets import given
from tests.small import model


def asked(name: str, row: int | None = None) -> Question:
    path, x = given(name)
    return Question(Linearizer(path), x, row)


# Occlusion


def test_occlusion_covers_one_patch_after_the_other() -> None:
    """Two channels, windows that overlap and are cut off at the edge: means over what covers."""
    net = model("""g (float[1,3,5,6] x) => (float[1,1] y)
        <float[1,90] w, int64[2] flat = {1, 90}> {
        f = Reshape(x, flat)  s = Mul(f, f)  t = Transpose(w)  y = MatMul(s, t) }""")
    rng = np.random.default_rng(0)
    w = rng.integers(-3, 4, (1, 90)).astype(np.float32)
    net.graph.initializer.append(onnx.numpy_helper.from_array(w, "w"))
    x = rng.integers(-3, 4, (1, 3, 5, 6)).astype(np.float32)
    q = Question(Linearizer(net), x, 0)
    loss = (w.reshape(3, 5, 6) * (x[0] ** 2 - 1)).sum(axis=0)  # at the baseline 1
    # A patch that begins where the one before it has reached the edge adds nothing new.
    found = occlusion(q, 3, 2, baseline=1.0)
    expected_rows = [0, 2]
    total, times = np.zeros((2, 5, 6))
    for top in expected_rows:
        for left in (0, 2, 4):
            total[top : top + 3, left : left + 3] += loss[top : top + 3, left : left + 3].sum()
            times[top : top + 3, left : left + 3] += 1
    expected = np.broadcast_to(total / times, (3, 5, 6))
    np.testing.assert_array_equal(found.values.reshape(3, 5, 6), expected)
    assert found.parameters == {"window": 3, "stride": 2, "baseline": "1"}


def test_gaps_between_patches_are_zero() -> None:
    proto, x = linear()
    q = Question(Linearizer(proto), x, 0)
    found = occlusion(q, 2, 3).values
    parts = q.m.W[0] * q.x
    expected = np.zeros(12)
    for start in (0, 3, 6, 9):
        expected[start : start + 2] = parts[start : start + 2].sum()
    np.testing.assert_array_equal(found, expected)


def test_a_window_goes_along_a_series_over_all_channels() -> None:
    net = model("""g (float[1,2,7] x) => (float[1,1] y) <int64[2] flat = {1, 14}, float[14,1] w =
        {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}> {
        f = Reshape(x, flat)  y = MatMul(f, w) }""")
    q = Question(Linearizer(net), np.ones((1, 2, 7), np.float32), 0)
    assert q.geometry is None
    steps = np.arange(1, 15).reshape(2, 7).sum(axis=0)
    found = occlusion(q, 3).values.reshape(2, 7)
    expected = np.repeat([steps[:3].sum(), steps[3:6].sum(), steps[6]], [3, 3, 1])
    np.testing.assert_array_equal(found, np.stack([expected, expected]))
    one = occlusion(q, (1, 3)).values.reshape(2, 7)
    np.testing.assert_array_equal(one[0, :3], [6, 6, 6])


def test_every_input_is_covered_in_turn(fixtures: Path) -> None:
    path = fixtures / "odd" / "two_in_two_out.onnx"
    x = dict(np.load(path.with_suffix(".npz")))
    lin = Linearizer(path)
    q = Question(lin, {name: x[name] for name in lin.graph.inputs}, 0)
    seen: list[tuple[int, int]] = []
    found = occlusion(q, progress=lambda *at: seen.append(at))
    columns = [np.arange(at.start, at.stop).reshape(q.m.inputs[name].shape)
               for name, at in q.m.columns_of.items()]  # fmt: skip
    patches = [part[..., i].ravel() for part in columns for i in range(part.shape[-1])]
    for patch in patches:
        changed = q.x.copy()
        changed[patch] = 0
        m = q.lin(q.fed(changed), q.rows, dtype=np.float64)
        assert_close(found.values[patch], q.y - q.F([changed])[0], 2 * m.bound * m.scale)
    assert len(columns) == 2
    assert seen[-1] == (len(patches), len(patches))


def test_an_empty_input_has_no_patches() -> None:
    net = model("""g (float[1,2] a, float[0,2] b) => (float[2] y) {
        c = Concat<axis=0>(a, b)  y = ReduceSum<keepdims=0>(c, n) }""")
    net.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0]), "n"))
    x = {"a": np.ones((1, 2), np.float32), "b": np.zeros((0, 2), np.float32)}
    found = occlusion(Question(Linearizer(net), x, 0))
    np.testing.assert_array_equal(found.values, [1, 0])


def test_windows_that_do_not_fit() -> None:
    proto, x = linear()
    q = Question(Linearizer(proto), x, 0)
    with pytest.raises(OptionError, match=r"has 3 axes; input 'x' has the shape \(1, 12\)"):
        occlusion(q, (1, 1, 2))
    with pytest.raises(OptionError, match="window or stride 0; expected 1 positive numbers"):
        occlusion(q, 0)
    with pytest.raises(OptionError, match=r"window or stride \(2,\); expected 2 positive"):
        occlusion(asked("lenet5_mnist"), (2,))
