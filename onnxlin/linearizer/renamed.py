"""A model once more, for an x that names initialisers among its inputs."""

from __future__ import annotations

from dataclasses import replace

from onnx import numpy_helper

from onnxlin.engines.confined import confined
from onnxlin.graph.weights import filled
from onnxlin.linearizer.ready import Ready, make_ready
from onnxlin.load import load
from onnxlin.section import make_section


def naming(ready: Ready, names: frozenset[str]) -> Ready:
    """Return the same model, ready for an x that names these initialisers among its inputs."""
    section, graph = ready.section, ready.section.graph
    # Not the file once more: it may have changed since, or be on another machine.
    given = graph.defaults
    whole = filled(graph.model, graph.initialisers)
    whole.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in given.items())
    ends = list(section.inputs), list(section.outputs)
    with confined(ready.threads):
        graph = load(whole, names | set(given))
        made = make_section(graph, *ends, section.rounding, gates=section.gates)
        own = replace(made, notes=section.notes)
        how = ready.memory, ready.shelf.options, ready.threads
        return make_ready(own, ready.mode, *how, providers=ready.providers)
