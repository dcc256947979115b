"""The laws of the whole are themselves tested: planted bugs in rules and engines are caught."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, settings

import onnxlin
from onnxlin import engines
from onnxlin.engines import plan, reverse
from onnxlin.primitives import Conv, Diagonal, Select, chain, identity
from onnxlin.rules import Affine, NodeAtX
from onnxlin.testing import GrownModel, onnx_models
from tests.test_laws import assert_equals_run, linearized
from tests.twin import by_hand

SEARCH = settings(
    max_examples=300,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

Planted = Callable[[NodeAtX, Any], Affine | Sequence[Affine]]


def scaled(factor: float) -> Planted:
    """The right map, by a factor."""

    def wrong(node: NodeAtX, piece: Affine) -> Affine:
        by = Diagonal.of(node.out_shape, node.cast(np.asarray(factor)))
        return replace(piece, terms={i: chain(op, by) for i, op in piece.terms.items()})

    return wrong


def no_bias(node: NodeAtX, piece: Affine) -> Affine:
    """The bias forgotten."""
    return replace(piece, bias=None, terms={0: piece.terms[0]})


def always_on(node: NodeAtX, piece: Affine) -> Affine:
    """The side of the kink that x is not on."""
    return Affine({0: identity(node.shape(0))})


def first_wins(node: NodeAtX, piece: Affine) -> Affine:
    """The first entry of all instead of the largest."""
    return Affine({0: Select.of(node.shape(0), np.zeros(node.out_shape, np.int64))})


def shifted(node: NodeAtX, piece: Affine) -> Affine:
    """Each entry read one place further on."""
    matrix = piece.terms[0].to_sparse()
    index = np.roll(np.asarray(matrix.argmax(axis=1)), 1).reshape(node.out_shape)
    return Affine({0: Select.of(node.shape(0), index)})


def flipped(node: NodeAtX, piece: Affine) -> Affine:
    """A true convolution, where ONNX means a cross-correlation."""
    op = piece.terms[0]
    if not isinstance(op, Conv):
        return piece
    weight = op.weight[(..., *(slice(None, None, -1) for _ in op.weight.shape[2:]))].copy()
    return replace(piece, terms={**piece.terms, 0: replace(op, weight=weight)})


PLANTED: list[tuple[str, Planted]] = [
    ("Relu", always_on),
    ("Abs", always_on),
    ("Clip", no_bias),
    ("HardSigmoid", no_bias),
    ("LeakyRelu", always_on),
    ("BatchNormalization", no_bias),
    ("Conv", flipped),
    ("Conv", no_bias),
    ("MaxPool", first_wins),
    ("GlobalMaxPool", first_wins),
    ("AveragePool", scaled(1.01)),
    ("ReduceMean", scaled(1.001)),
    ("Resize", scaled(1.0001)),
    ("MatMul", scaled(1.0001)),
    ("Neg", scaled(-1)),
    ("Transpose", shifted),
    ("Slice", shifted),
    ("Gather", shifted),
    ("Tile", shifted),
    ("DepthToSpace", shifted),
    ("Reshape", shifted),
]


@pytest.mark.parametrize(("op_type", "bug"), PLANTED)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_wrong_rule_is_caught(
    op_type: str, bug: Planted, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = onnxlin.RULES["", op_type]

    def planted(node: NodeAtX) -> Any:
        return bug(node, true.function(node))

    monkeypatch.setitem(onnxlin.RULES, ("", op_type), replace(true, function=planted))

    def broken(grown: GrownModel) -> bool:
        try:
            assert_equals_run(linearized(grown, dtype=dtype), grown)
        except (AssertionError, onnxlin.ResidualError):
            return True
        return False

    find(onnx_models([op_type], max_nodes=1, ties=False), broken, settings=SEARCH)


def loses_fans(*arguments: Any) -> Any:
    """An adjoint sweep in which the last reader of a tensor overwrites the others."""
    program = arguments[0]
    # Every reader but the first loses its terms.
    seen: set[str] = set()
    steps = []
    for step in program.steps:
        terms = tuple(term for term in step.terms if term[0] not in seen)
        seen |= {name for name, _ in step.terms}
        steps.append(replace(step, terms=terms))
    return true_sweep(replace(program, steps=tuple(steps)), *arguments[1:])


true_sweep = reverse.sweep


def test_lost_fan_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reverse, "sweep", loses_fans)
    assert plan.ENGINES["reverse"] is engines.reverse.reverse

    def broken(grown: GrownModel) -> bool:
        m = linearized(grown, engine="reverse")
        hand = by_hand(m)
        return bool((np.abs(m.W - hand.W) > hand.slack).any())

    find(onnx_models(["Add", "Relu", "Concat"], min_nodes=2), broken, settings=SEARCH)


def test_wrong_matrix_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """`explicit` multiplies matrices; one that is no matrix of its map makes engines disagree."""
    monkeypatch.setattr(Diagonal, "to_sparse", lambda op, dtype: true_diagonal(op, dtype) * 2)

    def broken(grown: GrownModel) -> bool:
        m, other = (linearized(grown, engine=engine) for engine in ("explicit", "forward"))
        return bool((np.abs(m.W - other.W) > by_hand(m).slack).any())

    find(onnx_models(["Relu"], ties=False), broken, settings=SEARCH)


true_diagonal = Diagonal.to_sparse
