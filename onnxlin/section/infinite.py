"""Which node makes an output infinite, or no number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnxlin.graph import Array, Graph, is_float


def culprit(graph: Graph, values: Mapping[str, Array], output: str, *, nan: bool) -> str:
    """Name the node that made the first NaN on the way to an output, or the first infinity.

    Parameters
    ----------
    values : {tensor: array}
        Of one run, as far as they are known.
    nan : bool
        Which of the two the output is.

    Returns
    -------
    str
        Empty where no node of the graph did: the infinity has been put in.
    """
    makers = {name: node for node in graph.nodes for name in node.writes}
    bad = np.isnan if nan else np.isinf
    node = makers.get(output)
    while node is not None:
        before = [n for n in node.reads if n in values and bad(_wide(values[n])).any()]
        if not before:
            what = "the first NaN" if nan else "the first infinity"
            return f"{node.op_type} at node {node.name!r} makes {what} on the way"
        node = makers.get(before[0])
    return ""


def _wide(value: Array) -> Array:
    known = isinstance(value, np.ndarray | np.generic) and is_float(value.dtype)
    return np.asarray(value).astype(np.float64) if known else np.zeros(())
