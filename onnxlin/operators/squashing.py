"""What turns logits into probabilities, as one operator or spelt out, and what may follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnxlin.graph import Node
from onnxlin.operators.families import LAYOUT, SQUASHING
from onnxlin.operators.named import named

FAR = 32
"""Nodes that are gone back over from one to the sum that belongs to it."""

Makers = Mapping[str, Node]
"""Tensor -> the node that makes it."""

AFTER = LAYOUT | named("Log Clip TopK")
"""What is done to probabilities before they leave the model."""

SPREAD = LAYOUT | named("Expand")
"""A sum for each row is only brought to the shape of the row."""

ONE_GROUP = named("Softmax LogSoftmax")
"""The outputs are one group: one of them is true."""


@dataclass(frozen=True)
class Squashed:
    """A tensor of probabilities, or of their logarithms.

    Parameters
    ----------
    logits : str
        The tensor that they are made of.
    words : tuple of str
        What stands between, the last node first.
    one_group : bool
        Whether they sum to 1, as those of a sigmoid do not.
    """

    logits: str
    words: tuple[str, ...]
    one_group: bool


def squashed(makers: Makers, name: str) -> Squashed | None:
    """Find the logits that a tensor comes from, through nothing but layout, Log, Clip and TopK.

    None where no softmax and no sigmoid is found.
    """
    words = list[str]()
    while (node := makers.get(name)) is not None:
        if node.op_type in SQUASHING and not node.domain:
            said = f"{node.op_type} at node {node.name!r}"
            return Squashed(_own_input(makers, node), (*words, said), node.op_type in ONE_GROUP)
        found = logits_of(makers, node)
        if found is not None:
            said = f"a softmax spelt out up to {node.op_type} at node {node.name!r}"
            return Squashed(found, (*words, said), one_group=True)
        # TopK's positions are no probabilities.
        if node.op_type not in AFTER or node.domain or name != node.outputs[0]:
            return None
        if node.op_type not in LAYOUT:
            words.append(f"{node.op_type} at node {node.name!r}")
        name = node.inputs[0]
    return None


def _own_input(makers: Makers, node: Node) -> str:
    """First input of a node in the file, where its newest form is several nodes."""
    name = node.inputs[0]
    while (maker := makers.get(name)) is not None and maker.source is node.source:
        name = maker.inputs[0]
    return name


def logits_of(makers: Makers, node: Node) -> str | None:
    """Logits of ``exp(z) / sum(exp(z))``, or of ``z - log(sum(exp(z)))``; z may be less its max."""
    if node.domain or len(node.inputs) != 2:
        return None
    first, second = (_source(makers, name) for name in node.inputs)
    if node.op_type == "Div":
        return _of_exp(makers, node.inputs[0], _sum_of(makers, second))
    if node.op_type == "Mul":
        for exp, other in ((node.inputs[0], second), (node.inputs[1], first)):
            maker = makers.get(other)
            if maker is not None and maker.op_type == "Reciprocal":
                return _of_exp(makers, exp, _sum_of(makers, _source(makers, maker.inputs[0])))
    if node.op_type == "Sub":
        return _of_log(makers, node.inputs[0], makers.get(second))
    return None


def _of_exp(makers: Makers, exp: str, summed: str | None) -> str | None:
    """Logits, if a tensor is an Exp and the sum is one over the same."""
    maker = makers.get(exp)
    same = maker is not None and maker.op_type == "Exp" and summed == exp
    return _less_its_max(makers, maker.inputs[0]) if maker is not None and same else None


def _of_log(makers: Makers, name: str, log: Node | None) -> str | None:
    """Logits, if a node is the logarithm of the sum of their exponentials."""
    if log is None:
        return None
    if log.op_type == "ReduceLogSumExp":
        return _less_its_max(makers, name) if log.inputs[0] == name else None
    if log.op_type != "Log":
        return None
    exp = makers.get(_sum_of(makers, _source(makers, log.inputs[0])) or "")
    same = exp is not None and exp.op_type == "Exp" and exp.inputs[0] == name
    return _less_its_max(makers, name) if same else None


def _sum_of(makers: Makers, name: str) -> str | None:
    """What a ReduceSum adds up."""
    node = makers.get(name)
    return node.inputs[0] if node is not None and node.op_type == "ReduceSum" else None


def _less_its_max(makers: Makers, name: str) -> str:
    """Step back over ``z - max(z)``."""
    node = makers.get(name)
    if node is None or node.op_type != "Sub":
        return name
    top = makers.get(_source(makers, node.inputs[1]))
    if top is not None and top.op_type == "ReduceMax" and top.inputs[0] == node.inputs[0]:
        return node.inputs[0]
    return name


def _source(makers: Makers, name: str) -> str:
    """Tensor that only changes its shape on the way to this one."""
    for _ in range(FAR):
        node = makers.get(name)
        if node is None or node.op_type not in SPREAD or node.domain:
            break
        name = node.inputs[0]
    return name
