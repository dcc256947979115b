"""Many instances in one call of a compiled graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from onnxlin.engines.compiled.compile import compile_section
from onnxlin.engines.compiled.many.runs import runs_beside, threads_of_each
from onnxlin.engines.compiled.many.stacked import Stacked
from onnxlin.engines.compiled.session import Answer, Runner
from onnxlin.engines.job import Columns, Solution, added_up
from onnxlin.engines.seeds import Seeds
from onnxlin.graph import Array
from onnxlin.primitives import Shape
from onnxlin.program import slices
from onnxlin.runtime.providers import DEFAULT, Providers
from onnxlin.runtime.session import SessionOptions

Feeds = Mapping[str, Array]


class InstancesRunner:
    """An open session that takes a number of instances at once.

    Parameters
    ----------
    stacked : Stacked
    mode : {"tangent", "frozen"}
    feeds : {tensor name: array}
        Of one instance.
    shapes : {tensor name: shape}
        The section's inputs and outputs, of one instance.
    options : onnxruntime.SessionOptions, optional
    providers : Providers

    Raises
    ------
    NotStaticError
        The stacked section cannot be compiled.
    """

    def __init__(
        self,
        stacked: Stacked,
        mode: str,
        feeds: Feeds,
        shapes: Mapping[str, Shape],
        options: SessionOptions | None = None,
        *,
        providers: Providers = DEFAULT,
    ) -> None:
        self.count = stacked.count
        self._axes = stacked.axes
        self._inputs = {name: shapes[name] for name in stacked.section.inputs}
        self._outputs = {name: shapes[name] for name in stacked.section.outputs}
        many = self._full(feeds)
        compiled = compile_section(
            stacked.section, mode, many, axes=stacked.axes, steep=providers.on_cpu
        )
        # What rounds on the way has onnxruntime's own number of threads.
        self._runs = 1 if compiled.rounds else runs_beside(options)
        self._runner = Runner(compiled, options, threads_of_each(self._runs), providers)
        self.notes = self._runner.notes
        self.dtype = self._runner.compiled.dtype
        self.n_rows = sum(prod(shape) for shape in self._outputs.values())

    def __call__(self, feeds: Feeds, seeds: Sequence[Seeds], memory: int) -> list[Answer]:
        """Compute rows at up to `count` instances, stacked on axis 0 of the feeds.

        ``seeds`` are one for all of them, or as many rows for each.
        """
        found = self._runner.raw(self._full(feeds), self._spread(seeds), memory)
        W = self._apart(found.W)
        nodes = self._runner.compiled.nodes
        shares = found.shares.astype(np.float64)
        added = added_up(shares) if nodes else shares  # of all instances at once
        answers = []
        for i in range(_count(feeds)):
            bias = Columns(nodes, shares[:, i], added[:, i]) if nodes else Columns(nodes, shares)
            values = {name: value[i : i + 1] for name, value in feeds.items()}
            values |= {name: self._one(name, value, i) for name, value in found.values.items()}
            answers.append(Answer(Solution(W[i], bias), values))
        return answers

    def runs(self, rows: int, memory: int) -> int:
        """How many runs, each for so many rows, to have beside each other in this memory."""
        # What was made last is still looked at.
        return self._runs if (self._runs + 1) * self._runner.least(rows) <= memory else 1

    def _full(self, feeds: Feeds) -> dict[str, Array]:
        """Let the last instance stand in for those that are missing."""
        missing = self.count - _count(feeds)
        if not missing:
            return dict(feeds)
        return {n: np.concatenate([v, *[v[-1:]] * missing]) for n, v in feeds.items()}

    def _spread(self, seeds: Sequence[Seeds]) -> Seeds:
        """Ask every row at all instances, or those of each at each."""
        dtype, count = self._runner.compiled.dtype, len(seeds[0])
        dense = [each.dense(slice(None), dtype) for each in seeds]
        dense += dense[-1:] * (self.count - len(dense))
        parts = []
        for name, at in slices(self._outputs):
            shape = self._outputs[name]
            each = [one[:, at].reshape(count, *shape) for one in dense]
            many = np.concatenate(each, axis=self._axes[name] + 1)
            parts.append(many.reshape(count, prod(shape) * self.count))
        return Seeds(seeds[0].size * self.count, None, np.concatenate(parts, axis=1))

    def _apart(self, W: Array) -> Array:
        """Take the instances' rows apart: ``(K, columns of all) -> (instances, K, columns)``."""
        k, parts, start = len(W), [], 0
        for name, shape in self._inputs.items():
            axis, size = self._axes[name], prod(shape) * self.count
            many = (*shape[:axis], self.count, *shape[axis + 1 :])
            block = W[:, start : start + size].reshape(k, *many)
            # Where instances lie in front this is a view: their rows are not moved.
            parts.append(np.moveaxis(block, axis + 1, 0).reshape(self.count, k, size // self.count))
            start += size
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)

    def _one(self, name: str, value: Array, i: int) -> Array:
        return value[(slice(None),) * self._axes[name] + (slice(i, i + 1),)]


def _count(feeds: Feeds) -> int:
    """Number of instances that are stacked."""
    return len(next(iter(feeds.values())))
