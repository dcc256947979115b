"""Every rule with kinks says where its piece holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import onnxlin
from onnxlin import OnnxlinError, linearize
from onnxlin.rules import RULES, Affine, Body, NodeAtX
from tests.corpus import cases
from tests.installed import require
from tests.rules.lone import model

ML, MS = "ai.onnx.ml", "com.microsoft"


def words(text: str) -> list[str]:
    """Names that stand in one text."""
    return text.split()


# Affine for every x, or of inputs that are no floats, with the reason.
KINKLESS: dict[str, str] = {
    **dict.fromkeys(
        words(
            "Add Sum Sub Mean Neg Identity Dropout MatMulNBits ConvTranspose Conv Gemm MatMul "
            "CumSum BatchNormalization AveragePool GlobalAveragePool ReduceSum ReduceMean Col2Im "
            "DFT Mul Div AffineGrid Scaler DequantizeLinear Einsum "
        ),
        "affine with constant coefficients",
    ),
    **dict.fromkeys(
        words(
            "ExpandDims Trilu GatherND UnfoldTensor Concat Split Slice Expand Tile Gather Reshape "
            "Flatten Squeeze Unsqueeze Transpose DepthToSpace SpaceToDepth GatherElements "
            "Compress ReverseSequence MaxUnpool Pad TensorScatter SequenceConstruct "
            "SequenceInsert SequenceErase SequenceAt Optional OptionalGetElement "
            "ConcatFromSequence SplitToSequence FeatureVectorizer ArrayFeatureExtractor Where "
            "Resize GridSample DeformConv GatherBlockQuantized "
        ),
        "positions are constant, or decided by a node of its own",
    ),
    **dict.fromkeys(
        words(
            "Shape Size EyeLike ConstantOfShape Constant HannWindow HammingWindow BlackmanWindow "
            "MelWeightMatrix SequenceLength OptionalHasElement "
        ),
        "the shape decides, not the numbers",
    ),
    **dict.fromkeys(
        words(
            "And Or Xor Not BitShift BitwiseAnd BitwiseOr BitwiseXor BitwiseNot QLinearConv "
            "QLinearMatMul QLinearAdd QLinearMul QLinearAveragePool QLinearGlobalAveragePool "
            "QLinearLeakyRelu QLinearSigmoid QLinearSoftmax QLinearConcat QLinearWhere QGemm "
            "ConvInteger MatMulInteger MatMulIntegerToFloat "
        ),
        "of integers, whose makers have the guards",
    ),
    "IsNaN": "finite numbers are none",
    "IsInf": "finite numbers are none",
    "Pow": "smooth, but for the exponents 0 and 1",
    "STFT": "affine in the signal",
}

X23 = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.25]])


def lone(op_type: str, *inputs: Any, domain: str = "", outputs: int = 1, **attributes: Any) -> Any:
    """A case for an operator that the specification's own cases do not reach."""
    proto = model(op_type, 21, list(inputs), outputs, **attributes)
    if domain:
        proto.graph.node[0].domain = domain
        proto.opset_import.add(domain=domain, version=3 if domain == ML else 1)
    x = {f"i{i}": v for i, v in enumerate(inputs) if v.dtype.kind == "f"}
    return proto, x


KEYS: dict[str, Any] = {"keys_floats": [0.5, 1.5], "values_floats": [1.0, 2.0]}
F32 = X23.astype(np.float32)
EXTRA: dict[tuple[str, str], tuple[Any, Any]] = {
    (ML, "Binarizer"): lone("Binarizer", F32, domain=ML, threshold=0.5),
    (ML, "Imputer"): lone(
        "Imputer", F32, domain=ML, imputed_value_floats=[1.0], replaced_value_float=0.5
    ),
    (ML, "LabelEncoder"): lone("LabelEncoder", F32, domain=ML, default_float=0.0, **KEYS),
    (ML, "TreeEnsembleRegressor"): lone(
        "TreeEnsembleRegressor",
        F32,
        domain=ML,
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[1, 0, 0],
        nodes_values=[0.5, 0.0, 0.0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        target_treeids=[0, 0],
        target_nodeids=[1, 2],
        target_ids=[0, 0],
        target_weights=[1.0, 2.0],
        n_targets=1,
    ),
    (MS, "Unique"): lone("Unique", F32[0], domain=MS, outputs=3),
    ("", "OneHot"): lone(
        "OneHot",
        np.array([0.5, 1.25], np.float32),
        np.array(3, np.float32),
        np.array([0, 1], np.float32),
    ),
    ("", "RoiAlign"): lone(
        "RoiAlign",
        np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4),
        np.array([[0, 0, 3, 3]], np.float32),
        np.array([0]),
        mode="max",
        output_height=2,
        output_width=2,
    ),
    ("", "MaxRoiPool"): lone(
        "MaxRoiPool",
        np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4),
        np.array([[0, 0, 0, 3, 3]], np.float32),
        pooled_shape=[2, 2],
    ),
}
# The specification has no case of these, and the runtime no short one.
UNREACHED: dict[tuple[str, str], str] = {
    (ML, "CastMap"): "takes a map",
    (ML, "DictVectorizer"): "takes a map",
    (ML, "ZipMap"): "gives maps",
    (ML, "CategoryMapper"): "of strings",
    ("", "NonMaxSuppression"): "test_unguarded_nodes_are_named has it",
    ("", "BitCast"): "the runtime has no kernel for it",
    (MS, "QuantizeLinear"): "shares the rule of QuantizeLinear",
    (ML, "OneHotEncoder"): "shares the rule of LabelEncoder",
    (ML, "TreeEnsemble"): "shares the rule of TreeEnsembleRegressor",
    (ML, "TreeEnsembleClassifier"): "shares the rule of TreeEnsembleRegressor",
}


