"""How far rounding alone may carry W x + b from what onnxruntime computed (docs/exactness.md).

Each node computes ``fl(A z + b) = A z + b + d`` with ``|d| <= gamma(k) (|A| |z| + |b|)``, where k
counts the roundings and ``gamma(k) = k u / (1 - k u)`` (Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., section 3.1: any order of summation). Under one activation pattern everything
after the node is affine, so the outputs are off by exactly ``sum over nodes of G d``, with G the
map from that node to the outputs: the cotangents of the adjoint sweep.

That is the worst case. What is likely is far less: roundings that are independent of each other, of
mean 0, add up like the steps of a random walk, ``sqrt(k) u`` in place of ``k u`` (Higham and Mary,
A new approach to probabilistic rounding error analysis, SIAM J. Sci. Comput. 41, 2019). `gamma` is
the rate of the one, `spread` of the other; whoever asks for charges says which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from onnxlin.primitives import Array, Diagonal
from onnxlin.program.linear_program import LinearProgram, Step
from onnxlin.program.rates import Rate, gamma, smallest, spread, times, unit_roundoff
from onnxlin.program.sizes import absolute_value, sizes
from onnxlin.program.sweep import absolute, applied, finite, reach
from onnxlin.runtime.narrow import computes_wide

# Stands for an infinite error that is carried on.
HUGE = 1e100


def charges(
    program: LinearProgram, values: Mapping[str, Array], *, native: bool
) -> dict[str, Array]:
    """Largest rounding error that each step may commit on its own.

    Parameters
    ----------
    program : LinearProgram
    values : {tensor name: array}
        The run's tensors.
    native : bool
        True counts the runtime's roundings and those of composing W and b; False only the latter.

    Returns
    -------
    {output name of the step: array of its shape, float64}
    """
    if native:
        return charges_of_both(program, values)[0]
    return {
        step.output: times(_composing(program, readers, step, gamma), sizes(step, values))
        for readers in [_readers(program)]
        for step in program.steps
    }


def charges_of_both(
    program: LinearProgram, values: Mapping[str, Array], rate: Rate = gamma, *, anew: bool = True
) -> tuple[dict[str, Array], dict[str, Array]]:
    """`charges` with the runtime's roundings, and of composing alone, at the cost of the first.

    Parameters
    ----------
    rate : `gamma` or `spread`
        The largest error of each entry, or its standard deviation.
    anew : bool
        Whether the map is of coefficients that kernels of another kind have made, as those of a
        compiled graph are; else they are those of the program.
    """
    charge, whole, composed = Charges(program, values, rate, anew), {}, {}
    for step in program.steps:
        whole[step.output], composed[step.output] = charge(step)
    return whole, composed


@dataclass(frozen=True, eq=False)
class Charges:
    """`charges_of_both` of one step at a time, in any order: nobody need hold those of all at once.

    Parameters
    ----------
    program, values, rate, anew
        See `charges_of_both`.
    """

    program: LinearProgram
    values: Mapping[str, Array]
    rate: Rate = gamma
    anew: bool = True

    def __call__(self, step: Step) -> tuple[Array, Array]:
        """With the runtime's roundings, and of composing alone: arrays of the step's shape."""
        own = _ran(as_run(step), self.values, self.rate, self._inside)
        size = own.size if own.piece is step else sizes(step, self.values)
        size = size if self.anew else _formed(step, self.values, size)
        composed = times(_composing(self.program, self._readers, step, self.rate), size)
        # The sum is put where the error was, which is nobody else's.
        whole = np.add(own.error, composed, out=own.error)
        if own.piece is not step:
            whole += curvature(step, own.piece, self.values)
        return whole, composed

    @cached_property
    def _readers(self) -> Mapping[str, int]:
        return _readers(self.program)

    @cached_property
    def _inside(self) -> dict[str, Array]:
        """Errors of all that bodies compute, which go forward."""
        found: dict[str, Array] = {}
        for piece in map(as_run, (step for step in self.program.steps if step.inner)):
            _ran(piece, self.values, self.rate, found)
        return found


@dataclass(frozen=True, eq=False)
class ChargesOfStack:
    """`charges` of composing alone at several points at once, one step at a time.

    Parameters
    ----------
    program : LinearProgram
        Without biases. Its coefficients are counted, whichever program's step is asked about.
    stacks : {tensor: array (k, *its shape)}
        The tensors at each of k points.
    """

    program: LinearProgram
    stacks: Mapping[str, Array]

    def __call__(self, step: Step) -> list[Array]:
        """Arrays of the step's shape, one for each point."""
        step, k = self._steps[step.output], len(self.stacks[step.output])
        with np.errstate(over="ignore", invalid="ignore"):
            size = applied(absolute(step.terms), self.stacks, read=absolute_value)
        size = np.broadcast_to(size, (k, *step.shape))
        return list(times(_composing(self.program, self._readers, step, gamma), size))

    @cached_property
    def _steps(self) -> Mapping[str, Step]:
        return {step.output: step for step in self.program.steps}

    @cached_property
    def _readers(self) -> Mapping[str, int]:
        return _readers(self.program)


