"""Embeddings that an optimiser has made one node, as look-ups, their sum and its norm."""

from __future__ import annotations

from onnx import TensorProto

from onnxlin.load.normalise.draft import Context, Draft
from onnxlin.load.normalise.foreign import ALWAYS
from onnxlin.load.normalise.forms import before


@before("com.microsoft.EmbedLayerNormalization", ALWAYS)
def embed_layer_normalization(draft: Draft, context: Context) -> list[Draft]:
    """``LayerNormalization(word[ids] + position[places] + segment[types])``.

    What was looked up are tensors of their own then: a map can start there.

    Source: onnxruntime, docs/ContribOperators.md, EmbedLayerNormalization.
    """
    ids, types, words, positions, segments, *norm = draft.inputs[:7]
    mask, places = (draft.inputs[i] if draft.has(i) else "" for i in (7, 8))
    word = _look_up(draft, context, "word", words, ids)
    if places:
        position = [_look_up(draft, context, "position", positions, places)]
    else:
        zero = context.constant(f"{draft.name}/zero", [0])
        shape = context.helper(draft, "Shape", [ids], start=1)
        reads = [positions, zero, shape.outputs[0], zero]
        name = context.fresh(f"{draft.name}:position_embedding")
        position = [shape, context.helper(draft, "Slice", reads, name)]
    parts = [word, *position]
    whole = context.helper(draft, "Add", [word.outputs[0], position[-1].outputs[0]])
    parts.append(whole)
    if types:
        segment = _look_up(draft, context, "segment", segments, types)
        whole = context.helper(draft, "Add", [whole.outputs[0], segment.outputs[0]])
        parts += [segment, whole]
    if len(draft.outputs) > 2 and draft.outputs[2]:
        whole.outputs[0] = draft.outputs[2]
    epsilon = draft.attributes.get("epsilon", 1e-12)
    reads = [whole.outputs[0], *norm]
    parts.append(
        context.helper(draft, "LayerNormalization", reads, draft.outputs[0], epsilon=epsilon)
    )
    counted = draft.outputs[1] if len(draft.outputs) > 1 else ""
    return parts + (_counted(draft, context, mask or ids, counted, bool(mask)) if counted else [])


def _look_up(draft: Draft, context: Context, what: str, table: str, ids: str) -> Draft:
    name = context.fresh(f"{draft.name}:{what}_embedding")
    return context.helper(draft, "Gather", [table, ids], name)


def _counted(draft: Draft, context: Context, rows: str, output: str, masked: bool) -> list[Draft]:
    """How many places of each row the mask says count: none where there is no mask."""
    said = context.constant(f"{draft.name}/said", 1 if masked else -1, context.dtype(rows))
    axis = context.constant(f"{draft.name}/axis", [1])
    same = context.helper(draft, "Equal", [rows, said])
    whole = context.helper(draft, "Cast", [same.outputs[0]], to=TensorProto.INT32)
    reads = [whole.outputs[0], axis]
    return [same, whole, context.helper(draft, "ReduceSum", reads, output, keepdims=0)]
