"""The tensors that carry something from the inputs to the rows asked, and which of them cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from onnxlin.engines.live.links import links
from onnxlin.engines.live.liveness import live_entries
from onnxlin.engines.seeds import Seeds
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram, slices

# More tensors than that are not looked through for sets of them.
MOST = 5000


def live_tensors(program: LinearProgram, seeds: Seeds) -> dict[str, Array]:
    """Mark the live entries of inputs and of what steps make; what has none is left out.

    Returns
    -------
    {tensor: bool array of its shape}
    """
    taken = seeds.taken
    seeded = {n: taken[at].reshape(program.outputs[n]) for n, at in slices(program.outputs)}
    marks = live_entries(links(program), program.inputs, seeded)
    names = (*program.inputs, *(step.output for step in program.steps))
    return {name: marks[name] for name in names if name in marks and marks[name].any()}


@dataclass(frozen=True, eq=False)
class Between:
    """The live tensors on a path from an input to an output, and how they read each other.

    Parameters
    ----------
    program : LinearProgram
    marks : {tensor: bool array of its shape}
        See `live_tensors`.
    """

    program: LinearProgram
    marks: Mapping[str, Array]

    @cached_property
    def size(self) -> dict[str, int]:
        """Live entries of each, in order: inputs first, each after all that it reads."""
        found = {n: int(self.marks[n].sum()) for n in self.program.inputs if n in self.marks}
        for step in self.program.steps:
            if step.output in self.marks and any(name in found for name, _ in step.terms):
                found[step.output] = int(self.marks[step.output].sum())
        return found

    @cached_property
    def place(self) -> dict[str, int]:
        """Where each stands in that order."""
        return {name: i for i, name in enumerate(self.size)}

    @cached_property
    def nnz(self) -> Array:
        """Multiplications that it takes to make each, and all before it: ``(tensors,)``."""
        own = dict.fromkeys(self.size, 0)
        for step in self.program.steps:
            if step.output in own:
                own[step.output] += sum(op.nnz for n, op in step.terms if n in own)
        return np.cumsum([*own.values()], dtype=np.float64)

    @cached_property
    def edges(self) -> list[tuple[int, int]]:
        """Places of what is read, and of what reads it."""
        place, steps = self.place, self.program.steps
        made = (step for step in steps if step.output in place)
        return [
            (place[n], place[step.output]) for step in made for n, _ in step.terms if n in place
        ]

    @property
    def ends(self) -> tuple[list[int], list[int]]:
        """Places of the inputs, and of the outputs."""
        inputs, outputs = self.program.inputs, self.program.outputs
        return [self.place[n] for n in inputs if n in self.place], [
            self.place[n] for n in outputs if n in self.place
        ]

    def single(self) -> Iterator[str]:
        """Tensors that every path passes, one after the other."""
        names = list(self.size)
        starts, stops = self.ends
        # The last place at which something reads what stands there, or the caller does.
        last = [0] * len(names)
        for source, target in self.edges:
            last[source] = max(last[source], target)
        for i in stops:
            last[i] = len(names)
        furthest = max(starts, default=0)
        for i, name in enumerate(names):
            # All that stands before it is read there and before, so no path goes around it.
            if furthest <= i:
                yield name
            furthest = max(furthest, last[i])

    def together(self, most: int) -> tuple[str, ...]:
        """The set of fewest live entries that all paths pass, that which is nearest to the outputs.

        The least cut of a network in which a tensor lets through as much as it has live entries
        (Ford and Fulkerson, 1956).

        Parameters
        ----------
        most : int
            A tensor with more entries is as good as one with so many.

        Returns
        -------
        tuple of str
            () where there are more tensors than are looked through.
        """
        # Three milliseconds that small nets, which are not cut, need not wait for.
        from scipy.sparse.csgraph import breadth_first_order, maximum_flow  # noqa: PLC0415

        n, (starts, stops) = len(self.size), self.ends
        if not starts or not stops or n > MOST or n * most > np.iinfo(np.int32).max // 2:
            return ()
        # Tensor i enters at i and leaves at n + i.
        begin, end, wide = 2 * n, 2 * n + 1, np.iinfo(np.int32).max // 2
        arcs = {(i, n + i): min(size, most) for i, size in enumerate(self.size.values())}
        arcs |= {(n + source, target): wide for source, target in self.edges}
        arcs |= {(begin, i): wide for i in starts} | {(n + i, end): wide for i in stops}
        source, target = np.array([*arcs], np.int32).T
        shape = (2 * n + 2, 2 * n + 2)
        room = sp.csr_array((np.array([*arcs.values()], np.int32), (source, target)), shape)
        spare = sp.csr_array(room - maximum_flow(room, begin, end).flow)
        spare.eliminate_zeros()
        behind = np.zeros(2 * n + 2, bool)
        behind[breadth_first_order(sp.csr_array(spare.T), end, return_predecessors=False)] = True
        return tuple(name for i, name in enumerate(self.size) if behind[n + i] and not behind[i])
