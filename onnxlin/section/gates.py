"""What frozen mode holds beside what rules hold: gates that are spelt out, and those of products.

``act(a) * b`` has two frozen readings. "halves" takes half of each term of the product rule, as for
any product; "held" holds the activation's factor at its value at x, so that the product is linear
in b alone (Golden, Equivalent Linear Mappings of Large Language Models, TMLR 2025).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from onnxlin.errors import OptionError
from onnxlin.operators.patterns import Part, gated_products, spelt_out
from onnxlin.section.options import one_of
from onnxlin.texts import shown

HALVES, HELD = "halves", "held"
GATES = (HALVES, HELD)

ALL = "*"
"""In a mapping, every product that it does not name."""


@dataclass(frozen=True)
class Gates:
    """The reading of gated products in frozen mode.

    Parameters
    ----------
    every : {"halves", "held"}
    nodes : {node name: reading}
        Those with one of their own.
    """

    every: str = HALVES
    nodes: Mapping[str, str] = field(default_factory=dict)

    def of(self, node: str) -> str:
        """Reading of one product."""
        return self.nodes.get(node, self.every)

    def inside(self, node: str) -> Gates:
        """The reading of all products in the body of a node."""
        return Gates(self.of(node))

    def beside(self, prefix: str) -> Gates:
        """The same for a graph in which every node's name has a prefix."""
        return Gates(self.every, {prefix + name: how for name, how in self.nodes.items()})

    @property
    def as_told(self) -> str | dict[str, str]:
        """What was given, for people and files."""
        return {**self.nodes, ALL: self.every} if self.nodes else self.every

    @property
    def key(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """What two equal readings have in common."""
        return self.every, tuple(sorted(self.nodes.items()))


Choice = str | Mapping[str, str] | Gates


def read_gates(given: Choice) -> Gates:
    """Read the ``gates`` argument: a reading, or one for each node name, ``"*"`` for all others.

    Raises
    ------
    OptionError
    """
    if isinstance(given, Gates):
        return given
    if not isinstance(given, Mapping):
        return Gates(one_of("gates", given, GATES))
    nodes = {name: one_of(f"gates[{name!r}]", how, GATES) for name, how in given.items()}
    return Gates(nodes.pop(ALL, HALVES), nodes)


_READ = {
    HALVES: 'by half of each term of the product rule (gates="halves")',
    HELD: 'with the activation held (gates="held")',
}


@dataclass(frozen=True)
class Holding:
    """What frozen mode holds of a section.

    Parameters
    ----------
    held : {node name: input position}
        Operands that count as constant there.
    spelt : {operator: how many groups of nodes spell it}
    products : {node name: "halves" or "held"}
        The gated products.
    """

    held: Mapping[str, int]
    spelt: Mapping[str, int]
    products: Mapping[str, str]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it."""
        return tuple(note for note in (self._of_groups(), self._of_products()) if note)

    def _of_groups(self) -> str:
        listed = ", ".join(f"{count} {name}" for name, count in self.spelt.items())
        return listed and f"spelt out, and read as the operators are: {listed}"

    def _of_products(self) -> str:
        counts = Counter(self.products.values())
        listed = ", ".join(f"{counts[how]} {words}" for how, words in _READ.items() if counts[how])
        return listed and f"gated products, act(a) * b: {listed}"


def find_holding(part: Part, gates: Gates) -> Holding:
    """Look for what is spelt out in a part of a graph, and for gated products."""
    found = list(spelt_out(part))
    held = {node: position for spelt in found for node, position in spelt.held}
    products = gated_products(part, {spelt.node for spelt in found if spelt.is_activation})
    read = {name: gates.of(name) for name in products}
    held |= {name: at for name, at in products.items() if read[name] == HELD}
    return Holding(held, Counter(spelt.name for spelt in found if spelt.name), read)


def require_products(gates: Gates, products: Collection[str]) -> None:
    """Raise OptionError if readings are given for nodes that are no gated products."""
    unknown = [name for name in gates.nodes if name not in products]
    if unknown:
        known = ", ".join(shown(repr(name)) for name in list(products)[:6]) or "none"
        more = f" and {len(products) - 6} more" if len(products) > 6 else ""
        raise OptionError(
            f"gates= names {unknown}, which are no products of an activation and another factor. "
            f"Those between the inputs and the outputs are: {known}{more}."
        )
