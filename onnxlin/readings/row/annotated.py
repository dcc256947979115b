"""A copy of the model whose nodes carry what the map says of them, for viewers such as Netron."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.graph.weights import filled
from onnxlin.linearizer import Linearizer
from onnxlin.program.check import report
from onnxlin.readings.row.layers import live_units

if TYPE_CHECKING:
    import onnx

PREFIX = "onnxlin."
SINCE = 10
"""Version of the format since which nodes have metadata."""
ROWS = 5
"""Rows whose shares are written; those of the largest outputs."""


def annotated(m: AffineMap, lin: Linearizer) -> onnx.ModelProto:
    """Write status, shares of b and live units into the metadata of a copy's nodes.

    Parameters
    ----------
    m : AffineMap
    lin : Linearizer
        The one that made it.

    Returns
    -------
    onnx.ModelProto
        It computes what the model computes: nothing but ``metadata_props`` is added. Functions are
        opened and nodes named, as the map has them. Entries of a node: "onnxlin.status", and where
        they apply "onnxlin.bias ROW" (its share of that row's b, of b), and "onnxlin.live" (units
        that reach the rows, of all). Of more than five rows those of the largest outputs.

    Raises
    ------
    DetachedError
        The map was loaded from a file.
    """
    graph = lin.graph
    made = filled(graph.model, graph.initialisers)
    made.ir_version = max(made.ir_version, SINCE)
    entries: dict[str, dict[str, str]] = {}
    for node in report(lin.section).nodes:
        entries[node.name] = {f"{PREFIX}status": node.status}
    names = m.row_names
    for row in np.argsort(-m.y, kind="stable")[:ROWS]:
        for name, shares in m.bias_by_node.items():
            told = f"{shares[row]:.6g} of b = {m.b[row]:.6g}"
            entries.setdefault(name, {})[f"{PREFIX}bias {names[row]}"] = told
    for units in live_units(m):
        told = f"{units.live} of {units.units} reach the rows, {units.on} are on"
        entries.setdefault(units.node, {})[f"{PREFIX}live {units.tensor}"] = told
    for proto in made.graph.node:
        for key, value in entries.get(proto.name, {}).items():
            entry = proto.metadata_props.add()
            entry.key, entry.value = key, value
    return made
