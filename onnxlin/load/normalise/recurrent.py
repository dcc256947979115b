"""Recurrent operators with the batch in front: onnxruntime runs none of them."""

from __future__ import annotations

from sys import maxsize

from onnxlin.load.normalise.draft import Context, Draft
from onnxlin.load.normalise.forms import before

# Input or output position -> where its axes are taken from.
INPUTS = {0: [1, 0, 2], 5: [1, 0, 2], 6: [1, 0, 2]}
OUTPUTS = {0: [2, 0, 1, 3], 1: [1, 0, 2], 2: [1, 0, 2]}


@before(("RNN", "GRU", "LSTM"), maxsize)
def batch_first(draft: Draft, context: Context) -> list[Draft] | None:
    """Turn X and the states, and turn the outputs back; no schema version leaves this out."""
    if not draft.attributes.pop("layout", 0):
        return None
    ahead, behind = [], []
    for i, perm in INPUTS.items():
        if draft.has(i):
            turned = context.helper(draft, "Transpose", [draft.inputs[i]], perm=perm)
            draft.inputs[i] = turned.outputs[0]
            ahead.append(turned)
    for i, name in enumerate(draft.outputs):
        if name:
            draft.outputs[i] = context.fresh(name)
            turned = context.helper(draft, "Transpose", [draft.outputs[i]], name, perm=OUTPUTS[i])
            behind.append(turned)
    return [*ahead, draft, *behind]
