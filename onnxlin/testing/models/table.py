"""The operators that random models are grown from: a maker for each.

A maker adds one operator to a growing graph, with whatever operands, attributes and helper nodes
make it valid there. Adding a maker is adding the operator to every test that draws models.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import onnx

from onnxlin.testing.models.grow import Grow

Make = Callable[[Grow, str], object]


@dataclass(frozen=True)
class Maker:
    """How to add one operator.

    Parameters
    ----------
    op_type : str
    make : callable
        Adds ``op_type`` to a growing graph.
    since, until : int
        The standard operator sets in which it can.
    """

    op_type: str
    make: Make
    since: int
    until: int

    def __call__(self, g: Grow) -> None:
        """Add the operator."""
        self.make(g, self.op_type)

    def serves(self, opset: int) -> bool:
        """Whether the operator can be added in this operator set."""
        return self.since <= opset <= self.until


MAKERS: dict[str, Maker] = {}
"""Operator -> how to add one to a growing graph."""


def maker(*op_types: str, since: int = 0, until: int = sys.maxsize) -> Callable[[Make], Make]:
    """Register a maker for one or more standard operators; it is told which one to add.

    It serves from the operator set that brought the operator, or from ``since`` if that is later.
    """

    def register(make: Make) -> Make:
        for op_type in op_types:
            first = max(since, _first_versions()[op_type])
            MAKERS[op_type] = Maker(op_type, make, first, until)
        return make

    return register


@cache
def _first_versions() -> dict[str, int]:
    """Operator -> the standard operator set that brought it."""
    first: dict[str, int] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if not schema.domain:
            first[schema.name] = min(schema.since_version, first.get(schema.name, sys.maxsize))
    return first
