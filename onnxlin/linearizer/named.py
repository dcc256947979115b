"""Names of what is linearised, and of the means by which it is."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np

from onnxlin.linearizer.ready import Ready
from onnxlin.runtime.options import apart
from onnxlin.section import Gates


def digest_of(ready: Ready) -> str:
    """Name a model, its ends and how they are read, by their contents: sha256."""
    section = ready.section
    graph = section.graph
    found = sha256(graph.model.SerializeToString(deterministic=True))
    for name, array in sorted({**graph.initialisers, **graph.defaults}.items()):
        found.update(repr((name, array.dtype.name, array.shape)).encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    how = ready.mode, section.rounding
    # Names from before there was a choice of gates stay as they are.
    gates = () if section.gates == Gates() else section.gates.key
    found.update(repr((section.inputs, section.outputs, *how, *gates)).encode())
    return found.hexdigest()


def means_of(ready: Ready) -> dict[str, Any]:
    """Name what shows in last bits: memory, threads, options of sessions taken apart, providers."""
    options = apart(ready.shelf.options)
    found = {"memory": ready.memory, "threads": ready.threads, "session_options": options}
    # Names from before there was a choice stay as they are.
    chosen = tuple(ready.providers.given)
    return found | ({"providers": chosen} if ready.providers.pairs else {})
