"""The table of rules, one for each operator, good for every version of its schema."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from onnxlin.rules.affine import Affine
from onnxlin.rules.at_x import NodeAtX

Status = Literal["exact", "tangent", "frozen", "constant"]
RuleFunction = Callable[[NodeAtX], "Affine | Sequence[Affine]"]


@dataclass(frozen=True)
class Rule:
    """A rule and what must be known of it before any run.

    Parameters
    ----------
    function : callable
        ``NodeAtX -> Affine``, or one `Affine` an output.
    constant : tuple of int
        Input positions that may not depend on what is linearised.
    bilinear : tuple of int
        Input positions of which at most one may depend on what is linearised.
    captures : tuple of str
        Further outputs of the operator, by their schema names, that the rule needs from the run.
    """

    function: RuleFunction
    constant: tuple[int, ...] = ()
    bilinear: tuple[int, ...] = ()
    captures: tuple[str, ...] = ()
    status: Status = "exact"

    def obstacle(self, traced: Sequence[bool]) -> str | None:
        """Say why the rule cannot serve a node with these traced inputs; None if it can."""
        held = [i for i in self.constant if i < len(traced) and traced[i]]
        if held:
            return f"input {held[0]} depends on x"
        both = [i for i in self.bilinear if i < len(traced) and traced[i]]
        if len(both) > 1:
            return f"inputs {both[0]} and {both[1]} both depend on x"
        return None


RULES: dict[tuple[str, str], Rule] = {}
"""(domain, operator) -> rule."""


def rule(
    *op_types: str,
    domain: str = "",
    constant: tuple[int, ...] = (),
    bilinear: tuple[int, ...] = (),
    captures: tuple[str, ...] = (),
    status: Status = "exact",
) -> Callable[[RuleFunction], RuleFunction]:
    """Register a function as the rule of one or more operators; see `Rule` for the options."""

    def register(function: RuleFunction) -> RuleFunction:
        for op_type in op_types:
            RULES[domain, op_type] = Rule(function, constant, bilinear, captures, status)
        return function

    return register
