"""Before operator set 7 broadcasting was asked for, and its axis given, by attributes."""

from __future__ import annotations

from onnxlin.load.normalise.draft import Context, Draft
from onnxlin.load.normalise.forms import before

BINARY = ("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less")


@before(BINARY, 7)
def binary(draft: Draft, context: Context) -> list[Draft] | None:
    """Without an axis the last axes were matched, as they are now."""
    axis = draft.attributes.pop("axis", None)
    if not draft.attributes.pop("broadcast", 0) or axis is None:
        return None
    return _aligned(draft, context, axis)


@before("PRelu", 7)
def prelu(draft: Draft, context: Context) -> list[Draft] | None:
    """One slope a channel was a vector, whatever the rank of the input."""
    if context.rank(draft.inputs[1]) in (1, None):
        return _aligned(draft, context, 1)
    return None


@before("Gemm", 7)
def gemm(draft: Draft, context: Context) -> None:
    """C was always matched at its last axes."""
    draft.attributes.pop("broadcast", None)


def _aligned(draft: Draft, context: Context, axis: int) -> list[Draft] | None:
    """Append axes of length 1 to the second input, so that its first axis meets ``axis``."""
    second = draft.inputs[1]
    value = context.value(second)
    if value is not None and value.size == 1 and value.ndim <= 1:
        return None
    rank, own = context.rank(draft.inputs[0]), context.rank(second)
    if rank is None or own is None:
        raise draft.refuse(
            f"its second input starts at axis {axis} of the first, and shape inference did not find"
            " the ranks of both. Give the model's inputs static shapes."
        )
    trailing = rank - axis % rank - own if rank else 0
    if trailing <= 0:
        return None
    if value is not None:
        shape = value.shape + (1,) * trailing
        draft.inputs[1] = context.constant(second, value.reshape(shape), value.dtype)
        return None
    axes = context.constant(f"{draft.name}:axes", range(own, own + trailing))
    unsqueeze = context.helper(draft, "Unsqueeze", [second, axes])
    draft.inputs[1] = unsqueeze.outputs[0]
    return [unsqueeze, draft]
