"""Whether it is known before a run what that run costs: no model is tried out before it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

import onnx

from onnxlin import limits
from onnxlin.errors import LimitError, ModelError, TraceError
from onnxlin.graph import Array, Graph
from onnxlin.operators.families import ends_itself
from onnxlin.operators.growth import loops, sizes_after
from onnxlin.operators.shaped import settled_shapes
from onnxlin.runtime.opened import run, session
from onnxlin.section.cost import Asker, Known, askers, grown
from onnxlin.section.parts import cut_down, part_for

ROUNDS = 8
"""How often values are computed that say how large others will be, each time from all before."""


def unbounded(graph: Graph, feeds: Mapping[str, Array], wanted: Iterable[str]) -> str | None:
    """Say why nobody can tell what a run for some tensors costs, or that it costs too much.

    What says how large a tensor is, or how often a loop goes round, is looked at: constants, what
    is fed, and what follows from these at a cost that is known. Operators make no more than they
    say (`onnxlin.operators.growth`); shapes that inference does not find are taken to be no larger
    than those of the operands.

    Returns
    -------
    str or None
        None where the run keeps to `onnxlin.limits`.

    Raises
    ------
    LimitError
        It certainly does not, whatever else is fed.
    """
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    cut_down(model, graph, wanted)
    found = askers(model.graph.node, graph.initialisers)
    for asker in found:
        asker.hold(feeds, {})
    try:
        sizes = _sizes(model, feeds, graph.initialisers)
    except (LimitError, TraceError, ModelError) as error:
        return str(error)
    known: dict[str, Any] = dict(feeds)
    for _ in range(ROUNDS):
        for asker in found:
            asker.hold(known, {})
        try:
            more = _more(graph, model, known, found, sizes)
        except (LimitError, TraceError, ModelError) as error:
            return str(error)
        if more is None or isinstance(more, str):
            return more
        known |= more
    return "too many shapes are computed one from the other"


def _sizes(model: onnx.ModelProto, feeds: Known, constants: Known) -> dict[str, int]:
    """Entries of the tensors of a model, held to the limit."""
    sizes = {name: value.size for name, value in {**constants, **feeds}.items()}
    for name, shape in settled_shapes(model, feeds).items():
        sizes[name] = min(prod(shape), limits.ENDLESS)
        what = f"Tensor {name!r} is of shape {list(shape)}: {sizes[name]:,} entries"
        limits.hold("entries", sizes[name], what)
    sizes_after(model.graph.node, sizes)
    return sizes


def _more(
    graph: Graph,
    model: onnx.ModelProto,
    known: Known,
    found: Sequence[Asker],
    sizes: Mapping[str, int],
) -> dict[str, Any] | str | None:
    """Compute what says how much others cost; None if nothing is left, a text if nothing can be."""
    for asker in found:
        asker.hold(known, sizes)
    missing = [(a, name) for a in found if (name := a.missing(known)) is not None]
    if not missing:
        return next(filter(None, (_loop(asker, known, sizes) for asker in found)), None)
    behind = graph.moved_by([o for asker, _ in missing for o in asker.node.output])
    asked = sorted({n for _, n in missing if n in graph.producer and n not in behind})
    if not asked:
        asker, name = missing[0]
        return f"{asker.called} goes by {name!r}, which is not known before it runs"
    part = part_for(model, graph, asked, known)
    own = {i.name: known[i.name] for i in part.graph.input}
    return run(session(part, graph.initialisers), asked, own)


def _loop(asker: Asker, known: Known, sizes: Mapping[str, int]) -> str | None:
    """Say what is not known of a loop of so many rounds."""
    if not loops(asker.node):
        return None
    if not asker.told or (ends_itself(asker.node) and asker.rounds(known) > _trips()):
        return f"{asker.called} goes round until a condition says so, and nobody knows when"
    made = grown(asker, known, sizes)
    limits.hold("entries", made, f"{asker.called} carries a tensor that grows to {made:,} entries")
    return None


def _trips() -> int:
    return limits.current().trips
