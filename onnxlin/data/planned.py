"""What a run is to do, decided once: the first sample that can be used tells of all others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
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
from onnxlin.data.source import Source
from onnxlin.data.task import Task
from onnxlin.engines.job import Columns
from onnxlin.engines.memory import memory_budget
from onnxlin.errors import InputError, OnnxlinError, OptionError, RowsError
from onnxlin.graph import Array
from onnxlin.graph.picture import guess_geometry
from onnxlin.linearizer import Linearizer
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
# Of the memory that is given a chunk's arrays take one part in so many; the rest is for its maps.
PART = 8
# Bytes from which on a little net's samples go together as they would with more: tensors of all
# that do are held to a sixteenth of that (`onnxlin.linearizer.many`).
PLENTY = 2**30
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
    if lin.means["session_options"] is not None:
        own["session_options"] = lin.means["session_options"]
    order = Order(
        lin.digest, source.digest, count, tuple(dict.fromkeys(what)), asked, 1, dtype, engine,
        tuple(sorted(own.items())),
    )  # fmt: skip
    m, y = _first(lin, source, order)
    layout = _layout(lin, m, order, len(y))
    labels = labels_of(lin, source, len(y)) if asked == LABELS else None
    given = order.options + _shows(lin, layout)
    chunk = chunk or _chunk(layout, order, lin.memory)
    order = _with(order, engine=layout.engine, chunk=chunk, options=given)
    task = Task(lin, source, order, layout, labels)
    if "region" in what:
        region.of_map(m, layout, options)
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


def _first(lin: Linearizer, source: Source, order: Order) -> tuple[AffineMap, Array]:
    """Find a sample that has a map: the map, and F(x)."""
    why: OnnxlinError | None = None
    for x in islice(_samples(lin, source), min(TRIED, order.count)):
        try:
            ends = lin.run(x)
            y = np.concatenate([np.ravel(value).astype(np.float64) for value in ends.values()])
            return _map(lin, x, order, _rows(order, y)), y
        except RowsError:
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
    m = lin(x, rows, order.engine, dtype)
    m.W  # noqa: B018  # the engine may turn out to have no room
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


def _chunk(layout: Layout, order: Order, memory: int | str | None) -> int:
    columns, item = prod(layout.shape), np.dtype(layout.kind).itemsize
    each = 8 * (layout.outputs + len(layout.nodes) * layout.count)
    each += columns * layout.count * item
    most = MOST
    if memory is not None:
        # x as it is read and in float64; of rows what is stored and, once more, what is kept.
        held = 2 * each + columns * (8 + 2 * item)
        most = min(most, memory_budget(memory) // (PART * held))
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
