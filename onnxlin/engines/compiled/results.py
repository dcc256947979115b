"""What a compiled graph gives: named, with the layouts of its tensors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod

import onnx

from onnxlin.engines.compiled.sweep import Swept
from onnxlin.lowering import Emitter, Stack
from onnxlin.primitives import Shape
from onnxlin.program import LinearProgram


@dataclass(frozen=True)
class Names:
    """Tensors that a compiled model has beside those of its source; "" for what it has not.

    Parameters
    ----------
    given, rows, bias, shares : str
        What is taken, and what is made of it; see `Compiled`.
    """

    given: str
    rows: str
    bias: str = ""
    shares: str = ""

    def beside(self, tensors: Collection[str], graph: Emitter) -> Names:
        """Return names that none of these tensors has."""
        mine = (self.given, self.rows, self.bias, self.shares)
        return Names(*(graph.fresh(name) if name in tensors else name for name in mine))


def results(
    graph: Emitter,
    program: LinearProgram,
    swept: Swept,
    names: Names,
    axes: Mapping[str, int] | None,
) -> dict[str, tuple[int, Shape]]:
    """Name what a sweep has made; return the layouts, ``(merged, rest)``."""
    made = {names.rows: (swept.rows, swept.layout)}
    if names.shares:
        name, shape = next(iter(program.outputs.items()))
        apart = () if axes is None else (shape[axes[name]],)
        stack = Stack.of(graph, names.given, (program.rows,))
        parts = swept.shares or _no_shares(graph, stack, apart)
        if names.bias:
            made[names.bias] = _total(graph, swept, stack, apart), (1, apart)
        made[names.shares] = parts, (1, (*apart, len(swept.nodes)))
    for name, (tensor, _) in made.items():
        graph.add(onnx.helper.make_node("Identity", [tensor], [name]))
    return {name: layout for name, (_, layout) in made.items()}


def _no_shares(graph: Emitter, stack: Stack, apart: Shape) -> str:
    """A tensor (K, 0), or (K, instances, 0)."""
    parts = stack.zeros(0)
    if not apart:
        return parts
    return graph("Expand", graph("Unsqueeze", parts, graph.ints([1])), graph.ints([1, *apart, 0]))


def _total(graph: Emitter, swept: Swept, stack: Stack, apart: Shape) -> str:
    """Sum the shares."""
    if swept.shares:
        return graph("ReduceSum", swept.shares, graph.ints([-1]), keepdims=0)
    # Along an axis without entries some onnxruntimes sum to the wrong shape.
    total = stack.zeros(prod(apart))
    return total if apart else graph("Squeeze", total, graph.ints([-1]))
