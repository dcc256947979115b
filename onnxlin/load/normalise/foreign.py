"""Operators that converters write although the standard never had them."""

from __future__ import annotations

from onnxlin.load.normalise.draft import Context, Draft
from onnxlin.load.normalise.forms import before

ALWAYS = 10**6
"""A version that no operator set reaches: there is no newest form to stop at."""


@before("Erfc", ALWAYS)
def erfc(draft: Draft, context: Context) -> list[Draft]:
    """``1 - erf(x)``, as tf2onnx means it; no runtime has a kernel of that name."""
    one = context.constant(f"{draft.name}/one", 1, context.dtype(draft.inputs[0]))
    erf = context.helper(draft, "Erf", [draft.inputs[0]])
    return [erf, context.helper(draft, "Sub", [one, erf.outputs[0]], draft.outputs[0])]
