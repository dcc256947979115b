"""Spreading b onto the input features, node by node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap, Origin
from onnxlin.engines.job import Job
from onnxlin.engines.reverse import chunks, constant_shares, sweep
from onnxlin.engines.seeds import Seeds
from onnxlin.graph import Array
from onnxlin.primitives import LinearMap
from onnxlin.program import Step, finite, slices
from onnxlin.program.rates import gamma
from onnxlin.program.sweep import add_to
from onnxlin.readings.bias.ledger import weighed
from onnxlin.readings.checks import (
    UNIT,
    chosen,
    of_outputs,
    require_equal,
    require_f,
    row_names,
)

# Sums below this could overflow what is divided by them; they count as 0.
NOTHING = float(np.finfo(np.float64).tiny) ** 0.5


@dataclass(frozen=True, eq=False)
class Spread:
    """``values.sum(axis=1) + rest = b``, row by row.

    Parameters
    ----------
    values : array (K, n_in)
        Signed: what each feature is given of b.
    rest : array (K,)
        What reaches no feature: biases of units that no feature moves at x, such as a unit that
        Clip holds at its cap, and outputs that are constant.
    b : array (K,)
    rows : tuple of str (K)
    """

    values: Array
    rest: Array
    b: Array
    rows: tuple[str, ...]


def spread_bias(m: AffineMap, rows: Any = None) -> Spread:
    """Give b to the features: each node passes its bias back to what it reads.

    A node's output p holds ``beta_p``: its cotangent times its bias, and what later nodes passed
    back to it. Its operand q gets ``alpha_pq beta_p`` with

        alpha_pq = |A_pq z_q| / sum over q of |A_pq z_q|

    for the node's matrix A and its operands z at x; where all of these are 0, ``|A_pq|`` alone.

    Parameters
    ----------
    m : AffineMap
    rows : positions (K,) or combinations (K, rows of m), optional

    Returns
    -------
    Spread
        The sum is exact. How b is shared out is a choice: other weights that add up to 1 give
        other pictures with the same sum.

    Raises
    ------
    RowsError, DetachedError
    ResidualError
        ``sum(W x + spread)`` misses F(x), or passing back lost some of b.

    Source: bias back-propagation (BBp), Wang, Zhou, Bilmes, Bias Also Matters, ICML 2019,
    algorithm 1; there alpha is a softmax, here it is proportional.
    """
    origin = m.made_from("spread_bias()")
    seeds = chosen(m, rows)
    outputs = of_outputs(m, seeds)
    splits = {step.output: Split.of(step, origin.values) for step in origin.program.steps}
    values, rest = np.zeros((len(seeds), len(m.x))), np.zeros(len(seeds))
    entered, lost = np.zeros((2, len(seeds)))
    for part in chunks(Job(origin.program, outputs, origin.job.memory)):
        found = _pass_back(origin, splits, outputs, part)
        values[part], rest[part] = found.values, found.rest
        entered[part], lost[part] = found.entered, found.lost
    total = values.sum(axis=1) + rest
    lost += gamma(len(m.x) + 1, UNIT) * (np.abs(values).sum(axis=1) + np.abs(rest))
    require_equal("what is spread against what nodes brought in", total, entered, lost)
    require_f("W x + spread b", m, seeds, seeds.apply(m.Wx) + total, beside=lost)
    return Spread(values, rest, seeds.apply(m.b), row_names(m, seeds))


@dataclass(frozen=True, eq=False)
class Split:
    """How one step shares out what its output holds.

    Parameters
    ----------
    parts : list of (tensor name, map, array)
        ``|A|`` and ``|z|`` of every operand.
    sums, plain : array (*shape of the output)
        ``sum of |A| |z|``, and ``sum of |A|`` for where that is 0.
    roundings : int
        Of one pass back.
    """

    parts: list[tuple[str, LinearMap, Array]]
    sums: Array
    plain: Array
    roundings: int

    @classmethod
    def of(cls, step: Step, values: Mapping[str, Array]) -> Split:
        """Weigh the operands of a step at x."""
        parts, sums, plain, roundings = [], np.zeros(step.shape), np.zeros(step.shape), 6
        for name, op in step.terms:
            size, z = op.absolute(), np.abs(finite(values[name].astype(np.float64)))
            parts.append((name, size, z))
            sums = sums + size.matvec(z[None])[0]
            plain = plain + size.matvec(np.ones((1, *z.shape)))[0]
            roundings += op.fan_in + op.fan_out + 1
        return cls(parts, np.where(sums < NOTHING, 0.0, sums), plain, roundings)

    def __call__(self, beta: Array) -> Iterator[tuple[str, Array]]:
        """Share out ``(k, *shape)``: yield each operand's name and part."""
        by_size, alone = _over(beta, self.sums), _over(beta, self.plain) * (self.sums == 0)
        for name, size, z in self.parts:
            given = z * size.rmatvec(by_size)
            yield name, given + size.rmatvec(alone) if alone.any() else given

    def unmoved(self, beta: Array) -> Array:
        """Add up what units hold that no operand moves, ``(k,)``."""
        held = beta * ((self.sums == 0) & (self.plain == 0))
        found: Array = held.reshape(len(beta), -1).sum(axis=1)
        return found


def _over(beta: Array, sums: Array) -> Array:
    found: Array = np.divide(beta, sums, out=np.zeros_like(beta), where=sums > 0)
    return found


@dataclass(eq=False)
class Passed:
    """What one sweep of rows handed to the features, kept, was given, and may have lost."""

    values: Array
    rest: Array
    entered: Array
    lost: Array


def _pass_back(origin: Origin, splits: Mapping[str, Split], rows: Seeds, part: slice) -> Passed:
    """Sweep once with two numbers a unit: its cotangent, and what it holds of b."""
    program, count = origin.program, part.stop - part.start
    constants = constant_shares(program, rows, part)
    rest = sum(constants.values(), start=np.zeros(count))
    found = Passed(np.zeros((count, program.columns)), rest, rest.copy(), np.zeros(count))
    held: dict[str, Array] = {}
    for step, cotangent in sweep(program, rows, part, None):
        beta = held.pop(step.output, np.zeros(cotangent.shape, np.float64))
        if step.bias is not None:
            own = weighed(step, cotangent)
            found.entered += _sum(own)
            beta = beta + own
        split = splits[step.output]
        found.rest += split.unmoved(beta)
        found.lost += gamma(split.roundings + beta[0].size, UNIT) * _sum(np.abs(beta))
        for name, given in split(beta):
            add_to(held, name, given)
    for name, at in slices(program.inputs):
        if name in held:
            found.values[:, at] = held[name].reshape(count, -1)
    return found


def _sum(values: Array) -> Array:
    found: Array = values.reshape(len(values), -1).sum(axis=1)
    return found
