"""Families of operators: what several rooms ask of a node before they look at its values."""

from __future__ import annotations

RANDOM = frozenset(
    {
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Multinomial",
        "Bernoulli",
    }
)
"""Draw anew at every run, also without inputs of their own: never folded."""

RESHAPES = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})
"""Give the same entries another shape, which other inputs or attributes say."""

CARRYING = RESHAPES | {"Identity", "Transpose", "Cast"}
"""May stand between logits and the end of a model: what they hand on are the same scores."""

SQUASHING = frozenset({"Softmax", "LogSoftmax", "Sigmoid"})
"""Make probabilities, or their logarithms, of logits."""

SCORE_MAPS = frozenset({"ZipMap"})
"""Make maps from class to score of a tensor of scores."""

LOOK_UPS = ("Gather", "Embed")
"""How the names of operators begin that take rows of a table by their indices."""

MASKED = frozenset({"Softmax", "LogSoftmax", "ReduceLogSumExp", "ReduceLogSum"})
"""Give entries at -inf no weight: a mask puts them there, and 0 * inf is no number."""

FINITE = frozenset({"MatMul", "Gemm", "Conv", "Mul", "Div", "Softmax", "Reshape", "Transpose"})
"""Of finite operands make finite numbers, unless they overflow, and then so does the output."""

SUMS_OF_ALL = frozenset({"MatMul", "Gemm", "Conv"})
"""Those among them whose output is infinite or NaN where any of their operands is."""

KEEPS_SCALE = frozenset(
    [
        "MaxPool",
        "Flatten",
        "Reshape",
        "Transpose",
        "Squeeze",
        "Unsqueeze",
        "Gather",
        "Slice",
        "Pad",
        "Expand",
        "Tile",
        "DepthToSpace",
        "SpaceToDepth",
    ]
)
"""Hand quantised numbers on as they are, so that their scale is that of what made them."""
