"""All that a page that computes knows before it computes, as one JSON document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxlin.affine_map.colours import COLOURS
from onnxlin.engines.compiled.export.about import PREFIX
from onnxlin.graph import Array
from onnxlin.inputs import Preprocessing, guess_geometry
from onnxlin.page.computing.subject import TYPES, Computing
from onnxlin.page.pack import pack, plain
from onnxlin.readings.bias.kinds import MEANING
from onnxlin.readings.bias.ledger import ledger
from onnxlin.readings.row.parts import Part

VERSION = 1
MOST_LABELS = 20_000
MOST_FIELDS = 200  # numbers that a page has fields for
NOT_TOLD = "constant"  # the kind of what brings in a bias elsewhere, and none at the first input


def document(subject: Computing) -> dict[str, Any]:
    """Describe a model's inputs and outputs, how they are shown, and Python's own answer.

    The page feeds "feeds", asks for rows by seeds, and fills in the rest itself. "bound" is the
    largest bound of relative residuals that was derived at the instance; "y" is F there.
    """
    m, told = subject.m, subject.told
    outputs = told["rows"][-1]["stop"]
    # Of more the names would be most of the page: their indices serve.
    labels = [_label(subject, i) for i in range(outputs)] if outputs <= MOST_LABELS else None
    bounds = np.asarray(m.bound, np.float64)
    found: dict[str, Any] = plain(
        {
            "format": "onnxlin.live",
            "version": VERSION,
            "model": subject.model,
            "source": subject.source,
            "notes": list(subject.notes),
            "map": _about(subject, outputs),
            "names": told["names"],
            "columns": told["columns"],
            "outputs": told["rows"],
            "labels": labels,
            "span": [subject.span.start or 0, subject.span.stop or outputs],
            "chances_are": subject.chances_are,
            "what": "W x",
            "feeds": [_feed(name, subject.feeds[name]) for name in subject.inputs],
            "parts": [_part(part, m.inputs[part.tensor], subject) for part in subject.parts],
            "beside": [
                _part(part, subject.feeds[part.tensor], subject) for part in _beside(subject)
            ],
            "vocabulary": list(subject.vocabulary) or None,
            "ranges": None if subject.ranges is None else subject.ranges.tolist(),
            "bound": float(bounds.max()) if bounds.size else 0.0,
            "y": pack(_first(subject)),
            "ledger": _ledger(subject),
            "structural_zero": None,
            "open": None if subject.opened is None else list(subject.opened),
            "smooth": subject.smooth,
            "colours": COLOURS,
        }
    )
    return found


def _label(subject: Computing, index: int) -> str:
    return str(index) if subject.labels is None else subject.labels[index]


def _about(subject: Computing, outputs: int) -> dict[str, Any]:
    m = subject.m
    return {
        "rows": outputs,
        "columns": len(m.x),
        "mode": m.mode,
        "rounding": m.rounding,
        "notes": list(subject.told["notes"]),
        "bytes": len(subject.serialised),
        "nodes": len(subject.compiled.graph.node),
        "producer": f"onnxlin {subject.told['version']}",
        "metadata": PREFIX,
    }


def _first(subject: Computing) -> Array:
    """F at the instance, all outputs, by onnxruntime's run of the model itself."""
    return np.concatenate([np.zeros(0), *(v.ravel() for v in subject.m.own_outputs.values())])


def _ledger(subject: Computing) -> dict[str, Any]:
    """Nodes of the shares, with their kinds as far as the instance tells."""
    found = ledger(subject.m)
    kind_of: dict[str, str] = dict(zip(found.nodes, found.kinds, strict=True))
    nodes = subject.told["shares"]
    kinds = [kind_of.get(node, NOT_TOLD) for node in nodes]
    meaning = {str(kind): text for kind, text in MEANING.items() if kind in kinds}
    return {"nodes": nodes, "kinds": kinds, "meaning": meaning}


