"""All that a page shows, as one JSON document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from onnxlin.affine_map import AffineMap, Verdict
from onnxlin.affine_map.colours import COLOURS
from onnxlin.graph import Array
from onnxlin.page.depths import depths_of
from onnxlin.page.flips import described, drawn
from onnxlin.page.hidden import hidden_of
from onnxlin.page.nodes import nodes
from onnxlin.page.pack import pack, plain
from onnxlin.page.reach import region
from onnxlin.readings import contributions
from onnxlin.readings.region import Found
from onnxlin.readings.row import report, summary
from onnxlin.readings.row.parts import Part, seen

VERSION = 1
MOST_ROWS, STRONGEST, MOST_LISTED = 20, 5, 100
LARGE = 2**20  # numbers of all contributions, beyond which only the strongest rows are kept


@dataclass(frozen=True, eq=False)
class Explained:
    """A map and what is known about it besides.

    Parameters
    ----------
    m : AffineMap
    parts : tuple of Part
        How its inputs are looked at.
    labels : sequence of str, optional
        Names of the outputs.
    model, source : str
        Names of the model and of the instance.
    notes : tuple of str
        What was done to the instance.
    asked : tuple of int
        Positions of rows that must be on the page.
    opened : (int, int), optional
        Two of them: the page opens on the first against the second, in place of the strongest.
    chances : sequence of float, optional
        Probability of every output of the model.
    chances_are : str, optional
        "output" or "softmax".
    smooth : float
        The page opens with heat maps that are blurred by so many pixels, for the eye.
    near : float
        Units this close to a kink are counted.
    sweeps : int, optional
        See `onnxlin.page.reach.region`.
    baseline : str, optional
        Name of an x0 that x is compared with.
    layers : bool
        Whether a transformer is to be read at every depth, however large it is.
    at : tuple of str
        Hidden tensors to read a net with convolutions at, "last" or "all", however large it is;
        by default some, over a picture.
    flips : Found or "nothing", optional
        What `onnxlin.readings.region.find_change` found, of the rows of the map.
    values, rest : {position: array (n_in,)}, {position: float}
        Then ``W (x - x0)`` and ``W x0`` of the rows on the page.
    """

    m: AffineMap
    parts: tuple[Part, ...]
    labels: report.Labels | None = None
    model: str = "model"
    source: str = "x"
    notes: tuple[str, ...] = ()
    asked: tuple[int, ...] = ()
    opened: tuple[int, int] | None = None
    chances: Sequence[float] | None = None
    chances_are: str | None = None
    smooth: float = 0.0
    near: float = 1e-3
    sweeps: int | None = None
    baseline: str | None = None
    layers: bool = False
    at: tuple[str, ...] = ()
    flips: Found | Literal["nothing"] | None = None
    values: Mapping[int, Array] = field(default_factory=dict)
    rest: Mapping[int, float] = field(default_factory=dict)


def document(subject: Explained) -> dict[str, Any]:
    """Assemble a page: plain data that `onnxlin.page.render` writes as HTML.

    A map whose residual is past its bound explains nothing: its page has rows and a verdict, and
    neither contributions nor a ledger.

    Raises
    ------
    DetachedError
        The map was loaded from a file.
    """
    m = subject.m
    found = report.rows(m, subject.labels)
    places, zero = [], None
    if found["residual"]["verdict"] != Verdict.FAIL:
        places, zero = shown(m, subject.asked), report.structure(m)
    found["rows"] = _rows(found["rows"], subject, places)
    described: dict[str, Any] = plain(
        {
            "format": "onnxlin.page",
            "version": VERSION,
            "model": subject.model,
            "source": subject.source,
            "notes": list(subject.notes),
            **report.about(m),
            **found,
            "chances_are": subject.chances_are,
            "kinks": report.kinks(m, subject.near),
            "structural_zero": zero["text"] if zero and zero["holds"] else None,
            "what": "W x" if subject.baseline is None else "W (x - x0)",
            "baseline": subject.baseline,
            "places": places,
            "smooth": subject.smooth,
            "open": [places.index(p) for p in subject.opened] if subject.opened else None,
            "classes": [_class(subject, place) for place in places],
            "ledger": report.ledger(m, places) if places else None,
            "parts": [_part(part, m) for part in subject.parts],
            "depths": depths_of(m, places, subject.parts, asked=subject.layers) if places else None,
            "hidden": hidden_of(m, places, subject.parts, subject.at) if places else None,
            "region": region(m, places, subject.sweeps) if places else None,
            "flips": _flips(subject) if places else None,
            "nodes": nodes(m) if places else None,
            "colours": COLOURS,
        }
    )
    return described


def shown(m: AffineMap, asked: Sequence[int] = ()) -> list[int]:
    """Positions of the rows on a page, strongest first: all if they are few, else the strongest."""
    count = len(m.rows)
    few = count <= MOST_ROWS and count * len(m.x) <= LARGE
    kept = set(summary.top(m.y, count if few else STRONGEST)) | set(asked)
    return sorted(kept, key=lambda place: (-m.y[place], place))


def _flips(subject: Explained) -> dict[str, Any] | None:
    """What flips the decision, if that was looked for, with names of both outputs."""
    found, m = subject.flips, subject.m
    if found is None:
        return None
    if isinstance(found, str):
        return described(m, None, subject.parts)
    said = described(m, found, subject.parts)
    names = [report.named(m, said[end], subject.labels) for end in ("from", "to")]
    return {**said, "names": names, "parts": drawn(m, found, subject.parts)}


def _rows(
    rows: list[dict[str, Any]], subject: Explained, places: Sequence[int]
) -> list[dict[str, Any]]:
    """Keep the strongest rows and those on the page, with probabilities where there are some."""
    kept = sorted({*summary.top(subject.m.y, MOST_LISTED), *places})
    return report.with_probabilities(
        [{**rows[place], "position": place} for place in kept], subject.chances
    )


def _class(subject: Explained, place: int) -> dict[str, Any]:
    """What every feature brings to one row, packed, and what stands beside that in F(x)."""
    m = subject.m
    if place in subject.values:
        values = subject.values[place]
    else:
        # The map's own numbers, in its own precision; that they add up to F(x) is checked here.
        contributions(m, [place])
        values = m.W[place] * m.x.astype(m.dtype)
    return {
        "row": place,
        "values": pack(np.asarray(values, np.float32)),
        "rest": subject.rest.get(place, 0.0),
    }


def _part(part: Part, m: AffineMap) -> dict[str, Any]:
    """Describe an input and pack its values."""
    value = m.inputs[part.tensor]
    found: dict[str, Any] = {
        "tensor": part.tensor,
        "kind": part.kind,
        "shape": list(part.shape),
        "start": part.columns.start,
        "stop": part.columns.stop,
        "names": list(part.names),
        "lead": part.lead,
        "x": pack(np.ascontiguousarray(value, np.float32).ravel()),
    }
    if part.geometry is not None:
        g = part.geometry
        found |= {"channels": g.channels, "height": g.height, "width": g.width, "layout": g.layout}
        found["pixels"] = pack(seen(part, value))
    if part.kind == "series":
        channels, time = part.series(m.x[part.columns]).shape
        found |= {"channels": channels, "time": time, "last": part.last}
    return found
