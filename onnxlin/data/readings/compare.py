"""Did it change any decision? Two models over a data set."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Unpack

import numpy as np

from onnxlin.data.chunked import Chunked, Done, part_of
from onnxlin.data.kept import Layout, Variable
from onnxlin.data.over import chunk_of, gone_over, not_failed, opened, ordered, summed
from onnxlin.data.planned import labels_of
from onnxlin.data.source import Source
from onnxlin.data.way import Way, confining, threads_of
from onnxlin.errors import InputError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.load import Model
from onnxlin.readings.compare.align import Aligned, align, feeds_of_b, paired
from onnxlin.readings.compare.blame import Blaming
from onnxlin.readings.compare.decisions import PINNED, Counting, Decisions, Share
from onnxlin.readings.compare.names import Match
from onnxlin.readings.compare.pinned import pinned
from onnxlin.readings.compare.sides import differing_constants
from onnxlin.readings.data.evaluate import class_indices
from onnxlin.section import STAIRCASE
from onnxlin.section.feeds import instances, numbered_from

WIDE = "float64"


def compare(
    a: Model | Linearizer,
    b: Model | Linearizer,
    data: Any,
    labels: Any = None,
    **way: Unpack[Way],
) -> Decisions:
    """Run two models over a data set: which decisions changed, and which nodes changed them.

    A decision is the largest output. Where it is another one in B, the change of the margin of A's
    class over B's class is shared out over the tensors that both models have (see
    `onnxlin.readings.blame`); those are matched at the first sample.

    Parameters
    ----------
    a, b : Linearizer, or what it takes
        Matched as `onnxlin.readings.compare` matches them.
    data : path, paths, arrays, a data set, or Source
        As A takes it, see `onnxlin.data.open_source`.
    labels : integers (N,), optional
        By default those that the data has.
    way : see `Way`

    Raises
    ------
    InputError
        An instance cannot be used, the models do not fit together, the labels do not fit, or there
        are fewer than two classes.
    OptionError
    """
    lin, source, count = opened(a, data, way)
    with confining(lin, way):
        other = b if isinstance(b, Linearizer) else Linearizer(b)
        if threads_of(lin, way) is not None:
            # Opened with the threads that it is to use; the weights are only read.
            other = deepcopy(other, {id(other.section): other.section})
        task, tensors, notes = _planned(lin, other, source, (count, labels), way)
    counting = Counting(source.names, tensors, task.labels)
    gone_over(task, way, lambda _, at, arrays: counting.add(at, arrays))
    return counting.whole(notes)


def _planned(
    lin: Linearizer, other: Linearizer, source: Source, asked: tuple[int, Any], way: Way
) -> tuple[_Comparing, list[Share], list[str]]:
    """Decide on everything at the first sample; ``asked``: how many samples, and labels."""
    count, labels = asked
    first = part_of(source, slice(0, 1)).stacks
    x = instances(first, lin.graph.inputs)[0]
    together = align(lin, other, x)
    outputs = len(together.order)
    _require_one_decision(lin, x, outputs)
    blaming = Blaming.of(lin, other, together)
    known = None if labels is None else class_indices(labels, len(source))[:count]
    if known is None and source.labels is not None:
        known = labels_of(lin, source, outputs)[:count]
    if known is not None and ((known < 0) | (known >= outputs)).any():
        wrong = int(np.flatnonzero((known < 0) | (known >= outputs))[0])
        raise InputError(
            f"Label {known[wrong]} of sample {wrong} is no output of the model, which has "
            f"{outputs}."
        )
    order = ordered(
        lin, source, count, "comparison", way, labels=summed(known), other=other.digest
    )  # fmt: skip
    tensors = _tensors(blaming)
    if way.get("chunk") is None:
        own = {name: first[name] for name in lin.section.inputs if name in first}
        size = 2 * (outputs + len(tensors))
        order = replace(order, chunk=chunk_of(own, 1, size, count))
    listed = tuple(one.tensor for one in tensors)
    layout = Layout(outputs, None, (), (), WIDE, listed, "reverse", together=False)
    task = _Comparing(
        lin, source, replace(order, engine="reverse"), layout, known,
        other=other, known=(blaming.names, blaming.cuts),
    )  # fmt: skip
    return task, tensors, _notes(lin, other, blaming, together)


def _require_one_decision(lin: Linearizer, x: Any, outputs: int) -> None:
    shapes = {name: value.shape for name, value in lin.run(x).items()}
    if outputs < 2:
        raise InputError("A decision is the largest of several outputs; these models have one.")
    several = [shape for shape in shapes.values() if sum(n > 1 for n in shape) > 1]
    if several or len(shapes) > 1:
        raise InputError(
            f"The outputs {shapes} hold several decisions of one sample, or none. Choose outputs= "
            "(--outputs) that hold one score for each class."
        )


def _tensors(blaming: Blaming) -> list[Share]:
    """Say of every tensor over which changes are shared out who makes it, in A and in B."""
    (a, b), names = blaming.sides, blaming.names
    stops = {name for chain in names.tensors.values() for name in chain}
    found = []
    for name in blaming.tensors:
        chain = names.tensors.get(name, ())
        ours, _ = a.between(name, set(blaming.tensors))
        theirs = b.between(chain[-1], stops - set(chain))[0] if chain else ()
        listed = [tuple(f"{n.op_type} {n.name!r}" for n in part) for part in (ours, theirs)]
        constants = tuple(differing_constants(a, b, ours))
        found.append(Share(name, listed[0], listed[1], constants, 0.0, 0.0, 0.0, 0))
    return found


def _notes(lin: Linearizer, other: Linearizer, blaming: Blaming, together: Aligned) -> list[str]:
    found = [*together.notes]
    for which, model, side in zip("AB", (lin, other), blaming.sides, strict=True):
        if model.rounding == STAIRCASE and side.section.nodes != model.section.nodes:
            found.append(
                f"{which} rounds its numbers (it is quantised): read straight through here, as a "
                "staircase has W = 0 and passes nothing on"
            )
    total = blaming.names.total
    if len(blaming.tensors) < total:
        found.append(
            f"{len(blaming.tensors)} of the {total} tensors of A are known in B as well; what lies "
            "between two of them counts as one"
        )
    return found


@dataclass(frozen=True, eq=False, kw_only=True)
class _Comparing(Chunked):
    """What is found of each sample: both F(x), and where they decide otherwise, what moved them.

    Parameters
    ----------
    other : Linearizer
    known : (Match, tuple of str)
        Tensors of one name, and those at which A is cut, as they are at the first sample.
    """

    other: Linearizer
    known: tuple[Match, tuple[str, ...]]

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """See `Chunked`."""
        outputs, tensors = (self.layout.outputs,), (len(self.layout.nodes),)
        changed = "where the decision changed, else NaN: share of the change of A's class less B's"
        bent = "beyond what A's map passes on: units across a kink"
        return (
            Variable("y", ("output",), outputs, WIDE, "F(x) of A, by onnxruntime"),
            Variable("other", ("output",), outputs, WIDE, "F(x) of B, in the order of A"),
            Variable("introduced", ("tensor",), tensors, WIDE, f"{changed}, by B's nodes"),
            Variable("bent", ("tensor",), tensors, WIDE, f"{changed}, {bent}"),
            Variable("pinned", ("place",), (len(PINNED),), "uint8", ", ".join(PINNED)),
            Variable("residual", (), (), WIDE, "change less its shares, over their sizes"),
            Variable("failed", (), (), "uint8", "0"),
        )

    def __call__(self, at: slice) -> Done:
        """See `Chunked`."""
        part = part_of(self.source, at)
        count = len(part)
        made = {v.name: np.full((count, *v.shape), v.fill, v.dtype) for v in self.variables}
        made |= {"failed": not_failed(count), "residual": np.zeros(count)}
        with numbered_from(at.start):
            for i, x in enumerate(instances(part.stacks, self.lin.graph.inputs)):
                self._one(i, x, made)
        return Done(made, {}, made["y"], part.notes)

    def _one(self, i: int, x: Any, made: Mapping[str, Array]) -> None:
        """Run both models; where they decide otherwise, say why."""
        a, b = self.lin, self.other
        pairs, ends = self._pairs
        try:
            ours = a.feeds(x)
        except InputError as error:
            raise InputError(f"Instance {i}: {error}") from error
        theirs = feeds_of_b(ours, b, pairs)
        made["y"][i] = np.concatenate([v.astype(float).ravel() for v in a.run(ours).values()])
        found = b.run(theirs)
        made["other"][i] = np.concatenate([found[ends[n]].astype(float).ravel() for n in ends])
        if np.isnan(made["y"][i]).any() or np.isnan(made["other"][i]).any():
            raise InputError(f"Instance {i}: the outputs hold NaN, of which none is the largest.")
        p, q = int(made["y"][i].argmax()), int(made["other"][i].argmax())
        if p == q:
            return
        row = np.eye(self.layout.outputs)[p] - np.eye(self.layout.outputs)[q]
        blaming = self._opened(x)
        sides = blaming.at((ours, theirs))
        shares = blaming.shared(sides, row)
        made["introduced"][i], made["bent"][i] = shares.introduced, shares.bent
        made["pinned"][i] = np.concatenate([pinned(side, (p, q)) for side in sides])
        size = float(np.abs(shares.introduced).sum() + np.abs(shares.bent).sum())
        made["residual"][i] = abs(shares.rest) / size if size else abs(shares.rest)

    @cached_property
    def _pairs(self) -> tuple[dict[str, str], dict[str, str]]:
        """Inputs and outputs of A, with those of B."""
        a, b = self.lin, self.other
        fed, _ = paired("inputs", list(a.graph.inputs), list(b.graph.inputs))
        ends, _ = paired("outputs", a.section.outputs, b.section.outputs)
        return fed, ends

    def _opened(self, x: Any) -> Blaming:
        """Both models, opened where and when they are needed first."""
        found = self._kept.get("both")
        if found is None:
            together = align(self.lin, self.other, x)
            found = Blaming.of(self.lin, self.other, together, self.known)
            self._kept["both"] = found
        return found

    @cached_property
    def _kept(self) -> dict[str, Blaming]:
        return {}