def _feed(name: str, value: Array) -> dict[str, Any]:
    kept = value.astype(np.uint8) if value.dtype == np.bool_ else value
    return {
        "name": name,
        "type": TYPES[str(value.dtype)],
        "shape": list(value.shape),
        "x": pack(np.ascontiguousarray(kept)),
    }


def _beside(subject: Computing) -> Iterator[Part]:
    """Inputs of the model behind a map that starts at hidden tensors: pictures, and few numbers."""
    looked_at = {name for part in subject.parts for name in (part.tensor, part.told_by)}
    for name in subject.inputs:
        value = subject.feeds[name]
        if name in looked_at or value.dtype.kind != "f":
            continue
        geometry, columns = guess_geometry(value.shape), slice(0, value.size)
        if geometry is not None:
            yield Part(name, columns, value.shape, "picture", geometry)
        elif value.size <= MOST_FIELDS:
            yield Part(name, columns, value.shape, "table", lead=f"{name} ")


def _part(part: Part, value: Array, subject: Computing) -> dict[str, Any]:
    """Describe an input of the map; "fed" says whether the page feeds it, or the graph makes it."""
    found: dict[str, Any] = {
        "tensor": part.tensor,
        "kind": part.kind,
        "shape": list(part.shape),
        "start": part.columns.start,
        "stop": part.columns.stop,
        "names": list(part.names),
        "lead": part.lead,
        "fed": part.tensor in subject.inputs,
        "feed": part.told_by or part.tensor,
    }
    if part.geometry is not None:
        found |= _picture(part, value, subject.preprocessing)
    if part.kind == "series":
        channels, time = part.series(value.ravel()).shape
        found |= {"channels": channels, "time": time, "last": part.last}
    return found


@dataclass(frozen=True)
class _Scale:
    """Pixels of 0 to 255 times ``factor`` plus ``offset``, by channel: what a model gets."""

    factor: Array
    offset: Array
    turned: bool

    def pixels(self, picture: Array) -> Array:
        """``(channels, height, width)`` that a model gets -> (height, width, channels), uint8."""
        shown = (np.moveaxis(picture, 0, -1).astype(np.float64) - self.offset) / self.factor
        found: Array = np.rint(np.clip(shown, 0, 255)).astype(np.uint8)
        return found[..., ::-1] if self.turned else found


def _scale(part: Part, value: Array, how: Preprocessing | None) -> _Scale:
    """Without preprocessing the tensor's own least and largest entries are 0 and 255."""
    assert part.geometry is not None
    count = part.geometry.channels
    if how is None:
        low, high = (float(value.min()), float(value.max())) if value.size else (0.0, 1.0)
        size = (high - low) / 255 if high > low else 1 / 255
        return _Scale(np.full(count, size), np.full(count, low), False)
    scale = 1.0 if how.scale is None and value.dtype.kind in "iu" else how.factor
    mean, std = (np.broadcast_to(v, count).astype(np.float64) for v in (how.mean, how.std))
    return _Scale(scale / std, -mean / std, how.channels == "bgr" and count > 1)


def _picture(part: Part, value: Array, how: Preprocessing | None) -> dict[str, Any]:
    """Where the channels lie, how pixels are scaled and brought to size, and what is seen at x."""
    g = part.geometry
    assert g is not None
    scale, named = _scale(part, value, how), how or Preprocessing()
    shown = scale.pixels(g.to_picture(value)) if part.pixels is None else part.pixels
    return {
        "channels": g.channels,
        "height": g.height,
        "width": g.width,
        "layout": g.layout,
        "pixels": pack(shown),
        "scaling": {
            "factor": scale.factor.tolist(),
            "offset": scale.offset.tolist(),
            "turned": scale.turned,
            "grey": named.channels == "gray",
            "resize": named.resize,
            "resample": named.resample,
            "edge": named.edge,
            "size": None if named.size is None else list(named.size),
            "told": how is not None,
        },
    }
