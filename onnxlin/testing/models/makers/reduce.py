"""Sums, means and extrema over axes."""

from __future__ import annotations

from typing import Any

from onnxlin.testing.models.grow import Grow
from onnxlin.testing.models.table import maker

# The operator set in which the axes of each reduction became an input.
AXES_INPUT = {"ReduceSum": 13, "ReduceMean": 18, "ReduceMax": 18, "ReduceMin": 18}


@maker(*AXES_INPUT)
def reduction(g: Grow, op_type: str) -> None:
    x = g.pick()
    axes = g.choice(None, g.axes(g.shape(x)) if g.shape(x) else None)
    given: dict[str, Any] = g.some(keepdims=g.integer(0, 1))
    if g.opset < AXES_INPUT[op_type]:
        g.add(op_type, [x], **given, **({} if axes is None else {"axes": axes}))
        return
    given |= g.some(noop_with_empty_axes=g.integer(0, 1))
    g.add(op_type, [x] if axes is None else [x, g.ints(axes)], **given)
