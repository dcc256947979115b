"""Operators that do the same kind of thing, for those who ask what a node is."""

from __future__ import annotations

import onnx

from onnxlin.graph import Node
from onnxlin.operators.named import named

RANDOM = named(
    "RandomNormal RandomNormalLike RandomUniform RandomUniformLike Multinomial Bernoulli"
)
"""Different at every run, even without inputs: never folded."""

RESHAPES = named("Reshape Flatten Squeeze Unsqueeze")
"""All that changes is the shape."""

SAME_ENTRIES = RESHAPES | named("Identity")
"""The output is the input's entries in their order: the same memory serves both."""

LAYOUT = SAME_ENTRIES | named("Transpose Cast")
"""Every entry of the input stands in the output, once."""

COPIES = LAYOUT | named(
    """
    Compress DepthToSpace Expand Gather GatherElements GatherND ReverseSequence Slice SpaceToDepth
    Split Tile
    """
)
"""Every entry of an output is one of the first input's, and which one does not depend on it."""

KEEPS_SCALE = (COPIES - {"Cast"}) | named("MaxPool Pad")
"""Of codes they make codes of the same scale and zero point."""

ALONG_AXES = named(
    """
    CumSum ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
    ReduceSum ReduceSumSquare
    """
)
"""What is told by a second input along which axes."""

SQUASHING = named("Softmax LogSoftmax Sigmoid")
"""What turns logits into probabilities."""

WEIGHTED = named("Conv ConvTranspose DeformConv Gemm MatMul FusedConv FusedGemm")
"""Convolutions and dense layers: products with weights, which a bias may follow."""

MATRIX_PRODUCTS = named("Gemm MatMul")
"""How many products an output adds up follows from the shapes alone."""

LINEAR_IN_FIRST = MATRIX_PRODUCTS | named("Div Mul")
"""Linear in each factor, Div in the dividend, and without anything of its own added."""

TRUTHS = named(
    """
    And Equal Greater GreaterOrEqual HardSigmoid IsInf IsNaN Less LessOrEqual Not Or Shape Size Xor
    """
)
"""What they make is finite and not negative, whatever they are given."""

NOT_NEGATIVE = named("Abs ReduceL1 ReduceL2 ReduceSumSquare Relu Sigmoid Softmax Softplus")
"""Of any numbers they make some that are not negative."""

KEEPS_FINITE = (
    COPIES
    | WEIGHTED
    | NOT_NEGATIVE
    | named(
        """
        Add Asinh Atan AveragePool BatchNormalization Celu Clip Concat Cos CumSum Dropout Einsum
        Elu Erf Gelu GlobalAveragePool GlobalMaxPool GroupNormalization HardSwish
        InstanceNormalization LRN LayerNormalization LeakyRelu LogSoftmax Max MaxPool Mean
        MeanVarianceNormalization Min Mish Mul Neg PRelu Pad RMSNormalization ReduceMax ReduceMean
        ReduceMin ReduceSum Resize Selu Shrink Sign Sin Softsign Sub Sum Swish Tanh
        ThresholdedRelu Where
        """
    )
)
"""Of finite operands they make finite numbers, unless these are so large that they overflow."""

KEEPS_SIGN = COPIES | named(
    "Concat Max MaxPool Mean ReduceMax ReduceMean ReduceMin ReduceSum Where"
)
"""Of operands that are not negative they make such numbers."""


def scores_of(node: Node) -> str | None:
    """Table of scores that a classifier's list of maps is made of; None of other operators."""
    return node.inputs[0] if node.op_type == "ZipMap" else None


def permutation(node: Node, rank: int) -> list[int] | None:
    """Where a Transpose takes each axis from; None of other operators."""
    if node.op_type != "Transpose" or node.domain:
        return None
    return list(node.attributes.get("perm") or range(rank)[::-1])


def rounds_quotient_down(node: Node) -> bool:
    """Whether a Mod goes by the quotient rounded down; of floats only its newest form does."""
    return node.op_type == "Mod" and not node.domain and not node.attributes.get("fmod")


def is_open_ended(node: Node) -> bool:
    """Whether a Loop works out in its body if it goes on: anything but the condition it was given.

    Its body is opened as it ran at x, without what decided how long that is.
    """
    return node.op_type == "Loop" and not node.domain and ends_itself(node.source)


def ends_itself(loop: onnx.NodeProto) -> bool:
    """Whether a Loop may end before its trip count: by a condition that its body computes."""
    body = next((a.g for a in loop.attribute if a.name == "body" and a.HasField("g")), None)
    if body is None or len(body.input) < 2 or not body.output:
        return True  # the runtime refuses it: nothing is known of its rounds
    made = {name: node for node in body.node for name in node.output}
    name = body.output[0].name
    while name in made and made[name].op_type == "Identity" and made[name].input:
        name = made.pop(name).input[0]  # copies that stand in a circle end as well
    fixed = {tensor.name for tensor in body.initializer} | {body.input[1].name}
    return name not in fixed and not (name in made and made[name].op_type == "Constant")
