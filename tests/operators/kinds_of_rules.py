"""What every operator of RULES does, in a word: the reasons of `test_tables` are told by it."""

from __future__ import annotations

from onnxlin.rules import RULES

NAMES = {
    "moves": """
        ArrayFeatureExtractor Cast CastLike Col2Im Compress Concat ConcatFromSequence DepthToSpace
        Dropout Expand ExpandDims FeatureVectorizer Flatten Gather GatherElements GatherND Identity
        MaxUnpool OneHot Optional OptionalGetElement Pad Range Reshape ReverseSequence
        ScatterElements ScatterND SequenceAt SequenceConstruct SequenceErase SequenceInsert Slice
        SpaceToDepth Split SplitToSequence Squeeze TensorScatter Tile Transpose Trilu UnfoldTensor
        Unsqueeze Where""",
    "weighs": """
        Add AffineGrid AveragePool BatchNormalization CumSum DFT GlobalAveragePool Mean Neg
        ReduceMean ReduceSum Resize STFT Scaler Sub Sum""",
    "bends": """
        Abs Clip HardSigmoid HardSwish Imputer LeakyRelu Mod PRelu ReduceL1 Relu Shrink
        ThresholdedRelu""",
    "picks": """
        DynamicQuantizeLinear GlobalMaxPool Max MaxPool MaxRoiPool Min ReduceMax ReduceMin TopK
        Unique""",
    "multiplies": """
        Conv ConvTranspose CumProd DeformConv DequantizeLinear Det Div Einsum GatherBlockQuantized
        Gemm GridSample
        Inverse MatMul MatMulIntegerToFloat MatMulNBits Mul Pow Reciprocal ReduceProd RoiAlign""",
    "curves": """
        Acos Acosh Asin Asinh Atan Atanh Celu Cos Cosh Elu Erf Exp Gelu Log Mish QuickGelu Selu
        Sigmoid Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh""",
    "normalises": """
        GlobalLpPool GroupNormalization InstanceNormalization LRN LayerNormalization LogSoftmax
        LpNormalization LpPool MeanVarianceNormalization RMSNormalization ReduceL2 ReduceLogSum
        ReduceLogSumExp ReduceSumSquare Softmax""",
}
"""Kind -> operators whose rule answers with a piece that follows x."""

BY_STATUS = ("constant", "random", "expanded", "unrolled")
"""Kinds of operators that their rule's status tells: no piece, or a body with nodes of its own."""

Key = tuple[str, str]


def kinds(rules: dict[Key, object] | None = None) -> dict[Key, str]:
    """Kind of every operator; an AssertionError names those that have none or two."""
    known = {name: kind for kind, names in NAMES.items() for name in names.split()}
    found = {}
    for key, rule in (RULES if rules is None else rules).items():
        status = rule.status  # type: ignore[attr-defined]
        kind = status if status in BY_STATUS else known.get(key[1])
        assert kind is not None, (
            f"{key[1]} (domain {key[0]!r}) is in no list of tests/operators/kinds_of_rules.py. "
            "Say there what it does, then put it into the tables of onnxlin/operators that it "
            "belongs in: test_tables names those that give no reason for operators of its kind."
        )
        found[key] = kind
    return found
