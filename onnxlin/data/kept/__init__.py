"""What is kept of a map, quantity by quantity: their arrays, and what they are made from."""

from collections.abc import Callable

from onnxlin.data.kept import audit, plain, region
from onnxlin.data.kept.samples import Samples
from onnxlin.data.kept.variable import Layout, Variable

__all__ = ["ARRAYS", "Layout", "Samples", "Variable", "audit", "plain", "region", "variables"]

ARRAYS: dict[str, Callable[[Layout, str], tuple[Variable, ...]]] = {
    "contributions": plain.contributions,
    "ledger": plain.ledger,
    "region": region.variables,
    "audit": audit.variables,
    "W": plain.matrix,
}
"""Quantity of ``what`` -> what describes its arrays."""


def variables(layout: Layout, what: tuple[str, ...], stored: str) -> tuple[Variable, ...]:
    """Return the arrays of a store: those that are always kept, then those of each quantity."""
    asked = (each for name in what for each in ARRAYS[name](layout, stored))
    return (*plain.always(layout), *asked)
