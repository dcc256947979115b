"""Batch normalisation whose statistics depend on x, as simpler nodes."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser

from onnxlin.primitives import Shape
from onnxlin.rules.affine import Body
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.schema import feeds_of

TEXT = """
<ir_version: 10, opset_import: ["": 21]>
body ({x}[] i0, {scale}[] i1, {scale}[] i2, {mean}[] i3, {mean}[] i4)
=> ({x}[] o0, {mean}[] o1, {mean}[] o2) {{
    axes = Constant <value_ints: ints = {axes}> ()
    inner = Constant <value_ints: ints = {inner}> ()
    turned = Transpose <perm: ints = {swap}> (i0)
    outer = Shape (turned)
    lines = Reshape (turned, inner)
    scale = CastLike (i1, i0)
    shift = CastLike (i2, i0)
    normal = InstanceNormalization <epsilon: float = {epsilon}> (lines, scale, shift)
    folded = Reshape (normal, outer)
    o0 = Transpose <perm: ints = {swap}> (folded)
    mean = ReduceMean <keepdims: int = 1> (i0, axes)
    apart = Sub (i0, mean)
    square = Mul (apart, apart)
    channels = Constant <value_ints: ints = [-1]> ()
    flat_mean = Reshape (mean, channels)
    var = ReduceMean <keepdims: int = 0> (square, axes)
    given_kept = Constant <value_float: float = {momentum}> ()
    given_taken = Constant <value_float: float = {rest}> ()
    kept = CastLike (given_kept, i3)
    taken = CastLike (given_taken, i3)
    cast_mean = CastLike (flat_mean, i3)
    cast_var = CastLike (var, i3)
    old_mean = Mul (i3, kept)
    new_mean = Mul (cast_mean, taken)
    o1 = Add (old_mean, new_mean)
    old_var = Mul (i4, kept)
    new_var = Mul (cast_var, taken)
    o2 = Add (old_var, new_var)
}}
"""

LIVE = """
<ir_version: 10, opset_import: ["": 21]>
body ({x}[] i0, {scale}[] i1, {scale}[] i2, {mean}[] i3, {mean}[] i4) => ({x}[] o0) {{
    across = Constant <value_ints: ints = {across}> ()
    given_epsilon = Constant <value_float: float = {epsilon}> ()
    epsilon = CastLike (given_epsilon, i0)
    scale = CastLike (i1, i0)
    shift = CastLike (i2, i0)
    mean = CastLike (i3, i0)
    var = CastLike (i4, i0)
    wide_scale = Reshape (scale, across)
    wide_shift = Reshape (shift, across)
    wide_mean = Reshape (mean, across)
    wide_var = Reshape (var, across)
    apart = Sub (i0, wide_mean)
    above = Add (wide_var, epsilon)
    spread = Sqrt (above)
    normal = Div (apart, spread)
    scaled = Mul (normal, wide_scale)
    o0 = Add (scaled, wide_shift)
}}
"""


def training_body(node: NodeAtX) -> Body:
    """Open ``training_mode``: channels standardised over the batch, and the statistics moved on.

    ``x : (N, C, *spatial), scale, B, mean, var : (C,) -> y, running mean, running var``.
    Source: ONNX operator specification, BatchNormalization.
    """
    shape = node.shape(0)
    momentum = float(np.float32(node.attr("momentum")))
    kinds = {name: _kind(node, i) for name, i in (("x", 0), ("scale", 1), ("mean", 3))}
    text = TEXT.format(
        **kinds,
        axes=[i for i in range(len(shape)) if i != 1],
        inner=[1, shape[1], -1],
        swap=[1, 0, *range(2, len(shape))],
        epsilon=_number(node.attr("epsilon")),
        momentum=_number(momentum),
        rest=_number(1 - momentum),
    )
    # With the channels first, each is one line of the single sample that is then standardised.
    names = [f"o{i}" if name else "" for i, name in enumerate(node.node.outputs)]
    return Body("training", lambda: onnx.parser.parse_model(text), feeds_of(node), names)


def _kind(node: NodeAtX, i: int) -> str:
    number = onnx.helper.np_dtype_to_tensor_dtype(node.operand(i).native.dtype)
    return onnx.TensorProto.DataType.Name(number).lower()


def _number(value: float) -> str:
    return f"{float(value):.9e}"


def live_body(node: NodeAtX, across: Shape) -> Body:
    """Open a batch normalisation whose scale or statistics depend on x."""
    kinds = {name: _kind(node, i) for name, i in (("x", 0), ("scale", 1), ("mean", 3))}
    text = LIVE.format(**kinds, across=list(across), epsilon=_number(node.attr("epsilon")))
    return Body("live", lambda: onnx.parser.parse_model(text), feeds_of(node), ["o0"])
