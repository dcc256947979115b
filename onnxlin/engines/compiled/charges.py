"""When a graph is worth opening: what calls lose without one, and how many are to be expected.

Nobody says how many calls there will be. Calls come in ones, tens and hundreds: so a second call is
taken for the second of ten, an eleventh for that of a hundred. Then one, ten or a hundred calls
take little longer than they would have by the better way (tests/benchmarks/auto.py). A reading that
calls in a loop does know, and says so by a `Loop`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

STEP, MORE = 10, 1.3
"""Some more than ten: where both ways take as long, opening late costs more than opening early."""


def expected(made: int) -> float:
    """Count the calls to come after so many: up to the next power of ten, and some more."""
    most = 1
    while most <= made:
        most *= STEP
    return MORE * most - made


@dataclass(frozen=True, eq=False)
class Loop:
    """So many calls whose maps are held beside each other: what answers the first answers all.

    Two engines differ in last bits, which would be read as a difference between two inputs.

    Parameters
    ----------
    calls : int
        How many are to come.
    refused : set
        Kinds of calls that go without a graph.
    engines : {kind of call: engine}
        What has answered.
    """

    calls: int
    refused: set[Any] = field(default_factory=set)
    engines: dict[Any, str] = field(default_factory=dict)

    @property
    def graphs_alone(self) -> bool:
        """Whether no other engine has answered yet."""
        return all(engine == "compiled" for engine in self.engines.values())


@dataclass
class Charge:
    """Calls of one kind that went without a graph.

    Parameters
    ----------
    made : int
    lost : float
        Seconds that a graph would have saved, by estimate.
    """

    made: int = 0
    lost: float = 0.0

    def pays(self, saved: float, opening: float, loop: Loop | None = None) -> bool:
        """Whether a graph that saves so many seconds a call is worth the seconds of opening it.

        It is, too, once calls have lost as much: whatever comes then, they took no longer than
        twice what the better way would have.

        Parameters
        ----------
        loop : Loop, optional
            That knows how many calls it makes.
        """
        to_come = expected(self.made) if loop is None else loop.calls
        return saved * to_come >= opening or self.lost >= opening

    def add(self, saved: float) -> None:
        """Count a call that has gone without."""
        self.made += 1
        self.lost += max(saved, 0.0)