def candidates() -> list[tuple[str, str]]:
    """Operators of piecewise-affine or constant rules that are not known to have no kink."""
    return [
        key
        for key, rule in RULES.items()
        if (rule.status in ("exact", "constant") or rule.exact_if is not None)
        and key[1] not in KINKLESS
        and key not in UNREACHED
    ]


def examples(key: tuple[str, str]) -> Iterator[tuple[Any, Any]]:
    """Models of one node of this operator, with instances."""
    if key in EXTRA:
        yield EXTRA[key]
    for case in cases():
        nodes = [node for node in case.model.graph.node if node.op_type != "Constant"]
        if len(nodes) == 1 and (nodes[0].domain, nodes[0].op_type) == key and case.data_sets:
            names = [i.name for i in case.model.graph.input]
            x = dict(zip(names, case.data_sets[0][0], strict=False))
            arrays = np.ndarray | np.generic  # a tensor of rank 0 may come as a number
            yield case.model, {n: np.asarray(v) for n, v in x.items() if isinstance(v, arrays)}


def answers(
    key: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Affine | Body | list[Affine]]:
    """What the rule of an operator answers in its examples, whose decisions are asked for."""
    seen: list[Any] = []
    rule = RULES[key]

    def recording(node: NodeAtX) -> Any:
        seen.append(rule.function(node))
        return seen[-1]

    monkeypatch.setitem(RULES, key, replace(rule, function=recording))
    for proto, x in examples(key):
        with suppress(OnnxlinError):
            m = linearize(proto, x, rows=[0])
            decided = m.made_from("a test").decided
            assert decided is not None
            for decision in decided().decisions:
                for bounds in decision.bounds():
                    assert (bounds.low <= bounds.high).all()
        # A node with integer results is asked only by what it decides; here by hand.
        yield from seen
        seen.clear()


@pytest.mark.parametrize(
    "key", candidates(), ids=lambda key: ".".join(part for part in key if part)
)
def test_rules_with_kinks_have_guards(
    key: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for answer in answers(key, monkeypatch):
        pieces = [answer] if isinstance(answer, Affine) else answer
        if not isinstance(pieces, Body):
            found += [piece for piece in pieces if piece.guards is not None]
    if not found:
        found = decided_by_a_where(key)
    if not found:
        require(*(proto for proto, _ in examples(key)))
    assert found, f"{key} has no guards; write them, or say in KINKLESS why it needs none"


def decided_by_a_where(key: tuple[str, str]) -> list[Any]:
    """Decisions of an operator with integer or boolean results, in a model that they move."""
    make: dict[str, Callable[[], str]] = {
        **dict.fromkeys(
            ("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"),
            lambda: f"d = {key[1]}(x, k)  f = Cast <to=1> (d)",
        ),
        **dict.fromkeys(
            ("ArgMax", "ArgMin"), lambda: f"d = {key[1]} <keepdims=1> (x)  f = Cast <to=1> (d)"
        ),
        "NonZero": lambda: "d = NonZero(x)  g = Cast <to=1> (d)  f = ReduceSum <keepdims=0> (g)",
        "Cast": lambda: "d = Cast <to=7> (x)  f = Cast <to=1> (d)",
        "CastLike": lambda: "i = Shape(x)  d = CastLike(x, i)  f = Cast <to=1> (d)",
        "QuantizeLinear": lambda: "d = QuantizeLinear(x, s)  f = Cast <to=1> (d)",
    }
    if key[1] not in make or key[0]:
        return []
    text = (
        "g (float[3] x) => (float[3] y) <float[3] k = {0.5, 0.5, 0.5}, float s = {0.25}> "
        f"{{ {make[key[1]]()} y = Add(x, f) }}"
    )
    from tests.small import model as parsed

    decided = onnxlin.linearize(parsed(text, 21), F32[0]).made_from("a test").decided
    assert decided is not None
    return [d for d in decided().decisions if d.node.op_type == key[1]]


def test_kinkless_operators_exist() -> None:
    """The list names no operator that has no rule."""
    assert set(KINKLESS) <= {op_type for _, op_type in RULES}
