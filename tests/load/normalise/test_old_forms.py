"""Old forms and newest forms are the same function."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import helper

from tests.load.normalise.old_forms import (
    PER_CHANNEL,
    Arrays,
    X,
    assert_equal,
    assert_same,
    floats,
    newest,
    run,
)

PER_ENTRY = dict(
    zip("sbmv", [*floats(3, 3, 4, 5), np.abs(floats(3, 4, 5))], strict=True)  # scale, B, mean
)
EXTREMES = np.array([np.inf, -np.inf, 1, -1], np.float32)
ROIS = np.array([[0, 0, 3, 3], [1, 1, 2, 2.5]], np.float32)
CASES: dict[str, tuple[Any, ...]] = {
    "squeeze": ("Squeeze", 11, {"x": floats(1, 2, 1)}, {}, {"axes": [-1]}),
    "squeeze all": ("Squeeze", 7, {"x": floats(1, 2, 1)}, {}, {}),
    "unsqueeze": ("Unsqueeze", 11, {"x": floats(2)}, {}, {"axes": [0, 2]}),
    "slice": ("Slice", 7, {"x": X}, {}, {"starts": [1, -2], "ends": [2**31 - 1, -1]}),
    "split": ("Split", 11, {"x": X}, {}, {"axis": 1, "split": [1, 2]}, ("a", "b")),
    "split equally": ("Split", 11, {"x": X}, {}, {"axis": 2}, ("a", "b")),
    "split equally 13": ("Split", 13, {"x": X}, {}, {"axis": 2}, ("a", "b")),
    "top k": ("TopK", 7, {"x": X}, {}, {"k": 2}, ("values", "indices")),
    "pad": ("Pad", 7, {"x": X}, {}, {"pads": [0, 0, 1, 1, 0, 0, 2, -1], "value": 2.5}),
    "pad edge": ("Pad", 7, {"x": X}, {}, {"pads": [0, 0, 1, 1] * 2, "mode": "edge", "value": 1.0}),
    "pad float64": (
        "Pad",
        7,
        {"x": X.astype(np.float64)},
        {},
        {"pads": [0, 0, 1, 1] * 2, "value": 2.5},
    ),
    "clip": ("Clip", 7, {"x": X}, {}, {"min": -0.5, "max": 0.25}),
    "clip below": ("Clip", 7, {"x": EXTREMES}, {}, {"min": 0.0}),
    "clip by nothing": ("Clip", 7, {"x": EXTREMES}, {}, {}),
    "upsample 7": ("Upsample", 7, {"x": X}, {}, {"scales": [1.0, 1.0, 2.0, 3.5]}),
    "upsample 7 linear": (
        "Upsample",
        7,
        {"x": X},
        {},
        {"scales": [1.0, 1.0, 2.0, 3.5], "mode": "linear"},
    ),
    "resize by input": (
        "Resize",
        10,
        {"x": X, "s": np.array([1, 1, 1.7, 0.6], np.float32)},
        {},
        {},
    ),
    "batch normalisation": ("BatchNormalization", 7, {"x": X}, PER_CHANNEL, {"epsilon": 0.01}),
    "batch normalisation 9": ("BatchNormalization", 9, {"x": X}, PER_CHANNEL, {}),
    "batch normalisation by entry": ("BatchNormalization", 7, {"x": X}, PER_ENTRY, {"spatial": 0}),
    "dropout 7": ("Dropout", 7, {"x": X}, {}, {"ratio": 0.25}),
    "dropout 10": ("Dropout", 10, {"x": X}, {}, {"ratio": 0.25}),
    "group normalisation": (
        "GroupNormalization",
        18,
        {"x": floats(2, 6, 4), "s": floats(2), "b": floats(2)},
        {},
        {"num_groups": 2},
    ),
    "grid sample": ("GridSample", 16, {"x": X, "g": floats(2, 3, 3, 2)}, {}, {}),
    "grid sample cubic": (
        "GridSample",
        16,
        {"x": X, "g": floats(2, 3, 3, 2)},
        {},
        {"mode": "bicubic", "padding_mode": "border"},
    ),
    "roi align": (
        "RoiAlign",
        10,
        {"x": X, "r": ROIS, "i": np.array([0, 1])},
        {},
        {"output_height": 2, "output_width": 3},
    ),
    "dft": ("DFT", 17, {"x": floats(2, 8, 3, 1)}, {}, {}),
    "dft axis": ("DFT", 17, {"x": floats(2, 8, 3, 1)}, {}, {"axis": 2, "onesided": 1}),
    "dft length": ("DFT", 17, {"x": floats(2, 8, 3, 1), "n": np.array(5)}, {}, {}),
    "scatter": (
        "Scatter",
        9,
        {"x": floats(3, 4), "i": np.array([[1, 2]]), "u": floats(1, 2)},
        {},
        {"axis": 1},
    ),
    "half pixel for nearest": (
        "Resize",
        11,
        {"x": X},
        {"r": np.zeros(0, np.float32), "s": np.array([1, 1, 1.7, 0.6], np.float32)},
        {"coordinate_transformation_mode": "tf_half_pixel_for_nn", "nearest_mode": "floor"},
    ),
    "quantise": (
        "QuantizeLinear",
        10,
        {"x": X, "s": np.array(0.1, np.float32), "z": np.array(3, np.uint8)},
        {},
        {},
    ),
    "gemm": ("Gemm", 7, {"a": floats(2, 3), "b": floats(3, 4), "c": floats(4)}, {}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_old_and_newest_form_agree_to_the_last_bit(case: str) -> None:
    op_type, opset, feeds, constants, attributes, *outputs = CASES[case]
    assert_same(op_type, opset, feeds, constants, *outputs, **attributes)


@pytest.mark.parametrize(("op_type", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_recurrent_nets_agree_to_the_last_bit(op_type: str, gates: int) -> None:
    feeds = {"x": floats(3, 2, 4), "w": floats(1, 5 * gates, 4), "r": floats(1, 5 * gates, 5)}
    assert_same(op_type, 7, feeds, outputs=("y", "h"), hidden_size=5)


@given(
    op_type=st.sampled_from(["Softmax", "LogSoftmax", "Hardmax"]),
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    data=st.data(),
)
def test_softmax_over_all_axes_from_one_on(op_type: str, shape: list[int], data: Any) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    assert_same(op_type, 11, {"x": floats(*shape)}, axis=axis)


@given(
    op_type=st.sampled_from(
        "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare".split()  # noqa: SIM905
    ),
    axes=st.none() | st.sets(st.integers(-3, -1), min_size=1),
    keepdims=st.none() | st.integers(0, 1),
)
def test_reductions(op_type: str, axes: set[int] | None, keepdims: int | None) -> None:
    given_ = {"axes": None if axes is None else sorted(axes), "keepdims": keepdims}
    attributes = {k: v for k, v in given_.items() if v is not None}
    assert_same(f"Reduce{op_type}", 11, {"x": np.abs(floats(2, 3, 2))}, **attributes)


@given(
    mode=st.sampled_from(["nearest", "linear"]),
    height=st.floats(0.3, 3),
    width=st.floats(0.3, 3),
)
def test_resize_of_version_10(mode: str, height: float, width: float) -> None:
    scales = np.array([1, 1, height, width], np.float32)
    # Two nodes stand for one of "nearest": onnxruntime copies where no length changes, whatever
    # the scales, so that the first of them would do nothing.
    grown = [int(n * max(s, 1)) for n, s in zip(X.shape[2:], (height, width), strict=True)]
    assume(mode != "nearest" or grown != [*X.shape[2:]] or max(height, width) <= 1)
    assert_same("Resize", 10, {"x": X}, {"s": scales}, mode=mode)


@given(mode=st.sampled_from(["nearest", "linear"]), height=st.floats(1, 3), width=st.floats(1, 3))
def test_upsample_of_version_9(mode: str, height: float, width: float) -> None:
    scales = np.array([1, 1, height, width], np.float32)
    assert_same("Upsample", 9, {"x": X}, {"s": scales}, mode=mode)


@given(starts=st.lists(st.integers(-6, 6), min_size=3, max_size=3), data=st.data())
def test_slice_of_version_1(starts: list[int], data: Any) -> None:
    ends = data.draw(st.lists(st.integers(-6, 6), min_size=3, max_size=3))
    axes = data.draw(st.permutations(range(3)))
    assert_same("Slice", 7, {"x": floats(3, 4, 5)}, starts=starts, ends=ends, axes=list(axes))


NUMPY = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}


@given(
    op_type=st.sampled_from(sorted(NUMPY)),
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    stored=st.booleans(),
    data=st.data(),
)
def test_binary_operators_matched_from_an_axis_on(
    op_type: str, shape: list[int], stored: bool, data: Any
) -> None:
    first = data.draw(st.integers(0, len(shape)))
    last = data.draw(st.integers(first, len(shape)))
    a, b = floats(*shape), floats(*shape[first:last])
    axis = data.draw(st.sampled_from([first, first - len(shape)])) if first < len(shape) else first
    want = NUMPY[op_type](a, b.reshape(b.shape + (1,) * (len(shape) - last)))
    feeds, constants = ({"a": a}, {"b": b}) if stored else ({"a": a, "b": b}, {})
    got = newest(op_type, 6, feeds, constants, broadcast=1, axis=axis)
    assert_equal([want], got)


def test_binary_operators_without_an_axis_match_the_last_axes() -> None:
    a, b = floats(2, 3), floats(3)
    assert_equal([a + b], newest("Add", 1, {"a": a, "b": b}, broadcast=1, consumed_inputs=[0, 0]))


def test_prelu_had_one_slope_a_channel() -> None:
    slope = floats(3)
    want = np.where(X < 0, slope[:, None, None] * X, X)
    assert_equal([want], newest("PRelu", 6, {"x": X}, {"s": slope}))
    assert_equal([want], newest("PRelu", 6, {"x": X, "s": slope}))
    whole = floats(3, 4, 5)
    assert_equal([np.where(X < 0, whole * X, X)], newest("PRelu", 6, {"x": X, "s": whole}))
    assert_equal([np.where(X < 0, 2 * X, X)], newest("PRelu", 1, {"x": X}, {"s": np.float32([2])}))


def test_forms_before_version_7() -> None:
    x, flat = floats(2, 3), floats(6)
    assert_equal([x.reshape(3, 2)], newest("Reshape", 1, {"x": x}, shape=[3, 2]))
    assert_equal([np.concatenate([x, x], 1)], newest("Concat", 1, {"a": x, "b": x}))
    assert_equal([x.astype(np.int64)], newest("Cast", 1, {"x": x}, to="INT64"))
    assert_equal([x, x], newest("Split", 1, {"x": np.r_[x, x]}, axis=0, outputs=("a", "b")))
    halves = {"n": np.float32([1, 5])}
    assert_equal([flat[:1], flat[1:]], newest("Split", 1, {"x": flat}, halves, ("a", "b"), axis=0))
    assert_equal([np.pad(x, 1)], newest("Pad", 1, {"x": x}, paddings=[1, 1, 1, 1]))
    assert_equal([np.tile(x, (1, 3))], newest("Tile", 1, {"x": x}, TIMES_3_ALONG_1))
    big = newest("Upsample", 1, {"x": X}, height_scale=2.0, width_scale=3.0)
    assert_equal([X.repeat(2, 2).repeat(3, 3)], big)
    assert_equal([EXTREMES], newest("Clip", 1, {"x": EXTREMES}))
    assert_equal([np.maximum(EXTREMES, 0)], newest("Clip", 1, {"x": EXTREMES}, min=0.0))
    w, c = floats(3, 4), floats(4)
    feeds = {"a": x, "w": w, "c": c}
    assert_equal(run_plain("Gemm", feeds), newest("Gemm", 6, feeds, broadcast=1))
    assert_equal(
        run_plain("LpPool", {"x": X}, **POOL), newest("LpPool", 1, {"x": X}, p=2.0, **POOL)
    )


TIMES_3_ALONG_1 = {"tiles": np.array(3.0, np.float32), "axis": np.array(1.0, np.float32)}
POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}


def run_plain(op_type: str, feeds: Arrays, **attributes: Any) -> list[Any]:
    return run([helper.make_node(op_type, [*feeds], ["y"], **attributes)], 13, feeds, {})
