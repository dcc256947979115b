"""Softmax and its kin, which once flattened their input to a matrix."""

from __future__ import annotations

from onnxlin.load.normalise.draft import Context, Draft
from onnxlin.load.normalise.forms import before


@before(("Softmax", "LogSoftmax", "Hardmax"), 13)
def softmax(draft: Draft, context: Context) -> list[Draft] | None:
    """All axes from ``axis`` on were one; now it is that axis alone."""
    axis = draft.attributes.pop("axis", 1)
    rank = context.rank(draft.inputs[0])
    draft.attributes["axis"] = -1
    if axis == -1 or (rank is not None and axis % max(rank, 1) == rank - 1):
        return None
    shape = context.helper(draft, "Shape", [draft.inputs[0]])
    flat = context.helper(draft, "Flatten", [draft.inputs[0]], axis=axis)
    result = context.fresh(f"{draft.name}:flat")
    back = context.helper(draft, "Reshape", [result, shape.outputs[0]], draft.outputs[0])
    draft.inputs, draft.outputs = [flat.outputs[0]], [result]
    return [shape, flat, draft, back]
