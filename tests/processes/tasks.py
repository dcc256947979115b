"""What workers are told to do; a module of its own, as they import it."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxlin import AffineMap, Linearizer
from tests.small import X, mlp


def asked(thing: Any) -> list[Any]:
    """What a worker does with what it was sent; the answers go back the same way."""
    at = Linearizer(mlp()) if isinstance(thing, AffineMap) else thing
    m = thing if isinstance(thing, AffineMap) else at(X, engine="reverse").verify()
    compiled = at(X, engine="compiled")
    return [m, compiled, compiled.bound, m.layers, m.operator() @ np.ones(3)]


def refused(at: Linearizer) -> None:
    at(X, rows=[99])
