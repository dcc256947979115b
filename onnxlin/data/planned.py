"""What a run is to do, decided once: the first sample that can be used tells of all others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.data.kept import Layout, audit, region
from onnxlin.data.kept.samples import REST
from onnxlin.data.order import ALL, LABELS, PREDICTED, WHAT, Order
from onnxlin.data.room import Room, arrays_of, shared_out, within
from onnxlin.data.source import Source
from onnxlin.data.task import Task
from onnxlin.engines.job import Columns
from onnxlin.engines.memory import WORTH_IT, hand_back, memory_budget
from onnxlin.errors import InputError, MemoryBudgetError, OnnxlinError, OptionError, RowsError
from onnxlin.graph import Array
from onnxlin.graph.picture import guess_geometry
from onnxlin.linearizer import Linearizer
from onnxlin.readings.data.floor import least_charge
from onnxlin.runtime.session import VERSION
from onnxlin.section.options import one_of
from onnxlin.version import __version__

# First samples that are tried; where none of them has a map, nothing has been asked rightly.
TRIED = 16
# Multiplications of the rows of one sample up to which many samples are computed at once: there
# calls take longer than products do.
LITTLE = 2**22
# Bytes of one chunk, and most samples of it: a task is to take about a second, and to be written
# in few parts.
BYTES, MOST = 2**23, 1024
# Bytes from which on a little net's samples go together as they would with more: tensors of all
# that do are held to a sixteenth of that (`onnxlin.linearizer.many`).
PLENTY = 2**31
DTYPES = ("float16", "float32", "float64")


def planned(
    lin: Linearizer,
    source: Source,
    *,
    what: Sequence[str],
    rows: Any,
    chunk: int | None,
    dtype: str | None,
    limit: int | None,
    engine: str,
    options: dict[str, Any],
) -> Task:
    """Decide what a run does to each chunk; the arguments are those of `onnxlin.data.run`.

    Raises
    ------
    OptionError, RowsError
    InputError
        None of the first samples can be used.
    """
    for name in what:
        one_of("what", name, list(WHAT))
    if dtype is not None:
        one_of("dtype", dtype, list(DTYPES))
    count = len(source) if limit is None else min(limit, len(source))
    asked = rows if isinstance(rows, str) else tuple(int(row) for row in np.atleast_1d(rows))
    if isinstance(asked, str):
        one_of("rows", asked, [PREDICTED, LABELS, ALL])
    own = {"onnxlin": __version__, "onnxruntime": VERSION, **options}
    if "audit" in what:
        own |= _audited(options, asked, count)
    for name in ("session_options", "providers"):
        if lin.means.get(name) is not None:
            own[name] = lin.means[name]
    order = Order(
        lin.digest, source.digest, count, tuple(dict.fromkeys(what)), asked, 1, dtype, engine,
        tuple(sorted(own.items())),
    )  # fmt: skip
    outer = lin
    lin, room, m, y = _first(lin, source, order, chunk)
    layout = _layout(lin, m, order, len(y))
    labels = labels_of(lin, source, len(y)) if asked == LABELS else None
    given = order.options + _shows(outer, layout)
    chunk = chunk or _chunk(layout, order, room)
    order = _with(order, engine=layout.engine, chunk=chunk, options=given)
    if "region" in what:
        region.require(m, options)
    tight = room is not None and room.tight(lin)
    task = Task(lin, source, order, layout, labels, {m.engine: least_charge(m)}, tight)
    del m  # which holds its program, while chunks may be done in this process
    hand_back(WORTH_IT)
    return task


def _shows(lin: Linearizer, layout: Layout) -> tuple[tuple[str, Any], ...]:
    """Name the memory that was given, where results may show it: rows that go in parts."""
    alone = layout.count == 1 and layout.engine in ("compiled", "reverse", "forward")
    many = layout.together and lin.memory is not None and memory_budget(lin.memory) >= PLENTY
    if lin.memory is None or many or (alone and not layout.together):
        return ()
    return (("memory", str(lin.memory)),)


def _with(it: Any, **changed: Any) -> Any:
    return type(it)(**{**vars(it), **changed})


def _audited(options: dict[str, Any], rows: Any, count: int) -> dict[str, Any]:
    """Name the maps to audit by their contents."""
    path = options.get("maps")
    if path is None:
        raise OptionError("what has 'audit': give maps=, an .npy with a map for each sample.")
    if rows not in (PREDICTED, LABELS) and (rows == ALL or len(rows) > 1):
        raise OptionError(
            f"what has 'audit': a map explains one output; rows={rows!r} has several."
        )
    audit.maps_of(path, count)
    found = sha256()
    with Path(path).open("rb") as stream:
        while part := stream.read(2**20):
            found.update(part)
    return {"maps": str(path), "maps_sha256": found.hexdigest()}


def _first(
    lin: Linearizer, source: Source, order: Order, chunk: int | None
) -> tuple[Linearizer, Room | None, AffineMap, Array]:
    """Find a sample that has a map: what makes it within its budget, the map, and F(x)."""
    several = None if order.rows == ALL else [0] if isinstance(order.rows, str) else order.rows
    kind = _computed(order) or "float32"
    why: OnnxlinError | None = None
    for x in islice(_samples(lin, source), min(TRIED, order.count)):
        try:
            room = shared_out(lin, lin.feeds(x), several, kind, chunk)
            ends = lin.run(x)
            y = np.concatenate([np.ravel(value).astype(np.float64) for value in ends.values()])
            make = partial(_map, x=x, order=order, rows=_rows(order, y))
            if room is None:
                return lin, None, make(lin), y
            beside = region.bytes_of if "region" in order.what else lambda _: 0
            return *within(lin, room, make, beside), y
        except (RowsError, MemoryBudgetError):
            raise
        except OnnxlinError as error:
            why = why or error
    if why is None:
        raise InputError(f"None of the first {TRIED} samples can be read; see the data itself.")
    raise why


def _samples(lin: Linearizer, source: Source) -> Iterator[dict[str, Array]]:
    kinds = lin.graph.inputs
    for i in range(len(source)):
        part = source[i : i + 1]
        if part.errors:
            continue
        feeds = {name: stack[0] for name, stack in part.stacks.items()}
        for name, value in feeds.items():
            shape = kinds[name].shape if name in kinds else None
            if shape is not None and np.ndim(value) + 1 == len(shape):
                feeds[name] = value[None]
        yield feeds


def _computed(order: Order) -> str | None:
    return None if order.dtype in (None, "float16") else order.dtype


def _rows(order: Order, y: Array) -> Any:
    if order.rows == ALL:
        return None
    return [int(y.argmax())] if isinstance(order.rows, str) else np.array(order.rows, np.int64)


def _layout(lin: Linearizer, m: AffineMap, order: Order, outputs: int) -> Layout:
    """Say what all maps have in common, and whether many samples are computed at once."""
    engine = m.engine if order.engine == "auto" else order.engine
    work = m.made_from("a run over a data set").program.nnz * len(m.rows)
    together = engine == "compiled" and work <= LITTLE
    numbers = None if order.rows in (PREDICTED, LABELS) else m.rows.index
    rows = None if numbers is None else tuple(int(i) for i in numbers)
    dims, shape = _features(m)
    return Layout(outputs, rows, dims, shape, str(m.W.dtype), _nodes(lin, m), engine, together)


def _map(lin: Linearizer, x: dict[str, Array], order: Order, rows: Any) -> AffineMap:
    """Linearise by the engine that all samples are to have: a compiled graph, if there is one."""
    dtype = _computed(order)
    try:
        m = lin(x, rows, order.engine, dtype)
        m.W  # noqa: B018  # the engine may turn out to have no room
    except MemoryBudgetError:
        if order.engine != "auto":
            raise
        return lin(x, rows, "compiled", dtype)
    if order.engine != "auto" or m.engine not in ("reverse", "compiled"):
        return m
    del m  # what it is made from would stand beside the graph
    try:
        return lin(x, rows, "compiled", dtype)
    except OnnxlinError:
        return lin(x, rows, order.engine, dtype)


def _features(m: AffineMap) -> tuple[tuple[str, ...], tuple[int, ...]]:
    shapes = list(m.shapes[0].values())
    seen = guess_geometry(shapes[0]) if len(shapes) == 1 else None
    if seen is None:
        return ("feature",), (len(m.x),)
    if seen.layout == "nhwc":
        return ("row", "column", "channel"), (seen.height, seen.width, seen.channels)
    return ("channel", "row", "column"), (seen.channels, seen.height, seen.width)


def _nodes(lin: Linearizer, m: AffineMap) -> tuple[str, ...]:
    """Nodes that may bring in a bias at some sample, in a fixed order."""
    bias = m.bias_by_node
    if m.engine == "compiled" and isinstance(bias, Columns):
        found = bias.names
    else:
        found = tuple(dict.fromkeys((*bias, *(node.name for node in lin.section.nodes))))
    return (*found, REST)


def _chunk(layout: Layout, order: Order, room: Room | None) -> int:
    columns, item = prod(layout.shape), np.dtype(layout.kind).itemsize
    each, held = arrays_of(columns, layout.count, layout.outputs, len(layout.nodes), item)
    most = MOST if room is None else min(MOST, room.arrays // held)
    found = min(max(BYTES // each, 1), max(most, 1), order.count)
    return found if found < 64 else found // 64 * 64  # as many as a graph takes at once


def labels_of(lin: Linearizer, source: Source, outputs: int) -> Array:
    """Read labels as numbers of outputs: as they are, or by the class names of the model.

    Raises
    ------
    OptionError, InputError
    """
    labels = source.labels
    if labels is None:
        raise OptionError('rows="labels", and the data has none. Give labels=.')
    found = numbered(labels, lin)
    if found.dtype.kind not in "iu":
        raise InputError(f"The labels are {found.dtype}; expected numbers of outputs, or text.")
    wrong = np.flatnonzero((found < 0) | (found >= outputs))
    if wrong.size:
        at = int(wrong[0])
        raise InputError(
            f"Label {found[at]} of sample {at} is no output of the model, which has {outputs}."
        )
    return found.astype(np.int64)


def numbered(labels: Array, lin: Linearizer) -> Array:
    """Read labels as numbers: as they are, or text by the class names of the model.

    Raises
    ------
    InputError
    """
    found = np.asarray(labels)
    return _numbered([str(text) for text in found], lin) if found.dtype.kind in "UO" else found


def _numbered(texts: list[str], lin: Linearizer) -> Array:
    known = {entry.key: entry.value for entry in lin.graph.model.metadata_props}
    try:
        classes = [str(name).lower() for name in json.loads(known.get("classes", "[]"))]
    except (json.JSONDecodeError, TypeError):
        classes = []
    places = {name: i for i, name in enumerate(classes)}
    found = [int(t) if t.isdecimal() else places.get(t.lower(), -1) for t in texts]
    if -1 in found:
        text = texts[found.index(-1)]
        raise InputError(
            f"Label {text!r} is no number and no class of the model, whose metadata names "
            f"{', '.join(classes[:20]) or 'none'}. Give labels= as numbers of outputs."
        )
    return np.array(found, np.int64)
