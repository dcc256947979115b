"""What a pattern says: which operator some nodes spell, and what frozen mode holds of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spelt:
    """Nodes that spell an operator.

    Parameters
    ----------
    name : str
        The operator, in its own words; "" where another one is spelt by these and further nodes.
    node : str
        Name of the last node, which makes what the operator would make.
    held : tuple of (node name, input position)
        Operands that frozen mode holds beside those that the rules of these nodes hold themselves.
    is_activation : bool
        Whether it is a function of one entry.
    """

    name: str
    node: str
    held: tuple[tuple[str, int], ...] = ()
    is_activation: bool = False
