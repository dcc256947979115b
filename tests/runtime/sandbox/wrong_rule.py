"""Imported by a child before its limits hold: the rule of Conv is wrong."""

from dataclasses import replace

import onnxlin
from onnxlin.primitives import Diagonal, chain

right = onnxlin.RULES["", "Conv"]


def conv(node):
    piece = right.function(node)
    terms = {
        i: chain(term, Diagonal.of(term.out_shape, node.cast(1.5)))
        for i, term in piece.terms.items()
    }
    return replace(piece, terms=terms)


onnxlin.RULES["", "Conv"] = replace(right, function=conv)
