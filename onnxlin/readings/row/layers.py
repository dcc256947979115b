"""Parts of the map: one node, a stretch between two tensors, and which units are live."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap
from onnxlin.affine_map.layer import Layer
from onnxlin.engines.job import Job
from onnxlin.engines.reverse import chunks, sweep
from onnxlin.errors import OptionError, ResidualError, TensorNameError
from onnxlin.graph import Array
from onnxlin.graph.weights import filled
from onnxlin.linearizer import Linearizer
from onnxlin.program import Step
from onnxlin.program.departure import first_departure
from onnxlin.readings.checks import chosen, of_outputs, require_f
from onnxlin.section.feeds import Instance


def layer(m: AffineMap, name: str) -> Layer:
    """Matrix and bias of one node.

    Parameters
    ----------
    m : AffineMap
    name : str
        Of the node, or of the tensor that it makes.

    Returns
    -------
    onnxlin.affine_map.layer.Layer
        ``output = sum of terms[tensor] @ tensor + bias``, scipy.sparse, exact at x.

    Raises
    ------
    OptionError
        There is no such node, or several pieces have this name: then name a tensor.
    DetachedError
    ResidualError
        The node misses its own traced output by more than one node's rounding.
    """
    named = isinstance(name, str)
    found = [each for each in m.layers if named and name in (each.name, each.output)]
    if len(found) != 1:
        made = [each.output for each in found] or [each.name for each in m.layers]
        raise OptionError(
            f"{name!r} names {len(found)} pieces of the map. Give one of {made[:20]}."
        )
    _require_run(m, found[0].step)
    return found[0]


def _require_run(m: AffineMap, step: Step) -> None:
    """Hold a piece, at what the run gave its node, against what the node made of it."""
    origin = m.made_from("layer()")
    # Inside of an opened node errors of the pieces before count, so those are needed too.
    alone = not (step.inner or step.joins)
    steps = (step,) if alone else origin.program.steps
    departure = first_departure(replace(origin.program, steps=steps), origin.values)
    if departure is not None:
        raise ResidualError(f"The piece is not what the run did. {departure}.")


def between(
    lin: Linearizer,
    x: Instance,
    start: str | None = None,
    end: str | None = None,
    *,
    rows: Any = None,
    dtype: npt.DTypeLike | None = None,
) -> AffineMap:
    """Map from one tensor to another, at x: ``end = W start + b``.

    Parameters
    ----------
    lin : Linearizer
        Of the model; its mode, rounding, gates and memory are taken over.
    x : array or {input name: array}
        Of the model's own inputs, wherever the map starts.
    start, end : str, optional
        Tensors, or nodes, which stand for their first output; by default the inputs and the
        outputs of ``lin``.
    rows, dtype : as in the call of a `Linearizer`

    Returns
    -------
    AffineMap
        Exact at x. What reaches ``end`` around ``start`` is held at x and stands in b. For many x
        make ``Linearizer(model, inputs=start, outputs=end)`` once.

    Raises
    ------
    TensorNameError
        There is no such tensor or node, or no path.
    ResidualError
    """
    part = Linearizer(
        filled(lin.graph.model, lin.graph.initialisers),
        inputs=list(lin.section.inputs) if start is None else _tensor(lin, start),
        outputs=list(lin.section.outputs) if end is None else _tensor(lin, end),
        mode=lin.mode,
        rounding=lin.rounding,
        gates=lin.gates,
        memory=lin.memory,
        providers=lin.providers,
    )
    m = part(x, rows, dtype=dtype)
    require_f("W x + b", m, chosen(m, None), m.Wx + m.b)
    return m


def _tensor(lin: Linearizer, name: str) -> str:
    if isinstance(name, str):
        if name in lin.graph.tensors:
            return name
        for node in lin.graph.nodes:
            if node.name == name:
                return node.writes[0]
    raise TensorNameError(
        f"{name!r} is no tensor and no node of the model. Its nodes: "
        f"{[node.name for node in lin.graph.nodes][:20]}."
    )


@dataclass(frozen=True)
class LiveUnits:
    """Units of one node that has kinks: the entries of the tensor that it reads.

    Parameters
    ----------
    node, op_type, tensor : str
        The node, and what it reads.
    units : int
    on : int
        Units that the node hands on with a slope other than 0: ReLU on, winners of a pool.
    live : int
        Those of them that reach a row asked: the rest are cut off by later nodes.
    """

    node: str
    op_type: str
    tensor: str
    units: int
    on: int
    live: int

    @property
    def on_share(self) -> float:
        """``on / units``; 0 where there are none."""
        return self.on / self.units if self.units else 0.0

    @property
    def live_share(self) -> float:
        """``live / units``; 0 where there are none."""
        return self.live / self.units if self.units else 0.0


def live_units(m: AffineMap, rows: Any = None) -> list[LiveUnits]:
    """Count, for every node that has kinks, the units that are on and those that reach the rows.

    Parameters
    ----------
    m : AffineMap
    rows : positions (K,) or combinations (K, rows of m), optional
        A unit is live if it reaches one of them. By default all rows of m.

    Returns
    -------
    list of LiveUnits
        In the order of the graph; a node that reads two tensors has two entries. A unit counts
        as reaching a row if a cotangent arrives there that is not 0; sums that cancel to the last
        bit before the node count as none. Exact at x.

    Raises
    ------
    RowsError, DetachedError
    ResidualError
        The sweep that counts does not give the F(x) of the run.
    """
    origin = m.made_from("live_units()")
    seeds = chosen(m, rows)
    outputs = of_outputs(m, seeds)
    live: dict[tuple[str, int], Array] = {}
    total = np.zeros(len(seeds))
    for part in chunks(Job(origin.program, outputs, origin.job.memory)):
        W = np.zeros((part.stop - part.start, len(m.x)), origin.program.dtype)
        for step, cotangent in sweep(origin.program, outputs, part, W):
            if step.margin is not None:
                for i, (_, op) in enumerate(step.terms):
                    reach = np.any(op.absolute().rmatvec(np.abs(cotangent)), axis=0)
                    before = live.get((step.output, i), np.zeros(op.in_shape, bool))
                    live[step.output, i] = np.logical_or(before, reach)
        total[part] = W.astype(np.float64) @ m.x
    require_f("W x of the sweep, + b,", m, seeds, total + seeds.apply(m.b))
    return [
        _counted(step, i, live.get((step.output, i)))
        for step in origin.program.steps
        if step.margin is not None
        for i in range(len(step.terms))
    ]


def _counted(step: Step, i: int, live: Array | None) -> LiveUnits:
    name, op = step.terms[i]
    on = op.absolute().rmatvec(np.ones((1, *step.shape)))[0] > 0
    return LiveUnits(
        step.node.name,
        step.node.op_type,
        name,
        prod(op.in_shape),
        int(np.count_nonzero(on)),
        0 if live is None else int(np.count_nonzero(live)),
    )
