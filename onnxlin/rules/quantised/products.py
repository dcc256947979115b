"""Operators on quantised tensors: what they do to the numbers that the integers stand for.

Each is the float operator of the same name on dequantised operands, quantised again. The float
operator's own rule gives the piece; the rounding at the end is captured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx

from onnxlin.graph import Node
from onnxlin.operators.schemas import default_values
from onnxlin.primitives import Array, LinearMap, applied, chain
from onnxlin.rules.affine import Affine, Body
from onnxlin.rules.at_x import NodeAtX, Operand
from onnxlin.rules.entrywise.constants import held
from onnxlin.rules.products.arithmetic import weighted
from onnxlin.rules.quantised.rounding import MICROSOFT, Real, dequantised, meet, quantised, wide
from onnxlin.rules.registry import RULES, STRAIGHT, rule


def floating(node: NodeAtX, op_type: str, operands: Sequence[Real], **attributes: Any) -> Real:
    """Apply a float operator, by its own rule, to real operands of a quantised node."""
    inner = NodeAtX(
        _plain(node.node, op_type, attributes),
        [_operand(node, i, real) for i, real in enumerate(operands)],
        [np.broadcast_to(np.zeros((), node.dtype), node.out_shape)],
        node.dtype,
        {},
        mode=node.mode,
        asked=node.asked,
    )
    found = RULES["", op_type].function(inner)
    assert isinstance(found, Affine), f"{op_type} has no piece of its own"
    value: Array = np.zeros(node.out_shape) + (0 if found.bias is None else found.bias)
    terms: dict[int, LinearMap] = {}
    for position, op in found.terms.items():
        value = value + applied(op, operands[position].value)
        terms |= {i: chain(before, op) for i, before in operands[position].terms.items()}
    node.looked = True
    return Real(value, terms)


def _plain(node: Node, op_type: str, attributes: dict[str, Any]) -> Node:
    """Call a standard operator on the inputs of a quantised node, with its attributes."""
    given = default_values(op_type, "").items()
    defaults = {name: _text(onnx.helper.get_attribute_value(value)) for name, value in given}
    settings = {**defaults, **node.attributes, **attributes}
    return Node(
        node.name, op_type, "", node.inputs, node.outputs, settings, frozenset(), node.source
    )


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _operand(node: NodeAtX, i: int, real: Real) -> Operand:
    value = real.value
    return Operand(f"operand {i}", value, bool(real.terms), False, lambda: node.cast(value))


def constant(value: Array) -> Real:
    """Numbers that do not depend on x."""
    return Real(value, {})


def rows_first(node: NodeAtX) -> None:
    """Refuse images whose channels come last."""
    if node.attr("channels_last"):
        raise node.refuse("channels_last is set")


Floating = Callable[[NodeAtX], Real]


def q_operator(
    op_type: str, s: int, z: int, domain: str = MICROSOFT, held_inputs: tuple[int, ...] = ()
) -> Callable[[Floating], Floating]:
    """Register an operator with integer output, whose scale and zero point are inputs s and z."""

    def register(function: Floating) -> Floating:
        def linearised(node: NodeAtX) -> Affine:
            return quantised(node, function(node), s, z)

        rule(op_type, domain=domain, status="constant")(held)
        rule(
            op_type,
            domain=domain,
            status="straight-through",
            constant=held_inputs,
            table=STRAIGHT,
        )(linearised)
        return function

    return register


@q_operator("QLinearConv", 6, 7, "", held_inputs=(4, 5, 8))
@q_operator("QLinearConv", 6, 7, held_inputs=(4, 5, 8))
def qlinear_conv(node: NodeAtX) -> Real:
    """Convolve; the bias counts in units of both scales multiplied."""
    rows_first(node)
    operands = [dequantised(node, 0, 1, 2), dequantised(node, 3, 4, 5)]
    if node.has(8):
        unit = wide(node, 1).reshape(()) * wide(node, 4).reshape(-1)
        operands.append(constant(wide(node, 8) * unit))
    return floating(node, "Conv", operands)


@q_operator("QLinearMatMul", 6, 7, "")
def qlinear_matmul(node: NodeAtX) -> Real:
    """Multiply matrices; scales may differ between rows of A and between columns of B."""
    return floating(
        node, "MatMul", [dequantised(node, 0, 1, 2, axis=-2), dequantised(node, 3, 4, 5, axis=-1)]
    )


@q_operator("QLinearAdd", 6, 7)
def qlinear_add(node: NodeAtX) -> Real:
    """Add, with broadcasting."""
    return floating(node, "Add", [dequantised(node, 0, 1, 2), dequantised(node, 3, 4, 5)])


@q_operator("QLinearMul", 6, 7)
def qlinear_mul(node: NodeAtX) -> Real:
    """Multiply, with broadcasting."""
    return floating(node, "Mul", [dequantised(node, 0, 1, 2), dequantised(node, 3, 4, 5)])


@q_operator("QLinearAveragePool", 3, 4)
def qlinear_average_pool(node: NodeAtX) -> Real:
    """Mean of each window."""
    rows_first(node)
    return floating(node, "AveragePool", [dequantised(node, 0, 1, 2)])


@q_operator("QLinearGlobalAveragePool", 3, 4)
def qlinear_global_average_pool(node: NodeAtX) -> Real:
    """Mean of each channel."""
    rows_first(node)
    return floating(node, "GlobalAveragePool", [dequantised(node, 0, 1, 2)])


@q_operator("QLinearLeakyRelu", 3, 4)
def qlinear_leaky_relu(node: NodeAtX) -> Real:
    """Scale what is negative by alpha."""
    return floating(node, "LeakyRelu", [dequantised(node, 0, 1, 2)])


@q_operator("QLinearSigmoid", 3, 4)
def qlinear_sigmoid(node: NodeAtX) -> Real:
    """``1 / (1 + exp(-z))``."""
    return floating(node, "Sigmoid", [dequantised(node, 0, 1, 2)])


@q_operator("QLinearSoftmax", 3, 4)
def qlinear_softmax(node: NodeAtX) -> Real:
    """``exp(z) / sum exp(z)`` along an axis; before operator set 13 along all from it on."""
    rank = len(node.shape(0))
    if node.attr("opset") < 13 and node.attr("axis") % rank != rank - 1:
        raise node.refuse("opset is below 13 and axis is not the last")
    return floating(node, "Softmax", [dequantised(node, 0, 1, 2)])


@q_operator("QLinearConcat", 0, 1)
def qlinear_concat(node: NodeAtX) -> Real:
    """Join tensors along an axis; each comes with a scale and a zero point."""
    triples = range(2, len(node.operands), 3)
    return floating(node, "Concat", [dequantised(node, i, i + 1, i + 2) for i in triples])


@q_operator("QLinearWhere", 7, 8)
def qlinear_where(node: NodeAtX) -> Real:
    """Choose between two tensors by a condition."""
    choices = [dequantised(node, 1, 2, 3), dequantised(node, 4, 5, 6)]
    return floating(node, "Where", [constant(node.native(0)), *choices])


@rule("QGemm", domain=MICROSOFT, status="constant", constant=(1, 4))
@rule("QGemm", domain=MICROSOFT, status="straight-through", constant=(1, 4, 6), table=STRAIGHT)
def q_gemm(node: NodeAtX) -> Affine:
    """``alpha A' B' + C``, quantised if a scale for it is given.

    C counts in units of alpha and both scales multiplied.
    """
    column = 0 if node.attr("transB") else 1
    operands = [dequantised(node, 0, 1, 2), dequantised(node, 3, 4, 5, axis=column)]
    if node.has(6):
        unit = node.attr("alpha") * wide(node, 1).reshape(()) * wide(node, 4).reshape(-1)
        operands.append(constant(wide(node, 6) * unit))
    real = floating(node, "Gemm", operands, beta=1.0)
    return quantised(node, real, 7, 8) if node.has(7) else meet(node, real.terms, real.value)


def _whole(node: NodeAtX, op_type: str, operands: Sequence[Real]) -> Affine:
    real = floating(node, op_type, operands)
    return meet(node, real.terms, real.value)


rule("ConvInteger", "MatMulInteger", status="constant")(held)


@rule("ConvInteger", table=STRAIGHT, constant=(1, 3))
def conv_integer(node: NodeAtX) -> Affine:
    """Convolve whole numbers, zero points taken away."""
    return _whole(node, "Conv", [dequantised(node, 0, None, 2), dequantised(node, 1, None, 3)])


def _one_live_side(traced: Sequence[bool]) -> bool:
    sides = [any(traced[i] for i in side if i < len(traced)) for side in ((0, 2), (1, 3))]
    return not all(sides)


@rule("MatMulInteger", table=STRAIGHT, status="smooth", exact_if=_one_live_side)
def matmul_integer(node: NodeAtX) -> Affine:
    """Multiply matrices of whole numbers, zero points taken away."""
    return _whole(
        node,
        "MatMul",
        [dequantised(node, 0, None, 2, axis=-2), dequantised(node, 1, None, 3, axis=-1)],
    )


def _one_live_factor(traced: Sequence[bool]) -> bool:
    return sum(traced[:4]) <= 1


@rule("MatMulIntegerToFloat", domain=MICROSOFT, status="smooth", exact_if=_one_live_factor)
def matmul_integer_to_float(node: NodeAtX) -> Affine:
    """Multiply dequantised matrices and add a bias."""
    operands = [dequantised(node, 0, 2, 4, axis=-2), dequantised(node, 1, 3, 5, axis=-1)]
    real = floating(node, "MatMul", operands)
    terms, value = dict(real.terms), real.value
    if node.has(6):
        terms |= {6: weighted(node, 6)} if node.traced(6) else {}
        value = value + wide(node, 6)
    return meet(node, terms, value)


@rule("DynamicQuantizeMatMul", domain=MICROSOFT, status="expanded")
def dynamic_quantize_matmul(node: NodeAtX) -> Body:
    """Quantise A as it asks for, and multiply."""
    inputs = ["A", "B", "b_scale", "b_zero_point", "bias"]
    given = {name: i for i, name in enumerate(inputs) if node.has(i)}

    def make() -> onnx.ModelProto:
        helper = onnx.helper
        after = ["b_zero_point" if "b_zero_point" in given else ""]
        after += ["bias"] if "bias" in given else []
        nodes = [
            helper.make_node("DynamicQuantizeLinear", ["A"], ["q", "s", "z"], "quantise"),
            helper.make_node(
                "MatMulIntegerToFloat",
                ["q", "B", "s", "b_scale", "z", *after],
                ["y"],
                "multiply",
                domain=MICROSOFT,
            ),
        ]
        infos = [_info(name, node.operand(i).native) for name, i in given.items()]
        y = _info("y", node.result())
        graph = helper.make_graph(nodes, "body", infos, [y])
        imports = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=10)

    feeds = {name: node.node.inputs[i] for name, i in given.items()}
    return Body("dynamic", make, feeds, ["y"])


def _info(name: str, value: Array) -> onnx.ValueInfoProto:
    kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    return onnx.helper.make_tensor_value_info(name, kind, value.shape)
