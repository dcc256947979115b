"""The laws of the whole: what F(x) = W x + b promises, on random graphs of every operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import onnxlin
from onnxlin import AffineMap, Linearizer
from onnxlin.testing import GrownModel, onnx_models
from onnxlin.testing.models import MAKERS, run
from tests.agree import assert_close, sums
from tests.graphs import EXACT
from tests.proofs import unrefused
from tests.twin import by_hand

# Operators that no random graph can hold, each with the place where it is tested instead.
LISTS = "its tensors are lists: tests/rules/moving/test_sequences.py"
DRAWS = "two runs draw differently: tests/rules/entrywise/test_constants.py and the spec corpus"
INTEGERS = (
    "of integers, through which nothing depends on x: tests/rules/entrywise/test_constants.py"
)
WINDOWS = "depends on its length alone: tests/rules/entrywise/test_constants.py"
SAMPLING = "its places are kinks at most small sizes: tests/rules/images/test_sampling.py"
COMPOSITE = "a body of operators that have makers: the spec corpus"
NEWER = "newer than the operator sets of random graphs: the spec corpus"
QUANTISED = "of integers: tests/rules/quantised/test_products.py"
WITHOUT_MAKER = {
    "Upsample": "ended with operator set 9: tests/load/normalise/test_normalise.py, fixtures/odd",
    **dict.fromkeys(("SequenceAt", "SequenceConstruct", "SequenceErase", "SequenceInsert"), LISTS),
    **dict.fromkeys(("SplitToSequence", "ConcatFromSequence", "SequenceMap"), LISTS),
    **dict.fromkeys(("Optional", "OptionalGetElement", "OptionalHasElement"), LISTS),
    "SequenceLength": LISTS,
    **dict.fromkeys(("RandomNormal", "RandomNormalLike", "RandomUniform"), DRAWS),
    **dict.fromkeys(("RandomUniformLike", "Bernoulli", "Multinomial"), DRAWS),
    **dict.fromkeys(("BitCast", "BitShift", "BitwiseAnd", "BitwiseNot"), INTEGERS),
    **dict.fromkeys(("BitwiseOr", "BitwiseXor", "NonMaxSuppression"), INTEGERS),
    **dict.fromkeys(("BlackmanWindow", "HammingWindow", "HannWindow", "MelWeightMatrix"), WINDOWS),
    "Range": "its length jumps with x: tests/rules/entrywise/test_constants.py",
    **dict.fromkeys(("RoiAlign", "MaxRoiPool", "DeformConv", "AffineGrid"), SAMPLING),
    "MaxUnpool": "needs the indices of a pooling before: tests/rules/images/test_sampling.py",
    **dict.fromkeys(("DFT", "STFT"), "of signals: tests/rules/products/test_signal.py"),
    **dict.fromkeys(("Attention", "RotaryEmbedding", "LinearAttention"), COMPOSITE),
    **dict.fromkeys(("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"), COMPOSITE),
    "SimplifiedLayerNormalization": "no schema has it: tests/rules/microsoft/test_microsoft.py",
    **dict.fromkeys(("CumProd", "Swish", "SwiGLU", "TensorScatter", "CausalConvWithState"), NEWER),
    **dict.fromkeys(("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"), QUANTISED),
}
MODES = ("tangent", "frozen")
ENGINES = ("explicit", "reverse", "forward", "live", "cut")
few = settings(max_examples=max(settings().max_examples // 4, 1))


def test_every_rule_has_a_maker() -> None:
    standard = {op_type for domain, op_type in onnxlin.RULES if not domain}
    assert standard - set(MAKERS) - set(WITHOUT_MAKER) == set()


def test_every_maker_has_a_rule() -> None:
    assert {("", op_type) for op_type in MAKERS} <= set(onnxlin.RULES)


def linearized(grown: GrownModel, **options: Any) -> AffineMap:
    """The map of a grown model, in float64."""
    return onnxlin.linearize(grown.model, grown.x, **({"dtype": np.float64} | options))


def assert_equals_run(m: AffineMap, grown: GrownModel) -> None:
    """W x + b is what onnxruntime computes, as near as rounding lets it be."""
    ours = run(grown.model, grown.x)
    np.testing.assert_array_equal(m.y, np.concatenate([y.ravel() for y in ours]))
    assert (m.residual <= m.bound).all()
    assert unrefused(m) is m


@pytest.mark.parametrize("op_type", MAKERS)
@few
@given(data=st.data())
def test_one_operator(op_type: str, data: st.DataObject) -> None:
    grown = data.draw(onnx_models([op_type], max_nodes=2))
    for mode in MODES:
        m = linearized(grown, mode=mode)
        assert_equals_run(m, grown)
        assert (m.composition_residual <= m.composition_bound).all()
    assert_equals_run(linearized(grown, dtype=np.float32), grown)


@given(onnx_models(EXACT, min_nodes=3, max_nodes=9))
def test_wx_plus_b_is_f_of_x_in_float64(grown: GrownModel) -> None:
    m = linearized(grown)
    assert m.W.dtype == m.dtype == np.float64
    assert_equals_run(m, grown)
    assert (m.composition_residual <= m.composition_bound).all()
    assert m.composition_residual.max(initial=0) <= 1e-12


@given(onnx_models(min_nodes=3, max_nodes=9), st.sampled_from(MODES))
def test_both_readings_hold(grown: GrownModel, mode: str) -> None:
    """Where differences of large numbers are taken, the bound of the composing says so."""
    m = linearized(grown, mode=mode)
    assert m.mode == mode
    assert_equals_run(m, grown)
    assert (m.composition_residual <= m.composition_bound).all()


@given(onnx_models(EXACT, min_nodes=2))
def test_readings_agree_where_nothing_is_smooth(grown: GrownModel) -> None:
    tangent, frozen = (linearized(grown, mode=mode) for mode in MODES)
    if all(layer.status != "tangent" for layer in tangent.layers):
        np.testing.assert_array_equal(tangent.W, frozen.W)
        np.testing.assert_array_equal(tangent.b, frozen.b)


@given(onnx_models(min_nodes=3, max_nodes=9))
def test_wx_plus_b_is_f_of_x_in_float32(grown: GrownModel) -> None:
    m = linearized(grown, dtype=None)
    assert m.W.dtype == np.float32
    assert_equals_run(m, grown)


@given(onnx_models(min_nodes=2))
def test_w_and_its_parts_have_their_shapes(grown: GrownModel) -> None:
    m = linearized(grown)
    rows, columns = sum(y.size for y in m.outputs.values()), sum(x.size for x in m.inputs.values())
    assert m.W.shape == m.contributions.shape == (rows, columns)
    assert m.b.shape == m.y.shape == m.residual.shape == m.bound.shape == (rows,)
    assert m.x.shape == (columns,)
    assert m.engine in ENGINES
    assert m.plan
    np.testing.assert_array_equal(m.contributions, m.W * m.x)


# Engines and views agree


@given(onnx_models(min_nodes=2), st.booleans())
def test_engines_agree_with_layers_by_hand(grown: GrownModel, ties: bool) -> None:
    m = linearized(grown)
    hand = by_hand(m)
    for engine in ENGINES:
        other = linearized(grown, engine=engine)
        assert other.engine == engine
        assert (np.abs(other.W - hand.W) <= hand.slack).all()
        assert (np.abs(other.b - hand.b) <= hand.bias_slack).all()


@given(onnx_models(min_nodes=2))
def test_bias_by_node_sums_to_b(grown: GrownModel) -> None:
    for engine in ENGINES:
        m = linearized(grown, engine=engine)
        total = sum(m.bias_by_node.values(), start=np.zeros(m.b.shape))
        np.testing.assert_array_equal(total, m.b)
        names = {layer.name for layer in m.layers} | set(m.outputs)
        assert set(m.bias_by_node) <= names


@given(onnx_models(min_nodes=2), st.data())
def test_rows_are_rows_of_w(grown: GrownModel, data: st.DataObject) -> None:
    whole = linearized(grown)
    hand, n = by_hand(whole), len(whole.y)
    picked = st.lists(st.integers(-n, n - 1), max_size=4)
    rows = np.array(data.draw(picked), np.int64)
    engine = data.draw(st.sampled_from(ENGINES))
    m = linearized(grown, rows=rows, engine=engine)
    assert (np.abs(m.W - whole.W[rows]) <= hand.slack[rows]).all()
    assert (np.abs(m.b - whole.b[rows]) <= hand.bias_slack[rows]).all()
    np.testing.assert_array_equal(m.y, whole.y[rows])
    unrefused(m)


@given(onnx_models(min_nodes=2), st.integers(0, 3), st.sampled_from(ENGINES), st.integers(0, 99))
def test_rows_may_be_combinations(grown: GrownModel, k: int, engine: str, seed: int) -> None:
    whole = linearized(grown)
    hand, n = by_hand(whole), len(whole.y)
    mix = np.random.default_rng(seed).integers(-2, 3, (k, n))
    m = linearized(grown, rows=mix, engine=engine)
    # One more sum, over the rows.
    more = 1 + n / hand.roundings
    assert (np.abs(m.W - mix @ whole.W) <= more * (np.abs(mix) @ hand.slack)).all()
    assert (np.abs(m.b - mix @ whole.b) <= more * (np.abs(mix) @ hand.bias_slack)).all()
    assert_close(m.y, mix @ whole.y, sums(n, np.abs(mix) @ np.abs(whole.y)))
    unrefused(m)


@given(onnx_models(min_nodes=2), st.integers(0, 99))
def test_operator_is_w(grown: GrownModel, seed: int) -> None:
    m = linearized(grown)
    hand, operator = by_hand(m), m.operator()
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-2, 3, (m.x.size, 2)), rng.integers(-2, 3, (m.y.size, 2))
    more = 1 + max(m.W.shape) / hand.roundings
    assert operator.shape == m.W.shape
    gap, slack = np.abs(operator @ x - m.W @ x), more * (hand.slack @ np.abs(x))
    assert (gap <= slack).all()
    gap, slack = np.abs(operator.H @ y - m.W.T @ y), more * (hand.slack.T @ np.abs(y))
    assert (gap <= slack).all()
    assert (
        np.abs(operator @ x[:, 0] - m.W @ x[:, 0]) <= more * (hand.slack @ np.abs(x[:, 0]))
    ).all()


@given(onnx_models(min_nodes=2), st.sampled_from(["reverse", "forward", "live", "cut"]))
def test_chunks_do_not_change_the_map(grown: GrownModel, engine: str) -> None:
    whole = linearized(grown, engine=engine)
    hand, sweeps = by_hand(whole), []
    # The least budget that is not refused makes the smallest chunks.
    for memory in 2 ** np.arange(6, 30):
        try:
            m = linearized(
                grown, engine=engine, memory=int(memory), progress=lambda *at: sweeps.append(at)
            )
            assert (np.abs(m.W - whole.W) <= hand.slack).all()
            assert (np.abs(m.b - whole.b) <= hand.bias_slack).all()
            break
        except onnxlin.MemoryBudgetError:
            continue
    else:
        pytest.fail("every budget was refused")
    total = sweeps[-1][1]
    assert sweeps[-1] == (total, total)
    assert sweeps == sorted(sweeps)


# Files, and many instances


@settings(few, suppress_health_check=list(HealthCheck))  # each example writes its own file
@given(grown=onnx_models(min_nodes=2))
def test_saved_and_loaded_again(grown: GrownModel, tmp_path: Path) -> None:
    m = linearized(grown)
    path = tmp_path / "map.npz"
    m.save(path)
    again = AffineMap.load(path)
    for name in ("W", "b", "x", "y", "residual", "contributions"):
        np.testing.assert_array_equal(getattr(again, name), getattr(m, name))
    assert again.bias_by_node.keys() == m.bias_by_node.keys()
    assert list(again.inputs) == list(m.inputs)
    assert list(again.outputs) == list(m.outputs)
    assert (again.mode, again.engine, again.dtype) == (m.mode, m.engine, m.dtype)


@few
@given(onnx_models(min_nodes=2))
def test_linearizer_gives_what_linearize_gives(grown: GrownModel) -> None:
    lin = Linearizer(grown.model)
    once = linearized(grown)
    for m in (lin(grown.x, dtype=np.float64), lin(grown.x, dtype=np.float64)):
        np.testing.assert_array_equal(m.W, once.W)
        np.testing.assert_array_equal(m.b, once.b)
        assert m.pattern_key == once.pattern_key
    values = lin.run(grown.x)
    np.testing.assert_array_equal(np.concatenate([v.ravel() for v in values.values()]), once.y)


@few
@given(onnx_models(min_nodes=3), st.data())
def test_any_tensors_may_be_the_ends(grown: GrownModel, data: st.DataObject) -> None:
    values = grown.tensors()
    made = [name for name in values if name not in grown.x]
    start = data.draw(st.sampled_from([*grown.x, *made]), label="inputs")
    end = data.draw(st.sampled_from(made), label="outputs")
    m = onnxlin.linearize(grown.model, grown.x, inputs=[start], outputs=[end], dtype=np.float64)
    np.testing.assert_array_equal(m.x, values[start].ravel())
    np.testing.assert_array_equal(m.y, values[end].ravel())
    unrefused(m)
    hand = by_hand(m)
    assert (np.abs(m.W - hand.W) <= hand.slack).all()
