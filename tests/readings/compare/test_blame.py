"""What moved a row from one model to another: shares that add up, where they belong."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime.quantization as tools
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin import Linearizer, linearize
from onnxlin.errors import InputError, OptionError
from onnxlin.graph import Array
from onnxlin.readings import Blame, blame
from onnxlin.testing import GrownModel, onnx_models
from tests.readings.compare.test_compare import changed, planted, reads
from tests.small import X, mlp, model
from tests.test_patterns import Counts
from tests.test_quantised_nets import STRAIGHT, Reader, quantising


def whole_numbers(seed: int, *, by: Array | None = None) -> onnx.ModelProto:
    """Three layers of small whole numbers, so that float32 and float64 are exact."""
    rng = np.random.default_rng(seed)
    proto = model(
        "g (float[1,4] x) => (float[1,3] y) { [one] h = MatMul(x, A)  [act] r = Relu(h)  "
        "[two] k = MatMul(r, B)  [again] s = Relu(k)  [last] y = MatMul(s, C) }"
    )
    for name, shape in (("A", (4, 6)), ("B", (6, 5)), ("C", (5, 3))):
        array = rng.integers(-4, 5, shape).astype(np.float32)
        if by is not None and name == "A":
            array = array + by.astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return proto


def weights(proto: onnx.ModelProto) -> list[Array]:
    return [onnx.numpy_helper.to_array(t).astype(np.float64) for t in proto.graph.initializer]


@given(st.integers(0, 10**6))
def test_shares_are_those_of_a_calculation_by_hand(seed: int) -> None:
    """Layer by layer, of W_A, W_B and the units that are alive: to the last bit."""
    rng = np.random.default_rng(seed)
    x, by = rng.integers(-4, 5, (1, 4)).astype(np.float32), rng.integers(-2, 3, (4, 6))
    a, b = whole_numbers(seed), whole_numbers(seed, by=by)
    row = np.array([1.0, -1.0, 0.0])
    found = blame(a, b, x, row)
    (A, B, C), (A2, _, _) = weights(a), weights(b)
    h, h2 = x @ A, x @ A2
    k, k2 = np.maximum(h, 0) @ B, np.maximum(h2, 0) @ B
    at_s = C @ row
    at_r = B @ (at_s * (k > 0)[0])
    own = {"h": float((h2 - h)[0] @ (at_r * (h > 0)[0]))}
    bent = {
        # What the ReLU makes of the difference, less what its slope at A passes on.
        "r": float((np.maximum(h2, 0) - np.maximum(h, 0) - (h > 0) * (h2 - h))[0] @ at_r),
        "s": float((np.maximum(k2, 0) - np.maximum(k, 0) - (k > 0) * (k2 - k))[0] @ at_s),
    }
    for i, name in enumerate(found.tensors):
        # At exactly 0 either slope is right, and the two sum to the same.
        if (h != 0).all() and (k != 0).all():
            assert found.introduced[i] == own.get(name, 0.0), name
            assert found.bent[i] == bent.get(name, 0.0), name
    assert found.rest == 0
    assert found.change == float((np.maximum(k2, 0) - np.maximum(k, 0))[0] @ C @ row)


def test_shares_of_random_graphs_add_up_and_accuse_readers_alone() -> None:
    """Of a constant moved: what is introduced is introduced where it is read."""
    counts = Counts()

    @given(onnx_models(min_nodes=2, ties=False), st.integers(0, 99), st.booleans())
    def law(grown: GrownModel, seed: int, frozen: bool) -> None:
        made = planted(grown, seed)
        if made is None:
            return
        other, name = made
        mode = "frozen" if frozen else "tangent"
        try:
            lin = Linearizer(grown.model, mode=mode)
            size = sum(value.size for value in lin.run(grown.x).values())
            row = np.random.default_rng(seed).normal(size=size)
            found = blame(lin, other, grown.x, row)
        except onnxlin.OnnxlinError:
            return  # the change makes a shape, or a NaN
        if not np.isfinite(found.values).all():
            return
        sizes = (
            np.abs(found.introduced).sum() + np.abs(found.bent).sum() + sum(map(abs, found.values))
        )
        assert abs(found.rest) <= 2.0**-40 * sizes
        moved = {t for t, e in zip(found.tensors, found.introduced, strict=True) if e}
        counts.used += bool(moved)
        sent = outputs_of(grown.model, name, set(found.tensors))
        assert moved <= sent, (moved, sent)

    law()
    assert counts.used > 5, vars(counts)


def outputs_of(proto: onnx.ModelProto, name: str, ends: set[str]) -> set[str]:
    """The first of some tensors on every way from the readers of a constant."""
    found, waiting, done = set(), [name], set()
    while waiting:
        for node in reads(proto, waiting.pop()):
            for output in set(node.output) - done:
                done.add(output)
                found.add(output)
                if output not in ends:
                    waiting.append(output)
    return found


def test_a_model_moves_nothing_from_itself() -> None:
    found = blame(mlp(), mlp(), X, 1)
    assert found.change == 0
    assert not found.introduced.any()
    assert not found.bent.any()
    assert found.first is None


def test_what_bends_is_of_second_order_where_nodes_are_smooth() -> None:
    """Half the difference: half of what is introduced, a quarter of what is bent."""
    text = "g (float[1,3] x) => (float[1,2] y) { [one] h = MatMul(x, A)  [act] t = Tanh(h) "
    a = model(text + " [last] y = MatMul(t, B) }")
    rng = np.random.default_rng(1)
    for name, shape in (("A", (3, 4)), ("B", (4, 2))):
        array = rng.normal(size=shape).astype(np.float64).astype(np.float32)
        a.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    shares = []
    for by in (2.0**-4, 2.0**-5, 2.0**-6):
        found = blame(a, changed(a, "A", 1, by), X, 0)
        at = found.tensors.index("t")
        assert found.first == "h"
        shares.append((found.introduced[found.tensors.index("h")], found.bent[at]))
    for (own, bend), (less, smaller) in pairwise(shares):
        assert own / less == pytest.approx(2, rel=1e-4)
        assert bend / smaller == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_what_the_input_loses_goes_through_w(fixtures: Path, tmp_path: Path, form: str) -> None:
    """Of a quantised net: what rounding x brings in is W times what was rounded away."""
    source, target = fixtures / "lenet5_mnist.onnx", tmp_path / "quantised.onnx"
    name = onnx.load(source).graph.input[0].name
    x = np.random.default_rng(0).random((1, 1, 28, 28), np.float32)
    with quantising():
        tools.quantize_static(
            source, target, Reader(name, [x]), quant_format=tools.QuantFormat[form]
        )
    row = np.eye(10)[3] - np.eye(10)[8]
    found = blame(source, target, x, row, rounding=STRAIGHT)
    scale, zero = (
        next(onnx.numpy_helper.to_array(t) for t in onnx.load(target).graph.initializer
             if t.name == f"{name}_{end}")
        for end in ("scale", "zero_point")
    )  # fmt: skip
    info = np.iinfo(zero.dtype)
    codes = np.clip(np.rint(x / scale) + zero, info.min, info.max) - zero
    lost = (codes.astype(np.float32) * scale).astype(np.float64) - x
    W = linearize(source, x, rows=row[None], dtype=np.float64).W[0]
    assert found.introduced[found.tensors.index(name)] == pytest.approx(float(W @ lost.ravel()))
    outputs = [Linearizer(m).run(x) for m in (source, target)]
    ours, theirs = (next(iter(o.values())).ravel().astype(np.float64) @ row for o in outputs)
    assert found.values == (ours, theirs)
    assert found.change == pytest.approx(float(found.shares.sum()), abs=1e-12)
    back = blame(target, source, x, row)
    assert back.change == -found.change
    assert abs(back.rest) < 1e-12


def test_it_is_said_in_words() -> None:
    found = blame(mlp(), changed(mlp(), "A", 1, 0.5), X, 0)
    assert isinstance(found, Blame)
    assert found.first == "h"
    text = str(found)
    assert f"{found.change:+.4g}" in text
    assert "  h: " in text
    assert " introduced, " in text
    assert "  x: " not in text


@pytest.mark.parametrize("row", [2, -3, 0.5, [1.0], "y", True])
def test_rows_that_are_none(row) -> None:
    with pytest.raises(OptionError, match=r"expected an output of 0 to 1, or 2 numbers"):
        blame(mlp(), mlp(), X, row)


def test_models_that_do_not_fit() -> None:
    other = model("g (float[1,3] x) => (float[1,3] y) { y = Relu(x) }")
    with pytest.raises(InputError, match="only what has one shape can be compared"):
        blame(mlp(), other, X, 0)
