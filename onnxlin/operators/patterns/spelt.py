"""What a pattern says: which operator some nodes spell, and what frozen mode holds of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spelt:
    """Nodes that spell an operator.

    Parameters
    ----------
    name : str
        The operator, in its own words.
    node : str
        Name of the last node, which makes what the operator would make.
    held : tuple of (node name, input position)
        Operands that frozen mode holds beside those that the rules of these nodes hold themselves.
    """

    name: str
    node: str
    held: tuple[tuple[str, int], ...] = ()
