"""Is W enough? Of any number of instances: see `onnxlin.readings.evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Unpack

import numpy as np

from onnxlin.data.chunked import Chunked, Done, part_of
from onnxlin.data.kept import Layout, Variable
from onnxlin.data.kept.samples import REST
from onnxlin.data.over import chunk_of, gone_over, not_failed, opened, ordered, summed
from onnxlin.data.planned import labels_of
from onnxlin.data.source import Source
from onnxlin.data.way import Way, confining
from onnxlin.engines.plan import require_engine
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.load import Model
from onnxlin.readings.data.evaluate import Evaluation, class_indices, evaluated, is_large
from onnxlin.readings.data.overall import Adding, Overall
from onnxlin.section.feeds import instances, numbered_from

WIDE = "float64"


def evaluate(
    model: Model | Linearizer,
    data: Any,
    labels: Any = None,
    *,
    engine: str = "auto",
    **way: Unpack[Way],
) -> Overall:
    """Evaluate a data set a part at a time: what W x alone and b alone would decide.

    In this process it is to the bit what `onnxlin.readings.evaluate` says of the whole. How much
    memory it takes does not depend on the number of instances.

    Parameters
    ----------
    model : Linearizer, or what it takes
    data : path, paths, arrays, a data set, or Source
        See `onnxlin.data.open_source`.
    labels : integers (N,), optional
        By default those that the data has; without any the model's own answer counts as right.
    engine : str
    way : see `Way`

    Raises
    ------
    InputError
        An instance cannot be used, the labels do not fit, or there are fewer than two classes.
    ResidualError
        An instance has a residual past its bound.
    OptionError
    """
    require_engine(engine)
    lin, source, count = opened(model, data, way)
    with confining(lin, way):
        task = _planned(lin.steady(count), source, count, (labels, engine), way)
    adding = Adding(count)
    gone_over(task, way, lambda own, at, arrays: adding.add(own.evaluation(at, arrays)))
    return adding.whole()


def _planned(
    lin: Linearizer, source: Source, count: int, asked: tuple[Any, str], way: Way
) -> _Evaluating:
    """Decide on everything at the first instance."""
    labels, engine = asked
    known = None if labels is None else class_indices(labels, len(source))[:count]
    first = part_of(source, slice(0, 1)).stacks
    large = is_large(lin, instances(first, lin.graph.inputs)[0])
    label = None if known is None else known[:1]
    found = evaluated(lin, first, label, engine, large=large)
    outputs = found.y.shape[1]
    if known is None and source.labels is not None:
        known = labels_of(lin, source, outputs)[:count]
    nodes = (node.name for node in lin.section.nodes)
    parts = (*dict.fromkeys((*found.margins, *nodes)), REST)
    order = ordered(lin, source, count, "evaluation", way, labels=summed(known))
    if way.get("chunk") is None:
        own = {name: first[name] for name in lin.section.inputs if name in first}
        order = replace(order, chunk=chunk_of(own, outputs, 3 * outputs + len(parts), count))
    layout = Layout(outputs, tuple(range(outputs)), (), (), WIDE, parts, engine, not large)
    return _Evaluating(lin, source, replace(order, engine=engine), layout, known)


@dataclass(frozen=True, eq=False)
class _Evaluating(Chunked):
    """What is found of each instance: F(x), W x, b, and the parts of its margin."""

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """See `Chunked`."""
        outputs, parts = (self.layout.outputs,), (len(self.layout.nodes),)
        margins = "share of the margin of the right class; NaN where a part brings nothing in"
        return (
            Variable("y", ("output",), outputs, WIDE, "F(x), the model's own run by onnxruntime"),
            Variable("Wx", ("output",), outputs, WIDE, "W x"),
            Variable("b", ("output",), outputs, WIDE, "what no feature is given"),
            Variable("margins", ("part",), parts, WIDE, margins),
            Variable("residual", (), (), WIDE, "the largest of the instance"),
            Variable("failed", (), (), "uint8", "0"),
        )

    @cached_property
    def floors(self) -> dict[str, float]:
        """The least that rounding is charged with, by engine."""
        return {}

    def __call__(self, at: slice) -> Done:
        """See `Chunked`."""
        part = part_of(self.source, at)
        labels = None if self.labels is None else self.labels[at]
        with numbered_from(at.start):
            found = evaluated(
                self.lin,
                part.stacks,
                labels,
                self.order.engine,
                large=not self.layout.together,
                floors=self.floors,
            )
        arrays = {"y": found.y, "Wx": found.Wx, "b": found.b, "residual": found.residual}
        arrays |= {"margins": self._margins(found), "failed": not_failed(len(part))}
        return Done(arrays, {}, found.y, part.notes)

    def _margins(self, found: Evaluation) -> Array:
        places = {name: i for i, name in enumerate(self.layout.nodes)}
        made = np.full((len(found), len(places)), np.nan)
        for name, values in found.margins.items():
            at = places.get(name, len(places) - 1)
            made[:, at] = values if np.isnan(made[0, at]) else made[:, at] + values
        return made

    def evaluation(self, at: slice, arrays: Mapping[str, Array]) -> Evaluation:
        """Read a chunk as what it says of its instances."""
        table = arrays["margins"]
        margins = {
            name: np.ascontiguousarray(table[:, i])
            for i, name in enumerate(self.layout.nodes)
            if not np.isnan(table[0, i])
        }
        labels = None if self.labels is None else self.labels[at]
        y, Wx, b, residual = (arrays[name] for name in ("y", "Wx", "b", "residual"))
        return Evaluation(y, Wx, b, labels, margins, residual)
