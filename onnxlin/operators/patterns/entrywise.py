"""Functions of one tensor, entry by entry, however many nodes they are written with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
from scipy import special

from onnxlin.graph import Array, Node
from onnxlin.operators.named import named
from onnxlin.operators.patterns.part import Part

LARGEST = 40
"""Nodes of one function: no activation is longer."""

Function = Callable[..., Array]


def _clip(node: Node, z: Array, *ends: Array) -> Array:
    low, high = (*ends, None, None)[:2]
    return np.clip(z, low, high) if low is not None or high is not None else z


def _hard(node: Node, z: Array) -> Array:
    alpha, beta = (node.attributes[name] for name in ("alpha", "beta"))
    return np.clip(alpha * z + beta, 0, 1)


FUNCTIONS: Mapping[str, Function] = {
    "Abs": lambda _, z: np.abs(z),
    "Add": lambda _, a, b: a + b,
    "Cast": lambda _, z: z,
    "Clip": _clip,
    "Div": lambda _, a, b: np.divide(a, b),
    "Erf": lambda _, z: np.asarray(special.erf(z)),
    "Exp": lambda _, z: np.exp(z),
    "HardSigmoid": _hard,
    "Identity": lambda _, z: z,
    "Log": lambda _, z: np.log(z),
    "Max": lambda _, *z: reduce(np.maximum, z),
    "Min": lambda _, *z: reduce(np.minimum, z),
    "Mul": lambda _, a, b: a * b,
    "Neg": lambda _, z: -z,
    "Pow": lambda _, a, b: a**b,
    "Reciprocal": lambda _, z: 1 / z,
    "Relu": lambda _, z: np.maximum(z, 0),
    "Sigmoid": lambda _, z: np.asarray(special.expit(z)),
    "Softplus": lambda _, z: np.logaddexp(z, 0),
    "Sqrt": lambda _, z: np.sqrt(z),
    "Sub": lambda _, a, b: a - b,
    "Sum": lambda _, *z: reduce(np.add, z),
    "Tanh": lambda _, z: np.tanh(z),
}
"""Operator -> what it makes of the node's attributes and of its operands, entry by entry."""

POWERS = named("Abs Cast Div Identity Mul Neg Pow Relu")
"""Without others in between they make multiples of powers of an entry, and of its size."""


@dataclass(frozen=True, eq=False)
class Cone:
    """A tensor that is a function of another one, entry by entry.

    Parameters
    ----------
    top, root : str
        What it is, and of what.
    nodes : {tensor name: Node}
        What it is made by.
    """

    top: str
    root: str
    nodes: Mapping[str, Node] = field(default_factory=dict)

    @property
    def is_power(self) -> bool:
        """Whether it is a multiple of a power of its root."""
        return all(node.op_type in POWERS for node in self.nodes.values())

    def at(self, part: Part, points: Array) -> Array | None:
        """Evaluate it where the root is ``points``; None where a constant is not known."""
        known = {self.root: points}

        def value(name: str) -> Array | None:
            if name not in known:
                found = _evaluated(part, name, self.nodes, value)
                if found is None:
                    return None
                known[name] = found
            return known[name]

        with np.errstate(all="ignore"):
            return value(self.top)


def _evaluated(part: Part, name: str, nodes: Mapping[str, Node], value: Any) -> Array | None:
    node = nodes.get(name)
    if node is None:
        if (number := part.number(name)) is not None:
            return np.asarray(number)
        node = part.graph.producer.get(name)
        if node is None or node.domain or name in part.moving or not node.reads:
            return None
    if node.op_type not in FUNCTIONS:
        return None
    operands = [value(read) for read in node.inputs if read]
    blanks = len(operands) != len(node.inputs)
    if blanks or any(operand is None for operand in operands):
        return None
    found: Array = FUNCTIONS[node.op_type](node, *operands)
    return found


def cone(part: Part, top: str, root: str) -> Cone | None:
    """Read a tensor as a function of another one, entry by entry; None where it is none."""
    waiting, nodes = [top], dict[str, Node]()
    while waiting:
        name = waiting.pop()
        if name != root and name in part.moving and name not in nodes:
            node = part.maker(name)
            if node is None or node.op_type not in FUNCTIONS or len(nodes) == LARGEST:
                return None
            nodes[name] = node
            waiting += node.inputs
    return Cone(top, root, nodes)
