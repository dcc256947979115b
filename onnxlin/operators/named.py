"""Sets of operators, as lines of names."""

from __future__ import annotations


def named(names: str) -> frozenset[str]:
    """Return the names in a text."""
    return frozenset(names.split())
