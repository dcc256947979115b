"""Attributes and operators that were renamed, retyped, dropped, or whose default changed."""

from __future__ import annotations

import onnx

from onnxlin.load.normalise.draft import Context, Draft
from onnxlin.load.normalise.forms import before


@before("Concat", 4)
def concat(draft: Draft, context: Context) -> None:
    """The axis had a default."""
    draft.attributes.setdefault("axis", 1)


@before("Cast", 6)
def cast(draft: Draft, context: Context) -> None:
    """The element type was written as its name."""
    name = str(draft.attributes["to"]).upper()
    if name not in set(onnx.TensorProto.DataType.keys()):
        raise draft.refuse(f"to={draft.attributes['to']!r} names no element type.")
    draft.attributes["to"] = onnx.TensorProto.DataType.Value(name)


@before("Selu", 6)
def selu(draft: Draft, context: Context) -> None:
    """The defaults had fewer digits."""
    draft.attributes.setdefault("alpha", 1.6732)
    draft.attributes.setdefault("gamma", 1.0507)


@before(("LpPool", "GlobalLpPool"), 2)
def lp_pool(draft: Draft, context: Context) -> None:
    """P could be any number, and the window left out without a word on what that meant."""
    if draft.op_type == "LpPool" and "kernel_shape" not in draft.attributes:
        raise draft.refuse("the attribute kernel_shape is missing.")
    p = draft.attributes.pop("p", 2)
    if p != int(p):
        raise draft.refuse(f"p={p} is not a whole number.")
    draft.attributes["p"] = int(p)


@before("GRU", 3)
def gru(draft: Draft, context: Context) -> None:
    """The schema itself misspelt the default direction."""
    if draft.attributes.get("direction", "foward") == "foward":
        draft.attributes["direction"] = "forward"


@before(("RNN", "GRU", "LSTM"), 7)
def recurrent(draft: Draft, context: Context) -> None:
    """Whether the sequence is an output is told from the outputs."""
    draft.attributes.pop("output_sequence", None)


@before("RoiAlign", 16)
def roi_align(draft: Draft, context: Context) -> None:
    """Coordinates were not shifted by half a pixel."""
    draft.attributes["coordinate_transformation_mode"] = "output_half_pixel"


@before("GridSample", 20)
def grid_sample(draft: Draft, context: Context) -> None:
    """The modes lost their prefix."""
    mode = draft.attributes.pop("mode", "bilinear")
    draft.attributes["mode"] = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)


@before("Scatter", 11)
def scatter(draft: Draft, context: Context) -> None:
    """The operator was renamed."""
    draft.op_type = "ScatterElements"


@before("Scan", 9)
def scan(draft: Draft, context: Context) -> None:
    """The first axis was a batch, over which the body ran again."""
    raise draft.refuse("this version runs over a batch. Convert the model to opset 9 or later.")
