"""Recurrent nets, small ones."""

from __future__ import annotations

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.table import maker

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@maker("RNN", "GRU", "LSTM")
def recurrent(g: Grow, op_type: str) -> None:
    x = g.tame(g.pick(3, 3, lambda shape: 0 not in shape and shape[0] <= 4 and shape[2] <= 6))
    _, batch, size = g.shape(x)
    hidden, gates = 2, GATES[op_type]
    direction = g.choice("forward", "reverse", "bidirectional")
    d = 2 if direction == "bidirectional" else 1
    weights = [
        g.weight(d, gates * hidden, size, fan=size),
        g.weight(d, gates * hidden, hidden, fan=hidden),
    ]
    bias = g.choice("", g.weight(d, 2 * gates * hidden))
    start = g.choice("", g.weight(d, batch, hidden))
    given = g.some(clip=0.75) if op_type != "RNN" else {}
    if op_type == "GRU":
        given |= g.some(linear_before_reset=1)
    count = g.integer(1, 3 if op_type == "LSTM" else 2)
    inputs = [x, *weights, bias, "", start] if bias or start else [x, *weights]
    inputs = inputs if start else inputs[:4] if bias else inputs[:3]
    g.add(op_type, inputs, count, hidden_size=hidden, direction=direction, **given)