def _formed(step: Step, values: Mapping[str, Array], size: Array) -> Array:
    """`sizes` of a step as composing rounds it: a curve's kernel may err by more than its value."""
    entrywise = all(isinstance(op, Diagonal) for _, op in step.terms)
    if not (entrywise and step.status in ("tangent", "frozen") and step.bias_size is not None):
        return size
    # The value is the bias and the linear part, and the bias was formed of the value and that.
    linear = reach(step.terms, values, step.shape, read=absolute_value)
    bias = 0.0 if step.bias is None else np.abs(finite(step.bias))
    found: Array = np.minimum(size, 3 * linear + bias)
    return found


def _composing(program: LinearProgram, readers: Mapping[str, int], step: Step, rate: Rate) -> float:
    """Relative error that composing is charged with at a step."""
    # Coefficients are rounded, rows are combined by the adjoint, columns by the map itself.
    into = max((op.fan_in for _, op in step.terms), default=1)
    out = max((op.fan_out for _, op in step.terms), default=1)
    beside, unit = 2 * step.roundings + readers.get(step.output, 0), unit_roundoff(program.dtype)
    if rate is gamma:
        return gamma(2 * max(into, out) + beside, unit)
    # What is rounded are the entries of a cotangent, and what stands here are those of the step's
    # output: k products are at most sqrt(k) times the root of the sum of their squares.
    return spread(out, unit) * float(np.sqrt(out)) + spread(into, unit) + beside * unit


def as_run(step: Step) -> Step:
    """Return the piece at the tensors that the runtime had."""
    if step.twin is None:
        return step
    return replace(step.twin(), inner=step.inner, joins=step.joins)


def curvature(step: Step, ran: Step, values: Mapping[str, Array]) -> Array | float:
    """How far the piece is from that at the runtime's tensors, at these: computed, not bounded."""
    if step is ran:
        return 0.0
    wide = {name: values[name].astype(np.float64) for name, _ in step.terms}
    return np.abs(finite(step(wide)) - finite(ran(wide)))


@dataclass(frozen=True, eq=False)
class Ran:
    """A step as the runtime ran it.

    Parameters
    ----------
    piece : Step
        At the tensors that the runtime had.
    size : array of the step's shape
        `sizes` of it.
    error : array of the step's shape
        How far the run's output may be off what the piece makes of the run's tensors.
    """

    piece: Step
    size: Array
    error: Array


def runs(steps: Iterable[Step], values: Mapping[str, Array], rate: Rate = gamma) -> Iterator[Ran]:
    """Every step of a program as the runtime ran it, in order.

    Each errs by itself, `local_error`. Results of bodies are off besides, by as much as they may be
    from what the nodes themselves computed: inside a body errors are carried forward by ``|A|``.
    The runtime's own arithmetic for the whole node is taken to err no more than the body's, so
    where the two meet, twice as much is allowed.
    """
    inside: dict[str, Array] = {}
    for step in steps:
        yield _ran(as_run(step), values, rate, inside)


def _ran(piece: Step, values: Mapping[str, Array], rate: Rate, inside: dict[str, Array]) -> Ran:
    """One of them; ``inside`` are the errors of bodies so far, to which its own are added."""
    size = sizes(piece, values)
    error = local_error(piece, values, size, rate)
    if piece.inner or piece.joins:
        known = [term for term in (*piece.terms, *piece.held) if term[0] in inside]
        carried = (2 if piece.joins else 1) * reach(known, inside, piece.shape)
        if piece.inner:
            # Where a body inside of a body ends, its error goes on in the outer one. Where gamma
            # is infinite, 0 times it is still 0.
            inside[piece.output] = np.minimum(carried + error, HUGE)
        error = error + carried if piece.joins else error
    return Ran(piece, size, np.asarray(error))


def local_error(step: Step, values: Mapping[str, Array], size: Array, rate: Rate = gamma) -> Array:
    """Largest error of the runtime's evaluation of one step, with `sizes` of it."""
    count, result = local_count(step), values[step.output]
    # A cast rounds to the coarser of the two types.
    kinds = [values[name].dtype for name, _ in step.terms] + [result.dtype]
    coarsest = max(kinds, key=unit_roundoff)
    once = np.dtype(np.float32)
    if unit_roundoff(coarsest) <= unit_roundoff(once) or not computes_wide(step.node, coarsest):
        found = np.asarray(times(rate(count, unit_roundoff(coarsest)), size))
        found += count * smallest(result.dtype)
        return found
    # The operands as the node had them may be their float32 forms, before the rounding to the
    # 16 bits that the run shows: the runtime leaves out a cast down and up again.
    ends = size + np.abs(result.astype(np.float64))
    inside = times(rate(count, unit_roundoff(once)), size) + count * smallest(once)
    return inside + gamma(1, unit_roundoff(coarsest)) * ends + smallest(result.dtype)


def local_count(step: Step) -> int:
    """Roundings of the runtime in one output of a step."""
    return sum(op.fan_in for _, op in step.terms) + step.roundings


def _readers(program: LinearProgram) -> dict[str, int]:
    counts: dict[str, int] = {}
    for step in program.steps:
        for name, _ in step.terms:
            counts[name] = counts.get(name, 0) + 1
    return counts
