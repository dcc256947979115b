"""Every operator that has a rule stands in every table of operators/, or a reason says why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from onnxlin.operators import integers, pieces, shapes, whole_inputs
from onnxlin.operators.schemas import allowed_types
from onnxlin.rules import RULES
from tests.operators.kinds_of_rules import NAMES, Key, kinds
from tests.operators.reasons import TABLES, Table


def undecided(table: Table, rules: Mapping[Key, Any], name: str) -> None:
    found = table.undecided(rules)
    assert not found, (
        f"{found} stand neither in {name} of onnxlin/operators nor among the reasons of "
        "tests/operators/reasons.py. Read what the table says of its rows: put the operator "
        "in, or say in TABLES why it does not belong there."
    )


@pytest.mark.parametrize("name", TABLES)
def test_every_operator_has_a_row_or_a_reason(name: str) -> None:
    undecided(TABLES[name], RULES, name)


@pytest.mark.parametrize("name", TABLES)
def test_no_reason_is_idle(name: str) -> None:
    """A reason by name is for an operator that has a rule, and has no row."""
    table, known = TABLES[name], {op for _, op in RULES}
    assert not table.reasons().keys() & table.names() - _covered(name)
    assert table.reasons().keys() <= known


def _covered(name: str) -> frozenset[str]:
    """Rows that a reason for a whole kind, taken from `NAMES`, mentions again."""
    whole = NAMES["moves"].split() + NAMES["picks"].split()
    return frozenset(whole) if name.startswith("biases") else frozenset()


def test_no_operator_is_told_of_twice() -> None:
    names = [name for line in NAMES.values() for name in line.split()]
    assert len(names) == len(set(names))
    assert set(names) <= {op for _, op in RULES}


@pytest.mark.parametrize("status", ["exact", "smooth"])
def test_a_new_operator_is_asked_about(status: str) -> None:
    """Planted: an operator that nobody has decided on."""
    new = {("", "Novel"): replace(RULES["", "Relu"], status=status)}
    with pytest.raises(AssertionError, match="Say there what it does"):
        kinds(new)
    table = replace(TABLES["pieces.CONTINUOUS"], rows=pieces.CONTINUOUS - {"Relu"})
    with pytest.raises(AssertionError, match=r"'Relu'.*pieces\.CONTINUOUS"):
        undecided(table, RULES, "pieces.CONTINUOUS")


WHOLE = ("tensor(int64)", "tensor(int32)")


def only_whole(types: Iterable[frozenset[str]]) -> list[int]:
    """Positions of operands that can only be whole numbers of 32 bits or more."""
    return [i for i, t in enumerate(types) if t <= set(WHOLE)]


# Operands that are whole numbers alone, and say nothing of the shape of a result.
POSITIONS = {
    "Gather GatherElements GatherND ReverseSequence ScatterElements ScatterND MaxUnpool": "places",
    "TensorScatter ArrayFeatureExtractor RoiAlign Trilu CumSum CumProd Col2Im": "places or an axis",
    "OneHot Loop": "a depth in another place, or trips that a function of its own follows",
    "SequenceAt SequenceErase SequenceInsert": "a place in a sequence",
    "NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss": "classes",
    "GRU LSTM RNN": "lengths of sequences, within a shape that is fixed",
    "Attention GroupQueryAttention RotaryEmbedding CausalConvWithState": "places",
    "MultiHeadAttention LinearAttention": "lengths within a shape that is fixed",
    "DecoderMaskedMultiHeadAttention": "a mask, a length within a shape that is fixed, beams",
    "QAttention": "numbers, and a mask",
    "QMoE GatherBlockQuantized": "numbers, or places in a table",
    "ConvInteger MatMulInteger QLinearConv QGemm MatMulNBits": "numbers, or places of weights",
    "CastMap CategoryMapper DictVectorizer LabelEncoder": "labels",
    "BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor": "bits",
    "DequantizeLinear": "numbers",
    "MelWeightMatrix": "a rate beside two sizes",
}


def test_operands_that_may_decide_a_shape() -> None:
    """shapes.BY_OPERANDS and BY_ENTRIES, held against all operands that are whole numbers alone."""
    told = {name for names in POSITIONS for name in names.split()}
    for domain, name in RULES:
        found = only_whole(allowed_types(name, domain).inputs)
        rows = {*shapes.BY_OPERANDS.get(name, ())} | ({1} if name.startswith("Reduce") else set())
        assert set(found) <= rows or name in told or name in shapes.BY_ENTRIES, (
            f"{name} (domain {domain!r}) reads whole numbers at {found}. If they decide the shape "
            "of a result, give it a row in onnxlin/operators/shapes.py; else say in POSITIONS of "
            "tests/operators/test_tables.py what they are."
        )


# Operators with operands of eight bits that may not be floats, and are no numbers all the same.
NO_NUMBERS = {
    "BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor": "patterns of bits",
    "GatherBlockQuantized MatMulNBits QMoE": "several weights in one, packed",
}


def test_integers_that_are_numbers() -> None:
    """integers.QUANTISED: bytes that may not be floats are codes, or something says what else."""
    told = {name for names in NO_NUMBERS for name in names.split()}
    for domain, name in RULES:
        bytes_only = any(
            "tensor(uint8)" in types and not any("float)" in t or "float16)" in t for t in types)
            for types in allowed_types(name, domain).inputs
        )
        assert bytes_only <= ((domain, name) in integers.QUANTISED or name in told), (
            f"{name} (domain {domain!r}) reads bytes that cannot be floats. If they are codes, put "
            "it into QUANTISED of onnxlin/operators/integers.py; else say what they are here."
        )
    assert set(integers.QUANTISED | integers.ROUNDED) <= set(RULES)


def test_whole_inputs() -> None:
    """The tables of whole_inputs name operators that exist; what they lack asks the user."""
    rows = {*whole_inputs.LOOKED_UP, *(name for name, _ in whole_inputs.COUNTS)}
    rows |= set(whole_inputs.HANDED_ON)
    assert rows - {"StringNormalizer"} <= {name for _, name in RULES}
