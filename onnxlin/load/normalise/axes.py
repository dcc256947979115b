"""Axes, sizes, pads and bounds: attributes that later operator sets made inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from onnxlin.graph import Array
from onnxlin.load.normalise.draft import Context, Draft
from onnxlin.load.normalise.forms import before

REDUCTIONS = (
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSumSquare",
)
_LARGEST = float(np.finfo(np.float32).max)


def _to_input(
    draft: Draft, context: Context, attribute: str, i: int, dtype: Any = np.int64
) -> None:
    """Make an attribute, where it is set, the constant input ``i``."""
    if attribute in draft.attributes:
        value = draft.attributes.pop(attribute)
        draft.set_input(i, context.constant(f"{draft.name}:{attribute}", value, dtype))


@before(("Squeeze", "Unsqueeze", "ReduceSum"), 13)
@before(REDUCTIONS, 18)
def axes(draft: Draft, context: Context) -> None:
    """Axes became an input; without any, all of them are meant, as before."""
    _to_input(draft, context, "axes", 1)


@before("Reshape", 5)
def reshape(draft: Draft, context: Context) -> None:
    """The shape became an input."""
    if "shape" not in draft.attributes:
        raise draft.refuse("the attribute shape is missing.")
    _to_input(draft, context, "shape", 1)


@before("Slice", 10)
def slice_(draft: Draft, context: Context) -> None:
    """Starts, ends and axes became inputs."""
    for i, attribute in enumerate(("starts", "ends", "axes"), start=1):
        _to_input(draft, context, attribute, i)


@before("Split", 2)
def split_by_input(draft: Draft, context: Context) -> list[Draft] | None:
    """The lengths could be an input, in the element type of the data; it came back as int64."""
    if "axis" not in draft.attributes:
        raise draft.refuse("the attribute axis is missing, and this version has no default for it.")
    if "split" in draft.attributes or not draft.has(1):
        del draft.inputs[1:]
        return None
    lengths = _constant(draft, context, 1)
    draft.attributes["split"] = [round(float(n)) for n in lengths]
    del draft.inputs[1:]
    return None


@before("Split", 13)
def split(draft: Draft, context: Context) -> None:
    """The lengths became an input."""
    _to_input(draft, context, "split", 1)


@before("Split", 18)
def split_equally(draft: Draft, context: Context) -> None:
    """Equal parts: their number must be given since version 18."""
    if not draft.has(1):
        draft.attributes["num_outputs"] = len(draft.outputs)


@before("Pad", 2)
def paddings(draft: Draft, context: Context) -> None:
    """The attribute was renamed."""
    draft.attributes["pads"] = draft.attributes.pop("paddings")


@before("Pad", 11)
def pad(draft: Draft, context: Context) -> None:
    """Pads and the value became inputs; the value counts in constant mode only."""
    _to_input(draft, context, "pads", 1)
    if draft.attributes.get("mode", "constant") == "constant":
        _to_input(draft, context, "value", 2, context.dtype(draft.inputs[0]))
    draft.attributes.pop("value", None)


@before("Clip", 6)
def clip_unbounded(draft: Draft, context: Context) -> None:
    """A bound that was left out did not bound at all; later it stops infinities."""
    draft.attributes.setdefault("min", -math.inf)
    draft.attributes.setdefault("max", math.inf)


@before("Clip", 11)
def clip(draft: Draft, context: Context) -> None:
    """Bounds became inputs; those left out were the extreme float32 numbers.

    Now the extreme numbers of the data's own type are meant by leaving a bound out.
    """
    dtype = context.dtype(draft.inputs[0])
    limits = np.finfo(dtype)
    bounds = (("min", -_LARGEST, limits.min), ("max", _LARGEST, limits.max))
    for i, (attribute, default, limit) in enumerate(bounds, start=1):
        # float16 has no such numbers: there they become infinite, as they should.
        with np.errstate(over="ignore"):
            value = np.asarray(draft.attributes.pop(attribute, default)).astype(dtype)
        if value != limit:
            draft.set_input(i, context.constant(f"{draft.name}:{attribute}", value, dtype))


@before("Tile", 6)
def tile(draft: Draft, context: Context) -> None:
    """One axis was repeated, and a number given for it; now there is a number for every axis."""
    rank = context.rank(draft.inputs[0])
    if rank is None:
        raise draft.refuse("shape inference did not find the rank of its input.")
    repeats = np.ones(rank, np.int64)
    axis = int(_constant(draft, context, 2).item())
    repeats[axis] = int(_constant(draft, context, 1).item())
    draft.inputs[1:] = [context.constant(f"{draft.name}:repeats", repeats)]


@before("TopK", 10)
def top_k(draft: Draft, context: Context) -> None:
    """K became an input, a vector of one."""
    draft.attributes["k"] = [draft.attributes["k"]]
    _to_input(draft, context, "k", 1)


@before("DFT", 20)
def dft(draft: Draft, context: Context) -> None:
    """The axis became an input, and its default moved from the first to the last signal axis."""
    draft.attributes.setdefault("axis", 1)
    _to_input(draft, context, "axis", 2)


def _constant(draft: Draft, context: Context, i: int) -> Array:
    value = context.value(draft.inputs[i])
    if value is None:
        raise draft.refuse(f"its input {i} ({draft.inputs[i]!r}) is not a constant.")
    return value
