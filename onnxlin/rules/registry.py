"""The table of rules, one for each operator, good for every version of its schema."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from onnxlin.graph import Graph, Node
from onnxlin.operators.integers import ROUNDED
from onnxlin.rules.affine import Affine, Body
from onnxlin.rules.at_x import NodeAtX

Status = Literal[
    "exact", "smooth", "constant", "expanded", "unrolled", "random", "straight-through"
]
RuleFunction = Callable[[NodeAtX], Affine | Sequence[Affine] | Body]


@dataclass(frozen=True)
class Rule:
    """A rule and what must be known of it before any run.

    Parameters
    ----------
    function : callable
        ``NodeAtX -> Affine``, or one `Affine` an output.
    constant : tuple of int
        Input positions that may not depend on what is linearised.
    exact_if : callable, optional
        For a "smooth" rule: given which inputs are traced, whether it is exact all the same (a
        product with a constant).
    captures : tuple of str
        Further outputs of the operator, by their schema names, that the rule needs from the run.
    status : str
        "exact" is affine or piecewise affine; "smooth" has the two readings of ``mode``;
        "constant" is locally constant; "expanded" is linearised as a graph of simpler nodes;
        "unrolled" is control flow as it ran at x; "random" holds what the same run has drawn;
        "straight-through" counts rounding as a captured offset.
    """

    function: RuleFunction
    constant: tuple[int, ...] = ()
    exact_if: Callable[[Sequence[bool]], bool] | None = None
    captures: tuple[str, ...] = ()
    status: Status = "exact"

    def status_of(self, traced: Sequence[bool]) -> Status:
        """Status at a node with these traced inputs."""
        return "exact" if self.exact_if is not None and self.exact_if(traced) else self.status

    def obstacle(self, traced: Sequence[bool]) -> str | None:
        """Say why the rule cannot serve a node with these traced inputs; None if it can."""
        held = [i for i in self.constant if i < len(traced) and traced[i]]
        if held:
            return f"input {held[0]} depends on x"
        return None


def one_of_two(traced: Sequence[bool]) -> bool:
    """Whether a product of inputs 0 and 1 has a constant side."""
    return not (traced[0] and traced[1])


RULES: dict[tuple[str, str], Rule] = {}
"""(domain, operator) -> rule."""

STRAIGHT: dict[tuple[str, str], Rule] = {}
"""The rules that take the place of those in `RULES` under ``rounding="straight-through"``."""


def rule_of(graph: Graph, node: Node, rounding: str) -> Rule | None:
    """Return the rule of a node in this reading of rounding; None if there is none."""
    key = (node.domain, node.op_type)
    # To a float type these round as every operator on floats does.
    plain = key in ROUNDED and graph.may_be_float(node.outputs[0])
    if rounding == "straight-through" and key in STRAIGHT and not plain:
        return STRAIGHT[key]
    return RULES.get(key)


def rule(
    *op_types: str,
    domain: str = "",
    constant: tuple[int, ...] = (),
    exact_if: Callable[[Sequence[bool]], bool] | None = None,
    captures: tuple[str, ...] = (),
    status: Status = "exact",
    table: dict[tuple[str, str], Rule] = RULES,
) -> Callable[[RuleFunction], RuleFunction]:
    """Register a function as the rule of one or more operators; see `Rule` for the options."""

    def register(function: RuleFunction) -> RuleFunction:
        for op_type in op_types:
            table[domain, op_type] = Rule(function, constant, exact_if, captures, status)
        return function

    return register
