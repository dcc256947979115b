"""Compiled once, asked anywhere: what a graph computes at another x is what the rules say there.

Nothing of the x that a section was compiled at may be in the graph: every law here compiles at one
x and asks at another one, of other signs and other maxima.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onnxlin
from onnxlin import Linearizer
from onnxlin.testing import GrownModel, onnx_models
from onnxlin.testing.models import MAKERS
from tests.engines.compiled.elsewhere import assert_agrees, compiled, elsewhere, plain
from tests.installed import require_newest
from tests.small import model
from tests.test_laws import MODES

few = settings(max_examples=max(settings().max_examples // 4, 1))

# Operators that never compile: what their rule decides from the values at x, or no kernel.
NOT_COMPILED: dict[str, str] = {
    "Unique": "how many entries differ",
    "Det": "a singular value decomposition, which ONNX has no operator for",
    "GlobalLpPool": "graphs are compiled in its newest form, of which onnxruntime has no kernel",
}

SELDOM = {"NonZero"}  # where its entries are settled, which few draws see


@pytest.mark.parametrize("op_type", MAKERS)
def test_one_operator(op_type: str) -> None:
    """Most operators compile; those that never do are named, with the reason."""
    require_newest(op_type)
    reasons: list[str | None] = []

    @few
    @given(onnx_models([op_type], max_nodes=2), st.sampled_from(MODES), st.integers(0, 99))
    def agrees(grown: GrownModel, mode: str, seed: int) -> None:
        lin = compiled(grown, mode=mode)
        reasons.append(None if lin else "refused")
        if lin:
            assert_agrees(lin, elsewhere(grown.x, seed))

    agrees()
    if op_type not in SELDOM:
        assert (op_type in NOT_COMPILED) == (None not in reasons)


def rows_of(n: int) -> st.SearchStrategy[Any]:
    """No row, one, some, all, and combinations of ``n`` outputs."""
    index = st.integers(-n, n - 1)
    picked = st.lists(index, max_size=5 if n else 0).map(lambda rows: np.array(rows, np.int64))
    weights = st.integers(0, 99).map(np.random.default_rng)
    mixed = st.builds(lambda rng, k: rng.integers(-2, 3, (k, n)), weights, st.integers(0, 3))
    return st.one_of(st.none(), picked, mixed)


@given(onnx_models(min_nodes=3, max_nodes=9), st.sampled_from(MODES), st.integers(0, 99), st.data())
def test_any_rows_of_any_graph(
    grown: GrownModel, mode: str, seed: int, data: st.DataObject
) -> None:
    lin = compiled(grown, mode=mode)
    if lin is None:
        return
    x = elsewhere(grown.x, seed)
    n = sum(y.size for y in lin(grown.x).outputs.values())
    m = assert_agrees(lin, x, data.draw(rows_of(n)))
    if m is not None:
        m.verify()


@few
@given(onnx_models(min_nodes=3, max_nodes=9), st.sampled_from(MODES), st.integers(0, 99))
def test_with_the_runtimes_optimisers(grown: GrownModel, mode: str, seed: int) -> None:
    """Fused kernels may put a unit on the other side of its kink; the map holds all the same."""
    lin = compiled(grown, mode=mode, session_options=None)
    if lin is None:
        return
    for rows in (None, [0]):
        try:
            lin(elsewhere(grown.x, seed), rows, engine="compiled").verify()
        except onnxlin.TraceError:
            return


PIECES = ["Split", "Slice", "Concat", "Transpose", "Unsqueeze", "Squeeze", "Reshape", "Neg"]


IMAGES = ["Conv", "Relu", "MaxPool", "BatchNormalization", "AveragePool", "Add", "ConvTranspose"]


@pytest.mark.parametrize("op_types", [PIECES, IMAGES], ids=["pieces", "images"])
def test_one_row_and_all(op_types: list[str]) -> None:
    """What was cut apart is put together again; one row has a graph of its own."""

    @given(onnx_models(op_types, min_nodes=3, max_nodes=8), st.integers(0, 99))
    def agrees(grown: GrownModel, seed: int) -> None:
        lin = compiled(grown)
        assert lin is not None
        for rows in ([0], None):
            assert_agrees(lin, elsewhere(grown.x, seed), rows)

    agrees()


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_windows_that_share_entries(stride: int, dilation: int) -> None:
    """Cotangents add up where one entry wins in several windows, dilated ones too."""
    text = f"""g (float[1,1,9] x) => (float[1,1,N] y) {{
        y = MaxPool<kernel_shape=[2], strides=[{stride}], dilations=[{dilation}]>(x) }}"""
    lin = Linearizer(model(text), session_options=plain())
    x = np.zeros((1, 1, 9), np.float32)
    lin(x, engine="compiled")
    x[0, 0, 2::4] = 1
    for rows in (None, [0], np.ones((1, lin.run(x)["y"].size))):
        assert_agrees(lin, {"x": x}, rows)


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("kind", ["float", "double"])
def test_large_windows_after_a_relu(kernel: int, kind: str) -> None:
    """The mask is that of the winners; rows of so many entries are scattered one by one."""
    text = f"""g ({kind}[1,5,120,120] x) => ({kind}[1,5,1,1] y) {{
        z = Neg(x)
        r = Relu(z)
        p = MaxPool<kernel_shape=[{kernel},{kernel}], strides=[2,2]>(r)
        q = Mul(p, p)
        axes = Constant<value_ints=[2, 3]>()
        y = ReduceSum(q, axes) }}"""
    lin = Linearizer(model(text), session_options=plain())
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 5, 120, 120)).astype(np.float32 if kind == "float" else np.float64)
    lin(x, engine="compiled")
    # Most windows hold zeros alone, and many the same number twice.
    x = np.round(rng.normal(1, 1, x.shape)).astype(x.dtype)
    for rows in (None, [0]):
        found, other = (lin(x, rows, engine=engine) for engine in ("compiled", "reverse"))
        np.testing.assert_array_equal(found.W, other.W)  # whole numbers: every sum is exact
        assert np.any(found.W)
