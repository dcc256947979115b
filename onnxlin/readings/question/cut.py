"""A linearizer that begins at hidden tensors: what lies before and beside them is held at x."""

from __future__ import annotations

from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.section.cut import begun_at


def cut(lin: Linearizer, feeds: dict[str, Array]) -> tuple[Linearizer, dict[str, Array]]:
    """Return a linearizer that runs from the tensors that ``lin`` linearises, and what to feed it.

    Where these are inputs of the model already, it is ``lin`` itself.
    """
    section = lin.section
    if set(section.inputs) <= set(lin.graph.inputs):
        return lin, feeds
    model, values = begun_at(lin.graph, feeds, section.inputs, section.outputs)
    begun = Linearizer(
        model,
        inputs=section.inputs,
        outputs=section.outputs,
        mode=lin.mode,
        rounding=lin.rounding,
        gates=lin.gates,
        memory=lin.memory,
        providers=lin.providers,
    )
    return begun, values
