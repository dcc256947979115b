"""The specification's own cases: W x + b is what it says, and W is the derivative.

What becomes of the cases is written down here, so that it cannot get worse unnoticed.
``python -m tests.corpus`` prints the whole table with its reasons.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

import onnxlin
from onnxlin.primitives import Diagonal, identity
from onnxlin.rules import RULES, Affine, NodeAtX, Rule
from tests.corpus import (
    PARTS,
    assert_reproduces,
    cases,
    counted,
    graphs,
    outcomes,
    part,
    survey,
    table,
)
from tests.installed import require_definitions

VERSIONS = (onnx.__version__, onnxruntime.__version__)
# (onnx, onnxruntime) -> for each part of the corpus, how many cases came out how. A "+" counts
# those on a kink, where differences say nothing.
EXPECTED: dict[tuple[str, str], dict[str, dict[str, int]]] = {
    ("1.23.2", "1.32.0"): {
        "a": {
            "constant": 1,
            "constant+": 1,
            "departs+": 5,
            "departs": 6,
            "input": 5,
            "no float": 50,
            "obstacle": 25,
            "reproduced": 206,
            "reproduced+": 4,
            "runtime": 5,
        },
        "bc": {
            "constant": 2,
            "input": 24,
            "no float": 185,
            "obstacle": 11,
            "reproduced": 138,
            "reproduced+": 6,
            "runtime": 26,
        },
        "defg": {
            "constant": 1,
            "constant+": 1,
            "departs": 10,
            "no float": 47,
            "obstacle": 33,
            "reproduced": 102,
            "reproduced+": 20,
            "runtime": 14,
        },
        "hijkl": {
            "constant": 6,
            "constant+": 1,
            "no float": 54,
            "reproduced": 146,
            "reproduced+": 2,
        },
        "mnop": {
            "constant+": 1,
            "departs": 1,
            "input": 3,
            "no float": 71,
            "obstacle": 15,
            "reproduced": 98,
            "reproduced+": 10,
            "runtime": 3,
        },
        "qr": {
            "constant+": 1,
            "departs": 2,
            "no float": 31,
            "obstacle": 23,
            "reproduced": 231,
            "reproduced+": 7,
            "runtime": 12,
        },
        "stuvwxyz": {
            "constant+": 1,
            "departs": 2,
            "no float": 93,
            "obstacle": 2,
            "refused": 6,
            "reproduced": 207,
            "reproduced+": 14,
            "runtime": 12,
        },
    },
}
# The same for the compiled engine: what becomes of the cases that come out, by `NO_GRAPH`.
GRAPHS: dict[tuple[str, str], dict[str, dict[str, int]]] = {
    ("1.23.2", "1.32.0"): {
        "a": {"compiled": 215, "shape": 8},
        "bc": {
            "compiled": 57,
            "function": 2,
            "input": 16,
            "shape": 25,
            "values": 46,
        },
        "defg": {"compiled": 105, "function": 22, "shape": 7},
        "hijkl": {"compiled": 153, "shape": 1, "values": 1},
        "mnop": {"compiled": 102, "shape": 7, "values": 1},
        "qr": {"compiled": 69, "shape": 172},
        "stuvwxyz": {
            "compiled": 165,
            "function": 8,
            "kernel": 3,
            "shape": 39,
            "values": 9,
        },
    },
}
NARROW = "onnxruntime computes in float32 where the case rounds to 16 bits at every step"
DFT = "onnxruntime's float32 transform is less exact than the case allows"
CORNERS = "onnxruntime keeps align_corners exact where the case rounds the size, onnx issue 4583"
UNPOOL = "onnxruntime reads the indices in the shape that they have without output_shape"
# The map equals onnxruntime's result, but that is not what the case expects.
DEPARTS: dict[str, str] = {
    "test_attention_4d_causal_bf16": NARROW,
    "test_attention_4d_causal_bf16_expanded": NARROW,
    "test_attention_4d_causal_fp16": NARROW,
    "test_attention_4d_causal_fp16_expanded": NARROW,
    "test_attention_4d_padded_kv_bf16_expanded": NARROW,
    "test_attention_4d_causal_padded_kv_bf16_expanded": NARROW,
    "test_attention_4d_attn_mask_causal_bf16": NARROW,
    "test_attention_4d_attn_mask_causal_bf16_expanded": NARROW,
    "test_attention_4d_gqa_with_past_and_present_fp16_expanded": NARROW,
    "test_attention_3d_causal_bf16": NARROW,
    "test_attention_3d_causal_bf16_expanded": NARROW,
    "test_dft_opset19": DFT,
    "test_dft_axis_opset19": DFT,
    "test_dft_inverse_opset19": DFT,
    "test_dft_rfft_opset19": DFT,
    "test_dft_irfft_opset19": DFT,
    "test_dft": DFT,
    "test_dft_axis": DFT,
    "test_dft_inverse": DFT,
    "test_dft_rfft": DFT,
    "test_dft_irfft": DFT,
    "test_maxunpool_export_with_output_shape": UNPOOL,
    "test_resize_downsample_scales_linear_align_corners": CORNERS,
    "test_resize_downsample_scales_cubic_align_corners": CORNERS,
    "test_stft": DFT,
    "test_stft_with_window": DFT,
}


@pytest.mark.parametrize("letters", PARTS)
def test_cases_come_out(letters: str) -> None:
    found = list(survey(part(letters)))
    print(table(found))
    failed = [f"{o.case}: {o.reason}" for o in found if o.kind == "FAILED"]
    assert not failed, "\n".join(failed)
    counts = counted(found)
    assert counts["reproduced"] > 0
    if VERSIONS in EXPECTED:
        assert counts == EXPECTED[VERSIONS][letters]
        assert graphs(found) == GRAPHS[VERSIONS][letters]
        assert {o.case for o in found if o.kind == "departs"} <= set(DEPARTS)


@pytest.mark.parametrize("op_type", sorted(n for d, n in RULES if d in ("", "ai.onnx.ml")))
def test_every_standard_rule_has_a_case(op_type: str) -> None:
    """Some case with this operator comes out; the simplest ones are tried first."""
    having = [c for c in cases() if any(n.op_type == op_type for n in c.model.graph.node)]
    having.sort(key=lambda case: len(case.model.graph.node))
    kinds = set()
    for outcome in (o for case in having for o in outcomes(case)):
        kinds.add(outcome.kind)
        if outcome.kind in ("reproduced", "constant", "random", "departs"):
            if op_type in WITHOUT_CASE:
                require_definitions()
            assert op_type not in WITHOUT_CASE
            return
    if op_type not in WITHOUT_CASE:
        require_definitions()
    assert op_type in WITHOUT_CASE, f"{op_type}: {kinds or 'no case at all'}"


NO_FLOATS = "its cases have no float that goes in and comes out: tests/rules"
NO_CASES = "the corpus has no case of it: tests/rules"
NO_KERNEL = "onnxruntime runs none of its cases: tests/rules"
# Operators of which no case can come out, each with the reason.
WITHOUT_CASE: dict[str, str] = {
    **dict.fromkeys(
        (
            "ArgMax",
            "ArgMin",
            "BitCast",
            "BitShift",
            "BitwiseAnd",
            "BitwiseNot",
            "BitwiseOr",
            "BitwiseXor",
            "BlackmanWindow",
            "ConvInteger",
            "EyeLike",
            "HammingWindow",
            "HannWindow",
            "IsInf",
            "IsNaN",
            "LabelEncoder",
            "MatMulInteger",
            "NonMaxSuppression",
            "NonZero",
            "OptionalHasElement",
            "Or",
            "QLinearConv",
            "QLinearMatMul",
            "SequenceInsert",
            "SequenceLength",
            "SequenceMap",
            "SplitToSequence",
            "Trilu",
            "Xor",
        ),
        NO_FLOATS,
    ),
    **dict.fromkeys(
        (
            "CastMap",
            "CategoryMapper",
            "ConcatFromSequence",
            "DictVectorizer",
            "FeatureVectorizer",
            "GlobalLpPool",
            "Imputer",
            "LinearClassifier",
            "LinearRegressor",
            "MaxRoiPool",
            "Multinomial",
            "Normalizer",
            "OneHotEncoder",
            "Optional",
            "RandomNormal",
            "RandomNormalLike",
            "RandomUniform",
            "SVMClassifier",
            "SVMRegressor",
            "Scaler",
            "SequenceAt",
            "SequenceConstruct",
            "SequenceErase",
            "SimplifiedLayerNormalization",
            "TreeEnsembleClassifier",
            "TreeEnsembleRegressor",
            "ZipMap",
        ),
        NO_CASES,
    ),
    **dict.fromkeys(
        (
            "Bernoulli",
            "DequantizeLinear",
            "Greater",
            "OptionalGetElement",
            "RandomUniformLike",
            "RoiAlign",
            "SwiGLU",
        ),
        NO_KERNEL,
    ),
}


@pytest.mark.parametrize("fault", ["slope", "bias", "derivative", "frozen", "expected"])
def test_a_wrong_value_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: a planted bug in a rule, or another expected value."""
    (case,) = (case for case in cases() if case.name == "test_softplus")
    ((x,), (y,)) = case.data_sets[0]
    want = y + 1 if fault == "expected" else y
    rule = RULES["", "Softplus"]

    def wrong(node: NodeAtX) -> Affine:
        piece = rule.function(node)
        assert isinstance(piece, Affine)
        if fault == "slope":
            return Affine({0: identity(node.shape(0))}, piece.bias)
        if fault == "bias" or (fault == "frozen" and node.frozen):
            return Affine(piece.terms, np.ones(node.out_shape))
        if fault == "derivative" and not node.frozen:
            # W x + b is right all the same: only differences tell.
            shift = np.full(node.out_shape, 1e-3)
            more = piece.bias + shift * node.value(0)
            return Affine({0: Diagonal.of(node.shape(0), _slope(node) - shift)}, more)
        return piece

    if fault == "expected":
        assert assert_reproduces(case, {"x": x}, {"y": want}, ("x",))[0] == "departs"
        return
    monkeypatch.setitem(RULES, ("", "Softplus"), Rule(wrong, status="smooth"))
    with pytest.raises(AssertionError):
        assert_reproduces(case, {"x": x}, {"y": want}, ("x",))


def _slope(node: NodeAtX) -> np.ndarray:
    return 1 / (1 + np.exp(-node.value(0)))


def test_a_refusal_is_no_failure() -> None:
    (case,) = (case for case in cases() if case.name == "test_training_dropout")
    assert {o.kind for o in outcomes(case)} <= {"refused", "random"}
    with pytest.raises(onnxlin.OnnxlinError):
        onnxlin.linearize(case.model, case.data_sets[0][0][0])
