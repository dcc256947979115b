"""How often loops go round whose trip counts the model computes: looked at before it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnxlin.graph import Array, Graph
from onnxlin.operators.families import ends_itself
from onnxlin.operators.growth import loops
from onnxlin.runtime.opened import Session, run, session
from onnxlin.section.cost import Asker, Known
from onnxlin.section.parts import ancestors, part_for


class Rounds:
    """Loops that may go round endlessly, and the parts of the model that say how often.

    A part is run by itself, once for each x, before the whole is: the runtime cannot be stopped
    between two rounds by a number of these. Loops that may end themselves are let run.

    Parameters
    ----------
    graph : Graph
    found : sequence of Asker
        Nodes that ask for what constants do not tell, in order.
    """

    def __init__(self, graph: Graph, found: Sequence[Asker]) -> None:
        self._graph = graph
        self._found = [a for a in found if loops(a.node) and not ends_itself(a.node)]
        self._opened: dict[tuple[str, ...], Session] = {}

    def hold(self, known: Known) -> None:
        """Hold the loops to the limit, one behind the other.

        Parameters
        ----------
        known : {tensor: array}
            What is fed, and what is known beside it.

        Raises
        ------
        LimitError
        """
        for asker in self._found:
            asked = tuple(n for n in asker.unknown(known) if n in self._graph.producer)
            if asked:
                known = {**known, **self._computed(asked, known)}
            asker.hold(known, {})

    def _computed(self, asked: tuple[str, ...], known: Known) -> Mapping[str, Array]:
        inputs = {**self._graph.inputs, **self._graph.optional}
        needed = ancestors(self._graph, asked)
        feeds = {name: known[name] for name in inputs if name in known and name in needed}
        key = (*asked, "", *feeds)
        if key not in self._opened:
            part = part_for(self._graph.model, self._graph, asked, feeds)
            self._opened[key] = session(part, self._graph.initialisers)
        return run(self._opened[key], list(asked), feeds)
