"""What stands before the names of a body's tensors: short, however deep bodies lie."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

LONGEST = 100
"""Letters of a node's name that are taken as they are."""


@dataclass(frozen=True, eq=False)
class Prefixes:
    """Prefixes of the bodies of one section's nodes.

    A node without a name is called after a tensor, whose name holds the prefixes of all the bodies
    that it lies in: with those, names would double with every level.

    Parameters
    ----------
    last, whole : str
        What stands before the tensors of this section, if it is a body: its own prefix, and that
        with those of all bodies around it.
    """

    last: str = ""
    whole: str = ""
    _given: dict[str, str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def of(self, node: str) -> str:
        """Return the prefix for the bodies of a node: no other node of the section has it."""
        if node not in self._given:
            short = node
            for own in (self.whole, self.last):
                short = short.replace(own, "") if own else short
            if len(short) > LONGEST:
                digest = hashlib.sha256(node.encode("utf-8", "surrogatepass")).hexdigest()
                short = f"{short[:LONGEST]}~{digest[:16]}"
            while f"{short}/" in self._taken:
                short += "'"
            self._given[node] = f"{short}/"
            self._taken.add(f"{short}/")
        return self._given[node]

    def inside(self, prefix: str) -> Prefixes:
        """Return those of a body under one of these prefixes."""
        return Prefixes(prefix, prefix + self.whole)
