"""The tables of onnxlin/operators, and why operators that have a rule stand in none of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from onnxlin.operators import batch_axis, biases, families, pieces
from tests.operators.kinds_of_rules import NAMES, Key, kinds


@dataclass(frozen=True)
class Table:
    """A table and the reasons of what it leaves out.

    ``kinds`` gives reasons by what operators do, ``ops`` by name ("A B": both), ``domains`` by
    domain: for readers that ask of no other.
    """

    rows: Collection[Any]
    kinds: Mapping[str, str] = field(default_factory=dict)
    ops: Mapping[str, str] = field(default_factory=dict)
    domains: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> frozenset[str]:
        return frozenset(_name(row) for row in self.rows)

    def reasons(self) -> dict[str, str]:
        return {name: why for names, why in self.ops.items() for name in names.split()}

    def undecided(self, rules: Mapping[Key, Any]) -> list[Key]:
        """Operators without a row and without a reason."""
        told, known, rows = kinds(dict(rules)), self.reasons(), self.names()
        return [
            (domain, name)
            for domain, name in rules
            if name not in rows
            and name not in known
            and domain not in self.domains
            and told[domain, name] not in self.kinds
        ]


def _name(row: Any) -> str:
    """An operator's name: the row, or the part of it that is no domain and no position."""
    if isinstance(row, str):
        return row
    return next(part for part in reversed(row) if isinstance(part, str))


BODIES = {
    "expanded": "opened: the nodes of its body are asked instead",
    "unrolled": "opened: the nodes of its body are asked instead",
}
FLAT = {
    "moves": "affine for every x between indices that do not depend on it",
    "weighs": "affine for every x",
    "constant": "no slope",
    "random": "no slope",
    **BODIES,
}
CURVED = {
    "multiplies": "no linear pieces, or a constant factor and one piece",
    "curves": "no linear pieces",
    "normalises": "no linear pieces",
}
OTHERS = {
    "ai.onnx.ml": "the reader asks of standard operators only",
    "com.microsoft": "the reader asks of standard operators only",
}
NOT_WEIGHTED = dict.fromkeys(
    ("bends", "picks", "curves", "normalises", "moves"), "no product with weights"
) | {"weighs": "weights of its own, no operand", "constant": "no slope", "random": "no slope"}

