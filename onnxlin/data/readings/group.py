"""How many maps a data set needs, and which: see `onnxlin.readings.group`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from onnxlin.data.chunked import Chunked, Done, part_of
from onnxlin.data.kept import Layout, Variable
from onnxlin.data.over import chunk_of, gone_over, not_failed, opened, ordered, summed
from onnxlin.data.planned import numbered
from onnxlin.data.source import Source
from onnxlin.data.way import Way, confining
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.load import Model
from onnxlin.readings.data.grouping import Seen, Sighting, require_regions, require_rows
from onnxlin.readings.data.groups import Groups
from onnxlin.readings.data.scores import read_labels
from onnxlin.section.feeds import numbered_from

WIDE = "float64"


def group(
    model: Model | Linearizer,
    data: Any,
    labels: Any = None,
    *,
    rows: Any = None,
    engine: str = "reverse",
    dtype: npt.DTypeLike | None = None,
    **way: Unpack[Way],
) -> Groups:
    """Group a data set by the pattern of the model at each sample, a part of it at a time.

    To the bit what `onnxlin.readings.group` says of the whole. The samples themselves, as the model
    sees them, are part of the answer and in memory at once; their maps are not.

    Parameters
    ----------
    model : Linearizer, or what it takes
    data : path, paths, arrays, a data set, or Source
        See `onnxlin.data.open_source`.
    labels : integers (N,), optional
        Classes, from 0; by default those that the data has.
    rows, engine, dtype
        As for `onnxlin.readings.group`.
    way : see `Way`

    Raises
    ------
    OptionError, InputError, ResidualError
    """
    lin, source, count = opened(model, data, way)
    labels = source.labels if labels is None else labels
    with confining(lin, way):
        task = _planned(lin.steady(count), source, count, (rows, engine, dtype), way)
    outputs = task.layout.outputs
    if labels is not None:
        labels = read_labels(numbered(labels, lin), len(source), outputs)[:count]
    seen = Seen()
    gone_over(task, way, lambda own, at, arrays: own.see(arrays, seen))
    return seen.groups(labels)


def _planned(
    lin: Linearizer, source: Source, count: int, asked: tuple[Any, str, Any], way: Way
) -> _Grouping:
    """Decide on everything at the first sample."""
    rows, engine, dtype = asked
    kind = None if dtype is None else np.dtype(dtype).name
    first = part_of(source, slice(0, 1)).stacks
    m = next(iter(lin.map(first, rows, engine, dtype)))
    require_regions(m)
    k, columns = m.W.shape
    order = ordered(
        lin, source, count, "regions", way,
        asked=summed(None if rows is None else np.asarray(rows)), dtype=kind,
    )  # fmt: skip
    if way.get("chunk") is None:
        chunk = chunk_of(dict(first), k, (k + 1) * columns + 3 * k, count)
        order = replace(order, chunk=chunk)
    order = replace(order, engine=engine, dtype=kind)
    layout = Layout(k, None, (), (columns,), str(m.W.dtype), (), engine, together=False)
    return _Grouping(lin, source, order, layout, None, rows)


@dataclass(frozen=True, eq=False)
class _Grouping(Chunked):
    """What is found of each sample: its pattern, x, F(x), and the map where it is a new one.

    Parameters
    ----------
    rows : indices, combinations or None
    """

    rows: Any = None

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """See `Chunked`."""
        k, columns = self.layout.outputs, self.layout.shape[0]
        own = "where the pattern is the first of its kind in its chunk; else NaN"
        return (
            Variable("key", ("byte",), (32,), "uint8", "name of the pattern"),
            Variable("x", ("feature",), (columns,), WIDE, "as the model saw it"),
            Variable("y", ("output",), (k,), WIDE, "F(x), of the rows asked for"),
            Variable("allowed", ("output",), (k,), WIDE, "what rounding may do to W x + b"),
            Variable("W", ("output", "feature"), (k, columns), self.layout.kind, f"W, {own}"),
            Variable("b", ("output",), (k,), WIDE, f"b, {own}"),
            Variable("residual", ("output",), (k,), WIDE, "|F(x) - (W x + b)|, relative"),
            Variable("failed", (), (), "uint8", "0"),
        )

    def __call__(self, at: slice) -> Done:
        """See `Chunked`."""
        part = part_of(self.source, at)
        count = len(part)
        made = {v.name: np.full((count, *v.shape), v.fill, v.dtype) for v in self.variables}
        made["failed"] = not_failed(count)
        known = set[str]()
        with numbered_from(at.start):
            maps = self.lin.map(part.stacks, self.rows, self.order.engine, self.order.dtype)
            for i, m in enumerate(maps):
                require_rows(at.start + i, len(m.y), self.layout.outputs)
                key = m.pattern_key
                made["key"][i] = np.frombuffer(bytes.fromhex(key), np.uint8)
                if key not in known:
                    require_regions(m)
                    known.add(key)
                    made["W"][i], made["b"][i] = m.W, m.b
                made["x"][i], made["y"][i], made["residual"][i] = m.x, m.y, m.residual
                made["allowed"][i] = m.bound * m.scale
        return Done(made, {}, made["y"], part.notes)

    def see(self, arrays: Mapping[str, Array], seen: Seen) -> None:
        """Add the samples of a chunk to those that have been seen."""
        for i in range(len(arrays["key"])):
            key = arrays["key"][i].tobytes().hex()
            own = Sighting(*(arrays[name][i].copy() for name in ("x", "y", "allowed")))
            seen.add(key, own, partial(_solution, arrays, i))


def _solution(arrays: Mapping[str, Array], i: int) -> tuple[Array, Array]:
    return arrays["W"][i].copy(), arrays["b"][i].copy()
