"""Normalisation layers and Dropout: training modes, and parameters for groups."""

from __future__ import annotations

from onnxlin.load.normalise.draft import Context, Draft
from onnxlin.load.normalise.forms import before


@before("BatchNormalization", 7)
def batch_normalisation_test(draft: Draft, context: Context) -> None:
    """In test mode only the first output was filled."""
    if draft.attributes.pop("is_test", 0):
        del draft.outputs[1:]


@before("BatchNormalization", 9)
def batch_normalisation_by_entry(draft: Draft, context: Context) -> list[Draft] | None:
    """With spatial=0 there were parameters for every entry: the formula is written out then."""
    spatial = draft.attributes.pop("spatial", 1)
    own = context.rank(draft.inputs[1])
    if spatial or own is None or own <= 1:
        return None
    if any(draft.outputs[1:]):
        raise draft.refuse("spatial=0 in training mode.")
    return _written_out(draft, context)


def _written_out(draft: Draft, context: Context) -> list[Draft]:
    """Y = X slope + (B - mean slope), in the order in which onnxruntime computes it."""
    x, scale, bias, mean, variance = draft.inputs
    small = draft.attributes.get("epsilon", 1e-5)
    epsilon = context.constant(f"{draft.name}:epsilon", small, context.dtype(variance))
    shifted = context.helper(draft, "Add", [variance, epsilon])
    deviation = context.helper(draft, "Sqrt", shifted.outputs)
    inverse = context.helper(draft, "Reciprocal", deviation.outputs)
    slope = context.helper(draft, "Mul", [scale, *inverse.outputs])
    moved = context.helper(draft, "Mul", [mean, *slope.outputs])
    offset = context.helper(draft, "Sub", [bias, *moved.outputs])
    scaled = context.helper(draft, "Mul", [x, *slope.outputs])
    total = context.helper(draft, "Add", [*scaled.outputs, *offset.outputs], draft.outputs[0])
    total.name = draft.name
    return [shifted, deviation, inverse, slope, moved, offset, scaled, total]


@before("BatchNormalization", 14)
def batch_normalisation(draft: Draft, context: Context) -> None:
    """Training mode was told from the number of outputs."""
    if any(draft.outputs[3:]):
        raise draft.refuse(
            "the outputs saved_mean and saved_var of training mode exist no more. "
            "Export the model in evaluation mode."
        )
    if any(draft.outputs[1:]):
        draft.attributes["training_mode"] = 1
    del draft.outputs[3:]


@before("Dropout", 7)
def dropout_test(draft: Draft, context: Context) -> None:
    """Dropout was random unless is_test said otherwise."""
    if draft.attributes.pop("is_test", 0):
        return
    ratio = draft.attributes.pop("ratio", 0.5)
    dtype = context.dtype(draft.inputs[0])
    draft.set_input(1, context.constant(f"{draft.name}:ratio", ratio, dtype))
    draft.set_input(2, context.constant(f"{draft.name}:training_mode", True, bool))


@before("Dropout", 12)
def dropout(draft: Draft, context: Context) -> None:
    """The ratio became an input, which counts in training only; versions 7 to 10 have none.

    The mask, a tensor of the data's type before version 10, is left as it is: Boolean.
    """
    draft.attributes.pop("ratio", None)


@before("GroupNormalization", 21)
def group_normalisation(draft: Draft, context: Context) -> list[Draft]:
    """Scale and bias, (groups,), are repeated for each channel of a group: (C,)."""
    groups = draft.attributes["num_groups"]
    channels = context.helper(draft, "Shape", [draft.inputs[0]], start=1, end=2)
    number = context.constant(f"{draft.name}:groups", [groups])
    members = context.helper(draft, "Div", [channels.outputs[0], number])
    pair = context.helper(draft, "Concat", [number, members.outputs[0]], axis=0)
    nodes = [channels, members, pair]
    for i in (1, 2):
        nodes += _repeated(draft, context, i, pair.outputs[0])
    return [*nodes, draft]


def _repeated(draft: Draft, context: Context, i: int, shape: str) -> list[Draft]:
    """Repeat each entry of input ``i``, a vector; ``shape`` holds its length and how often."""
    last = context.constant(f"{draft.name}:last", [1])
    flat = context.constant(f"{draft.name}:flat", [-1])
    column = context.helper(draft, "Unsqueeze", [draft.inputs[i], last])
    table = context.helper(draft, "Expand", [column.outputs[0], shape])
    vector = context.helper(draft, "Reshape", [table.outputs[0], flat])
    draft.inputs[i] = vector.outputs[0]
    return [column, table, vector]