TABLES = {
    "pieces.CONTINUOUS": Table(
        pieces.CONTINUOUS,
        FLAT | CURVED,
        {
            "Imputer Mod Shrink ThresholdedRelu": "jumps at its kinks",
            "HardSwish": "no linear pieces: a parabola between its kinks",
            "DynamicQuantizeLinear": "nobody can tell where its pieces end",
            "MaxRoiPool TopK Unique": "the order of equals decides further outputs, or places",
        },
    ),
    "pieces.HOMOGENEOUS, EXTREMA and caps()": Table(
        {*pieces.HOMOGENEOUS, *pieces.EXTREMA, "Clip"},
        FLAT | CURVED,
        {
            "HardSigmoid HardSwish Imputer Shrink ThresholdedRelu": "its kinks are not at 0",
            "Mod": "its kinks are at multiples of the divisor",
            "PRelu": "the reader takes it for a product, whose slopes may depend on x",
            "DynamicQuantizeLinear MaxRoiPool Unique": "counts as bent, which is always safe",
        },
    ),
    "pieces.POINTWISE and WINDOWED": Table(
        pieces.POINTWISE | pieces.WINDOWED,
        FLAT | CURVED,
        {
            "HardSwish Imputer Mod": "rare on paths: cut cell by cell",
            "ReduceL1 ReduceMax ReduceMin GlobalMaxPool": "rare on paths: cut cell by cell",
            "Max Min": "several operands",
            "DynamicQuantizeLinear MaxRoiPool TopK Unique": "an output depends on several rows",
        },
        {"ai.onnx.ml": "the reader asks of standard operators only"},
    ),
    "pieces.ACTIVATIONS": Table(
        pieces.ACTIVATIONS,
        FLAT | CURVED | {"picks": "copies entries: what stays is padding or a constant"},
        {
            "Abs ReduceL1": "no offset",
            "Imputer": "its offset is a constant of the model",
            "Mod": "its offset is a multiple of the divisor, a constant of the graph",
        },
    ),
    "biases.OF_OPERATOR and ADDS": Table(
        {*biases.OF_OPERATOR, *biases.ADDS},
        CURVED | BODIES | {"constant": "its status tells", "random": "its status tells"},
        {
            NAMES["moves"]: "a constant of the graph",
            NAMES["picks"]: "a constant of the graph",
            "Abs Imputer Mod ReduceL1": "a constant of the graph, or none",
            "AffineGrid AveragePool CumSum DFT GlobalAveragePool Mean Neg ReduceMean ReduceSum": (
                "no bias but of constant operands"
            ),
            "Resize STFT Scaler Sum": "a constant of the graph, or none",
        },
    ),
    "families.WEIGHTED": Table(
        families.WEIGHTED,
        NOT_WEIGHTED | BODIES,
        {
            "CumProd Det Div Inverse Mul Pow Reciprocal ReduceProd": "no sum of products",
            "Einsum": "in any order: its operands are not told apart as data and weights",
            "DequantizeLinear GatherBlockQuantized": "a scale, no weights",
            "GridSample RoiAlign": "its weights are places",
            "MatMulIntegerToFloat MatMulNBits": "it brings its own bias, as an operand",
        },
    ),
    "families.LINEAR_IN_FIRST": Table(
        families.LINEAR_IN_FIRST,
        NOT_WEIGHTED | BODIES,
        {
            "Conv ConvTranspose": "with constant weights one piece, else counted as bent: safe",
            "CumProd DeformConv Det Einsum Inverse Pow Reciprocal ReduceProd": "counts as bent",
            "DequantizeLinear GatherBlockQuantized GridSample RoiAlign": "counts as bent",
            "MatMulIntegerToFloat MatMulNBits": "counts as bent",
        },
    ),
    "families.MATRIX_PRODUCTS": Table(
        families.MATRIX_PRODUCTS,
        dict.fromkeys((*NAMES, *FLAT), "two roundings are counted, which is the least"),
    ),
    "families.KEEPS_FINITE": Table(
        families.KEEPS_FINITE | families.KEEPS_SIGN | families.NOT_NEGATIVE | families.TRUTHS,
        dict.fromkeys((*NAMES, *FLAT), "counts as unsure, which is always safe"),
    ),
    "families.SQUASHING": Table(
        families.SQUASHING,
        dict.fromkeys((*NAMES, *FLAT), "makes no probabilities of logits"),
    ),
    "families.COPIES": Table(
        families.COPIES,
        dict.fromkeys(
            ("weighs", "bends", "multiplies", "curves", "normalises", "constant"), "computes"
        )
        | {"picks": "the first input decides which", "random": "draws", **BODIES},
        {
            "CastLike": "two inputs",
            "Concat ConcatFromSequence FeatureVectorizer Where": "of several inputs",
            "ScatterElements ScatterND TensorScatter": "of several inputs",
            "Col2Im": "adds where blocks overlap",
            "MaxUnpool OneHot Pad Range Trilu": "has entries that are no input's",
            "Dropout": "in training it draws",
            "Optional OptionalGetElement SplitToSequence": "no tensor on one side",
            "SequenceAt SequenceConstruct SequenceErase SequenceInsert": "no tensor on one side",
        },
        OTHERS,
    ),
    "families.RANDOM": Table(
        families.RANDOM,
        {kind: "the same at every run" for kind in (*NAMES, *FLAT) if kind != "random"},
    ),
    "batch_axis.FOLLOW": Table(
        batch_axis.FOLLOW,
        {
            "random": "draws anew for each instance",
            "constant": "ends the matter, which is always safe",
            **BODIES,
        },
        {
            "AffineGrid Col2Im Compress CumProd CumSum DFT DeformConv Det DequantizeLinear": "rare",
            "DynamicQuantizeLinear": "mixes instances: one scale for all",
            "Einsum GatherElements GatherND GridSample MaxRoiPool MaxUnpool OneHot": "rare",
            "MeanVarianceNormalization Range Resize ReverseSequence RoiAlign STFT": "rare",
            "ScatterElements ScatterND TensorScatter Tile TopK Trilu Unique": "rare",
            "ConcatFromSequence Optional OptionalGetElement SplitToSequence": "holds sequences",
            "SequenceAt SequenceConstruct SequenceErase SequenceInsert": "holds sequences",
        },
        OTHERS,
    ),
}
