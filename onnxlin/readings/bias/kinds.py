"""What kind of bias a node brings in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from onnxlin.operators.biases import ADDS, OF_OPERATOR
from onnxlin.operators.families import WEIGHTED
from onnxlin.program import LinearProgram, Step

Kind = Literal[
    "layer bias",
    "batch norm",
    "activation offset",
    "tangent intercept",
    "held value",
    "padding",
    "constant",
    "locally constant",
    "rounding offset",
    "random draw",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

MEANING: Mapping[Kind, str] = {
    "layer bias": "bias of a convolution or dense layer, also one written as Add behind it",
    "batch norm": "beta - gamma mean / sqrt(var + epsilon)",
    "activation offset": "caps of Clip, beta of HardSigmoid and the like, on the pieces at x",
    "tangent intercept": "f(z) - f'(z) z of smooth nodes, -a b of products, tangent mode",
    "held value": "what frozen mode holds at x",
    "padding": "the constant that Pad writes, windows of a pool that hold nothing",
    "constant": "constants of the graph: Add, Concat, Where and others, constant outputs",
    "locally constant": "values of nodes without slope at x: comparisons, roundings, trees",
    "rounding offset": "what rounding added at x, straight-through",
    "random draw": "what a random node has drawn",
}
"""Kind -> what it is, for people."""

OF_STATUS: Mapping[str, Kind] = {
    "tangent": "tangent intercept",
    "frozen": "held value",
    "constant": "locally constant",
    "straight-through": "rounding offset",
    "random": "random draw",
}


def kinds_of(program: LinearProgram) -> dict[str, Kind]:
    """Kind of every node that brings in a bias, and of every output that is constant at x.

    ``{node name, or output name: kind}``.
    """
    made = {step.output: step for step in program.steps}
    found: dict[str, Kind] = dict.fromkeys(program.constants, "constant")
    for step in program.steps:
        # A node that is opened into a body hands its result on in a step without a bias of its own.
        if step.bias is not None and found.get(step.node.name, "constant") == "constant":
            found[step.node.name] = kind_of(step, made)
    return found


def kind_of(step: Step, made: Mapping[str, Step]) -> Kind:
    """Kind of the bias of one step, given the steps that make what it reads."""
    if step.status in OF_STATUS:
        return OF_STATUS[step.status]
    if step.node.op_type in ADDS and _behind_product(step, made):
        return "layer bias"
    return OF_OPERATOR.get(step.node.op_type, "constant")


def _behind_product(step: Step, made: Mapping[str, Step]) -> bool:
    """Whether the one operand that depends on x comes straight from a product with weights."""
    before = [made[name].node.op_type for name, _ in step.terms if name in made]
    return len(step.terms) == len(before) == 1 and before[0] in WEIGHTED
