"""What a compiled model says about itself: metadata, texts beside its inputs and outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import onnx

from onnxlin.engines.compiled.compile import ADJOINT, Compiled
from onnxlin.engines.compiled.export.batch import INSTANCES
from onnxlin.primitives import Shape
from onnxlin.program import slices
from onnxlin.section import Section
from onnxlin.version import __version__

PREFIX = "onnxlin."
FORMAT = 1
"""Raised when a key changes its meaning."""


@dataclass(frozen=True)
class Facts:
    """What the graph itself does not tell.

    Parameters
    ----------
    section : Section
    mode : {"tangent", "frozen"}
    sha256 : str
        Of the source model; "" where it is not known.
    shares : bool
        Whether the graph has that output.
    batch : bool
        Whether it takes N instances.
    """

    section: Section
    mode: str
    sha256: str
    shares: bool
    batch: bool = False


def describe(made: onnx.ModelProto, compiled: Compiled, facts: Facts) -> None:
    """Write metadata and texts into a compiled model; the source's own metadata is kept."""
    source = facts.section.graph.model
    made.producer_name, made.producer_version = "onnxlin", __version__
    made.graph.name = f"{source.graph.name} linearised"
    kept = {entry.key: entry.value for entry in source.metadata_props}
    own = {PREFIX + key: value for key, value in _entries(compiled, facts).items()}
    for key, value in (kept | own).items():
        text = value if isinstance(value, str) else json.dumps(value)
        made.metadata_props.add(key=key, value=text)
    texts = _texts(compiled, "N, " if facts.batch else "")
    made.doc_string = _summary(compiled, facts)
    for info in (*made.graph.input, *made.graph.output):
        info.doc_string = texts.get(info.name, info.doc_string)


def _entries(compiled: Compiled, facts: Facts) -> dict[str, Any]:
    names = {"given": compiled.seeds, "rows": compiled.rows}
    if compiled.bias:
        names["bias"] = compiled.bias
    if facts.shares:
        names["shares"] = compiled.shares
    entries: dict[str, Any] = {
        "format": str(FORMAT),
        "version": __version__,
        "mode": facts.mode,
        "rounding": facts.section.rounding,
        "direction": compiled.direction,
        "columns": list(_places(compiled.inputs)),
        "rows": list(_places(compiled.outputs)),
        "names": names,
        "source": {"graph": facts.section.graph.model.graph.name, "sha256": facts.sha256},
        "notes": list(facts.section.notes_in(facts.mode)),
    }
    entries |= {"batch": INSTANCES} if facts.batch else {}
    return entries | ({"shares": list(compiled.nodes)} if facts.shares else {})


def _places(shapes: Mapping[str, Shape]) -> Iterator[dict[str, Any]]:
    """Where each tensor lies among the columns, or rows, of W."""
    for name, at in slices(shapes):
        yield {"tensor": name, "shape": list(shapes[name]), "start": at.start, "stop": at.stop}


def _summary(compiled: Compiled, facts: Facts) -> str:
    made = f"{compiled.rows} = {compiled.seeds} @ W and {compiled.bias} = {compiled.seeds} @ b"
    if compiled.direction != ADJOINT:
        made = f"{compiled.rows} = {compiled.seeds} @ W.T"
    ends = " -> ".join(", ".join(names) for names in (compiled.inputs, compiled.outputs))
    return (
        f"The affine map F(x) = W x + b that a model ({ends}) is at x: its outputs, {made}, in "
        f"{facts.mode} mode, rounding read as {facts.section.rounding}. Written by onnxlin "
        f"{__version__}."
    )


def _texts(compiled: Compiled, many: str) -> dict[str, str]:
    """Name -> a line on it, for the inputs and outputs that the source model does not have.

    ``many`` stands before the axes of one instance.
    """
    columns = f"columns of W: entries of {', '.join(compiled.inputs)}, each in C order"
    rows = f"rows of W: entries of {', '.join(compiled.outputs)}, each in C order"
    if compiled.direction != ADJOINT:
        return {
            compiled.seeds: f"({many}K, n_in), {columns}",
            compiled.rows: f"({many}K, n_out), {rows}",
        }
    return {
        compiled.seeds: f"({many}K, n_out), {rows}",
        compiled.rows: f"({many}K, n_in) = {compiled.seeds} @ W, {columns}",
        compiled.bias: f"({many}K) = {compiled.seeds} @ b"
        if many
        else f"(K,) = {compiled.seeds} @ b",
        compiled.shares: f"({many}K, nodes), sums to {compiled.bias}; metadata names the nodes",
    }
