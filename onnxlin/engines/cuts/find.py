"""Where to cut a program in two: at tensors that all paths pass, with few live entries.

W = (dF/dt)(dt/dx): of the part before t, which is most of the work, a sweep is needed for each live
entry of t, not for each row asked. The part after it costs what it has cost, or less: where t has
fewer entries than rows are asked for, its columns are swept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from onnxlin.engines.cuts.between import Between, live_tensors
from onnxlin.engines.seeds import Seeds
from onnxlin.primitives import Array, Select, Shape
from onnxlin.program import LinearProgram, Step, slices

# What a multiplication of a plain product of matrices takes, of one in a sweep.
PRODUCT = 0.35


@dataclass(frozen=True, eq=False)
class Cut:
    """A program in two: ``lower`` ends with the tensors of the cut, ``upper`` begins with them.

    Parameters
    ----------
    lower : LinearProgram
    upper : LinearProgram
        Its inputs are the live entries alone.
    live : int array (L,)
        Which of the outputs of ``lower`` those are, in order.
    share : float
        Part of the multiplications of ``lower`` that live entries take, as far as their number on
        either side of each map tells.
    """

    lower: LinearProgram
    upper: LinearProgram
    live: Array
    share: float

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tensors."""
        return tuple(self.lower.outputs)

    @cached_property
    def seeds(self) -> Seeds:
        """The rows of ``lower`` that are needed."""
        return Seeds(self.lower.rows, self.live, None)

    def cost(self, rows: int) -> float:
        """Multiplications that so many rows take."""
        joined = PRODUCT * rows * len(self.live) * self.lower.columns
        return cost_of(self.lower, len(self.live)) + cost_of(self.upper, rows) + joined


def cost_of(program: LinearProgram, rows: int) -> float:
    """Multiplications of the sweeps for so many rows, of rows or of columns if those are fewer."""
    return _sweeps(program, rows, program.columns) * float(program.nnz)


def _sweeps(program: LinearProgram, rows: int, columns: int) -> int:
    if rows <= columns:
        return rows
    # `onnxlin.engines.forward` has a column for each share of b, too.
    return columns + len({step.node.name for step in program.steps if step.bias is not None})


def narrowest(program: LinearProgram, seeds: Seeds) -> Cut | None:
    """Find the cut that makes the rows asked cheapest, if it is cheaper than no cut or not.

    Returns
    -------
    Cut or None
        None where no row sees an input, or everything is one step.
    """
    marks = live_tensors(program, seeds)
    between = Between(program, marks)
    rows, found = len(seeds), list[Cut]()
    one = _cheapest(between, rows)
    several = between.together(rows) if one is None or between.size[one] > 1 else ()
    for names in {(one,) if one else (), several}:
        if set(names) - set(program.inputs):
            found.append(split(program, names, marks))
    return min(found, key=lambda cut: cut.cost(rows), default=None)


def _cheapest(between: Between, rows: int) -> str | None:
    """The single tensor at which a cut is cheapest; None if there is none."""
    program, costs = between.program, dict[str, float]()
    for name in between.single():
        if name not in program.inputs:
            live, below = between.size[name], float(between.nnz[between.place[name]])
            above = float(between.nnz[-1]) - below
            costs[name] = _sweeps(program, live, program.columns) * below
            costs[name] += _sweeps(program, rows, live) * above
            costs[name] += PRODUCT * rows * live * program.columns
    return min(costs, key=lambda name: costs[name], default=None)


def split(program: LinearProgram, names: Collection[str], marks: Mapping[str, Array]) -> Cut:
    """Cut a program at tensors that all its live paths pass.

    Parameters
    ----------
    marks : {tensor: bool array of its shape}
        See `onnxlin.engines.cuts.between.live_tensors`.
    """
    shapes = {**program.inputs, **{step.output: step.shape for step in program.steps}}
    ends = {name: shapes[name] for name in marks if name in names}
    lower = replace(
        program,
        outputs=ends,
        steps=_behind(program, set(ends), set(), marks),
        constants={},
        decisions=(),
    )
    begins, first = dict[str, Shape](), list[Step]()
    for name, shape in ends.items():
        if marks[name].all():
            begins[name] = shape
        else:
            step = _spread(program, name, marks[name], {*shapes, *begins})
            begins[step.terms[0][0]] = step.terms[0][1].in_shape
            first.append(step)
    rest = _behind(program, set(program.outputs) - set(ends), set(ends), marks)
    upper = replace(program, inputs=begins, steps=(*first, *rest), decisions=())
    live = [at.start + np.flatnonzero(marks[name]) for name, at in slices(ends)]
    return Cut(lower, upper, np.concatenate(live), _share(lower, marks))


def _share(program: LinearProgram, marks: Mapping[str, Array]) -> float:
    """Part of the multiplications between live entries."""
    share = {name: float(mark.mean()) for name, mark in marks.items()}
    live = sum(
        op.nnz * share[name] * share[step.output]
        for step in program.steps
        for name, op in step.terms
    )
    return live / max(program.nnz, 1)


def _behind(
    program: LinearProgram, wanted: set[str], stop: set[str], marks: Mapping[str, Array]
) -> tuple[Step, ...]:
    """Steps that make some tensors, without those that make where to stop; live ones alone."""

    def found() -> Iterator[Step]:
        for step in reversed(program.steps):
            if step.output in wanted and step.output in marks and step.output not in stop:
                terms = tuple((name, op) for name, op in step.terms if name in marks)
                wanted.update(name for name, _ in terms)
                yield step if len(terms) == len(step.terms) else replace(step, terms=terms)

    return tuple(reversed(list(found())))


def _spread(program: LinearProgram, name: str, mark: Array, taken: Collection[str]) -> Step:
    """Make a tensor of its live entries, which are a tensor of their own."""
    index = np.full(prod(mark.shape), -1)
    live = np.flatnonzero(mark)
    index[live] = np.arange(len(live))
    own = f"{name}/live"
    while own in taken:
        own += "/"
    op = Select.of((len(live),), index.reshape(mark.shape), distinct=True)
    return Step(
        node=program.steps[0].node,
        output=name,
        shape=mark.shape,
        status="exact",
        terms=((own, op),),
        bias=None,
        bias_size=None,
        margin=None,
        roundings=0,
        varies=False,
    )
