"""Operators of diffusion models that onnxruntime fuses for GPUs alone, as standard ones."""

from __future__ import annotations

import numpy as np

from onnxlin.load.normalise.draft import Context, Draft
from onnxlin.load.normalise.foreign import ALWAYS
from onnxlin.load.normalise.forms import before
from onnxlin.load.normalise.opening import Opening


@before(["com.microsoft.GroupNorm", "com.microsoft.SkipGroupNorm"], ALWAYS)
def group_norm(draft: Draft, context: Context) -> list[Draft]:
    """``act(GroupNormalization(x + skip + bias) gamma + beta)``, channels last unless it says not.

    Source: onnxruntime, docs/ContribOperators.md, GroupNorm and SkipGroupNorm.
    """
    o = Opening(draft, context, context.dtype(draft.inputs[0]))
    x, last = o.input(0), o.attr("channels_last", 1)
    x = x if not draft.has(3) else o("Add", x, _over_picture(o, o.input(3), last))
    x = o("Add", x, o.input(4)) if draft.has(4) else x
    whole = x
    x = o("Transpose", x, perm=[0, 3, 1, 2]) if last else x
    like = x
    gamma, beta = (o("CastLike", o.input(i), like) for i in (1, 2))
    epsilon = o.attr("epsilon", 1e-5)
    y = o("GroupNormalization", x, gamma, beta, num_groups=o.attr("groups"), epsilon=epsilon)
    y = o("Mul", y, o("Sigmoid", y)) if o.attr("activation") else y
    y = o("Transpose", y, perm=[0, 2, 3, 1]) if last else y
    return o.ends(y, whole if len(draft.outputs) > 1 else "")


def _over_picture(o: Opening, skip: str, last: int) -> str:
    """A number for each channel of a picture, ``(N, C)``, as a picture; others as they are."""
    rank = o.context.rank(skip)
    if rank != 2:
        return skip
    return o("Unsqueeze", skip, np.array([1, 2] if last else [2, 3]))


@before("com.microsoft.BiasAdd", ALWAYS)
def bias_add(draft: Draft, context: Context) -> list[Draft]:
    """``x + bias + skip``. Source: onnxruntime, docs/ContribOperators.md, BiasAdd."""
    o = Opening(draft, context, context.dtype(draft.inputs[0]))
    return o.ends(o("Add", o("Add", o.input(0), o.input(1)), o.input(2)))


@before("com.microsoft.BiasSplitGelu", ALWAYS)
def bias_split_gelu(draft: Draft, context: Context) -> list[Draft]:
    """``a Gelu(b)``, a and b the halves of ``x + bias``.

    Source: onnxruntime, docs/ContribOperators.md, BiasSplitGelu.
    """
    o = Opening(draft, context, context.dtype(draft.inputs[0]))
    x = o("Add", o.input(0), o.input(1))
    half = o("Div", _last(o, x), np.array([2]))
    a = o("Slice", x, np.array([0]), half, np.array([-1]))
    b = o("Slice", x, half, _last(o, x), np.array([-1]))
    return o.ends(o("Mul", a, o("Gelu", b)))


def _last(o: Opening, x: str) -> str:
    return o("Shape", x, start=-1)
