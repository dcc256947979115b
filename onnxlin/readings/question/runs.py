"""A model at many x', several at once where no operator mixes instances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import numpy as np
import onnx

from onnxlin.engines.compiled.many.stacked import Stacked, stacked
from onnxlin.engines.memory import memory_budget
from onnxlin.errors import ModelError, TraceError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.operators.batch_axis import MixedError
from onnxlin.runtime.opened import Session, run, session

Feeds = Mapping[str, Array]
# More at once make no kernel faster; of the memory, and of the caches, a part.
MOST, SHARE, BYTES = 64, 8, 2**28


class Runs:
    """Runs the model, no map: ``(N feeds) -> (N, n_out)``, outputs flattened, float64.

    Parameters
    ----------
    lin : Linearizer
    feeds : {input name: array}
        At one x. Where no operator mixes instances, the graph is rewritten for `at_once` of them,
        whether its batch axis may grow or not.

    Attributes
    ----------
    at_once : int
    why : str
        Why it is 1; else empty.
    """

    def __init__(self, lin: Linearizer, feeds: Feeds) -> None:
        self._lin = lin
        self.at_once, self.why = 1, ""
        self._many: tuple[Stacked, Session] | None = None
        values = lin.trace(feeds)
        self._width = sum(int(np.size(values[name])) for name in lin.section.outputs)
        moving = (v for n, v in values.items() if n in lin.section.varying)
        size = sum(value.nbytes for value in moving if isinstance(value, np.ndarray))
        budget = min(memory_budget(lin.memory) // SHARE, BYTES)
        count = int(np.clip(budget // max(size, 1), 1, MOST))
        if count == 1:
            self.why = f"one instance takes {size:,} bytes of tensors"
            return
        try:
            found = stacked(lin.section, {**feeds, **values}, count)
            self._many = found, _open(found)
            self.at_once = count
        except (MixedError, ModelError) as error:
            self.why = str(error)

    def __call__(self, instances: Iterable[Feeds]) -> Array:
        """Run every instance, in order."""
        rows = [batch for fed in _batches(instances, self.at_once) for batch in self._batch(fed)]
        return np.array(rows).reshape(len(rows), self._width)

    def _batch(self, fed: list[Feeds]) -> list[Array]:
        if self._many is None or len(fed) == 1:
            return [self._alone(each) for each in fed]
        found, opened = self._many
        # The last one stands in for those that are missing.
        full = [*fed, *[fed[-1]] * (found.count - len(fed))]
        together = {name: np.concatenate([each[name] for each in full]) for name in fed[0]}
        outputs = list(found.section.outputs)
        try:
            values = run(opened, outputs, together)
        except TraceError:
            return [self._alone(each) for each in fed]
        parts = [np.moveaxis(values[n], found.axes[n], 0).reshape(len(full), -1) for n in outputs]
        return list(np.concatenate(parts, axis=1).astype(np.float64)[: len(fed)])

    def _alone(self, fed: Feeds) -> Array:
        values = self._lin.run(fed).values()
        return np.concatenate([np.ravel(value).astype(np.float64) for value in values])


def _open(found: Stacked) -> Session:
    graph = found.section.graph
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in found.section.outputs)
    return session(model, graph.initialisers)


def _batches(instances: Iterable[Feeds], count: int) -> Iterator[list[Feeds]]:
    left = iter(instances)
    while batch := list(islice(left, count)):
        yield batch
