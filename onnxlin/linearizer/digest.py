"""The name of a linearizer by its contents: a key for caches."""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from onnxlin.linearizer.ready import Ready
from onnxlin.runtime.options import apart
from onnxlin.section import Gates


def digest(ready: Ready) -> str:
    """Name a model, its ends and how they are read, by their contents."""
    section, graph = ready.section, ready.section.graph
    found = sha256(graph.model.SerializeToString(deterministic=True))
    for name, array in sorted({**graph.initialisers, **graph.defaults}.items()):
        found.update(repr((name, array.dtype.name, array.shape)).encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    how = ready.mode, section.rounding, ready.memory, apart(ready.shelf.options)
    # Names from before there was a choice of gates stay as they are.
    gates = () if section.gates == Gates() else section.gates.key
    found.update(repr((section.inputs, section.outputs, *how, *gates)).encode())
    return found.hexdigest()
