"""Operators that can make fractions of whole numbers: what rounding did to these is an offset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxlin.operators.integers import ROUNDED
from onnxlin.primitives import Array, applied
from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.quantised.rounding import meet, rounded, wide
from onnxlin.rules.registry import RULES, STRAIGHT, Rule, RuleFunction


def register_rounded() -> None:
    """Give those without a rule of their own for this the one that they have on floats."""
    for key in ROUNDED - set(STRAIGHT):
        rule = RULES[key]
        # No product of it with a constant is exact, so that nothing depends on which side is.
        STRAIGHT[key] = replace(
            rule, function=_with_offset(rule), exact_if=None, status="straight-through"
        )


def _with_offset(rule: Rule) -> RuleFunction:
    def linearised(node: NodeAtX) -> Affine:
        """The float operator's piece, moved to the whole numbers that the runtime has."""
        piece = rule.function(node)
        assert isinstance(piece, Affine), f"{node.op_type} has no piece of its own"
        real: Array = np.zeros(node.out_shape)
        real = real if piece.bias is None else real + piece.bias
        for i, op in piece.terms.items():
            real = real + applied(op, wide(node, i))
        met = meet(node, dict(piece.terms), rounded(node.result(), real), piece.margin)
        return replace(met, roundings=piece.roundings + 1, guards=piece.guards, held=piece.held)

    return linearised
