"""The table of patterns, in the order in which they are looked for."""

from __future__ import annotations

from collections.abc import Iterator

from onnxlin.operators.patterns.gates import own_gates
from onnxlin.operators.patterns.part import Part
from onnxlin.operators.patterns.spelt import Spelt
from onnxlin.operators.patterns.standardised import grouped, standardised
from onnxlin.operators.patterns.weights import attentions, softmaxes


def spelt_out(part: Part) -> Iterator[Spelt]:
    """Find every group of nodes that spells an operator, and what frozen mode holds of it.

    Functions of one entry, normalisations, softmax, attention. Nodes are left as they are: the
    model runs as it is written, and each node keeps its own piece.
    """
    yield from own_gates(part)
    yield from standardised(part)
    yield from grouped(part)
    weights = list(softmaxes(part))
    yield from weights
    yield from attentions(part, {found.node for found in weights})
