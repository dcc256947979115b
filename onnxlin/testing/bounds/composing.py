"""How far two ways of composing the same pieces may differ (docs/exactness.md).

An adjoint sweep commits ``|d| <= gamma(k) |A|^T |G|`` when a node hands its cotangent G back. What
that moves in ``W v`` is ``d`` times the tangent T v that arrives there. So, to first order in the
unit roundoff, two sweeps differ in ``W v`` by twice ``sum over nodes of |G| gamma(k) |A| |T v|``,
for any v. A tangent sweep rounds T instead, with the same bound for the v that it pushes: the unit
vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from onnxlin.engines.cuts import narrowest
from onnxlin.engines.forward import tangents
from onnxlin.engines.job import Job
from onnxlin.engines.reverse import charge, charge_each, reverse
from onnxlin.engines.seeds import Seeds
from onnxlin.graph import Array
from onnxlin.primitives import Diagonal, LinearMap
from onnxlin.program import LinearProgram, Step
from onnxlin.program.rates import gamma, unit_roundoff
from onnxlin.program.roundoff import ChargesOfStack, charges
from onnxlin.program.sizes import sizes
from onnxlin.program.underflow import underflow, underflows

# Of a sweep that only charges: chunks of rows are cut to it, and stacks of directions.
MEMORY = 2**29


def of_directions(
    program: LinearProgram, rows: Seeds, directions: Array, sized: LinearProgram | None = None
) -> Array:
    """What composing may make of ``W v``, for the rows asked.

    Parameters
    ----------
    directions : array (k, columns), float64
    sized : LinearProgram, optional
        Whose coefficients are counted, from `made_anew`; by default those of the program itself.

    Returns
    -------
    array (n_rows, k)
    """
    # All tensors of all directions stay: of attention over 1,500 places one direction has 2 GB.
    each = 8 * sum(prod(step.shape) for step in program.steps)
    most = max(MEMORY // max(each, 1), 1)
    bare = without_biases(sized or program)
    some = (directions[i : i + most] for i in range(0, len(directions), most))
    found = [_of_some(program, rows, part, bare) for part in some]
    return np.concatenate([np.zeros((len(rows), 0)), *found], axis=1)


def _of_some(program: LinearProgram, rows: Seeds, directions: Array, bare: LinearProgram) -> Array:
    wide = replace(program, dtype=np.dtype(np.float64))
    moves = tangents(wide, directions)
    points = [{name: move[j] for name, move in moves.items()} for j in range(len(directions))]
    small = np.array(underflows(bare, points))
    errors = ChargesOfStack(bare, moves)
    return charge_each(Job(program, rows, MEMORY), errors, len(directions)).T + small


def of_biases(program: LinearProgram, rows: Seeds, sized: LinearProgram | None = None) -> Array:
    """What composing may make of b, for the rows asked: ``(n_rows,)``."""
    at = at_nothing(program)
    errors = charges(sized or program, at, native=False)
    found: Array = charge(Job(program, rows, MEMORY), errors)[0]
    return found + underflow(program, at)


def of_joining(program: LinearProgram, rows: Seeds, directions: Array) -> tuple[Array, Array]:
    """What a cut may make more of ``W v`` and of b, for the rows asked.

    Of two halves ``T L`` what composing makes of L arrives through ``|T|``, and the product itself
    adds up as many terms as the cut has entries.

    Parameters
    ----------
    directions : array (k, columns), float64

    Returns
    -------
    array (n_rows, k), array (n_rows,)
    """
    cut = narrowest(program, rows)
    if cut is None:
        return np.zeros((len(rows), len(directions))), np.zeros(len(rows))
    upper = reverse(Job(cut.upper, rows, MEMORY))
    lower = reverse(Job(cut.lower, cut.seeds, MEMORY))
    T, L = (np.abs(half.W.astype(np.float64)) for half in (upper, lower))
    joined = gamma(2 * len(cut.live), unit_roundoff(program.dtype))
    moved = of_directions(cut.lower, cut.seeds, directions) + joined * (L @ np.abs(directions).T)
    shares = sum((np.abs(share) for share in lower.bias.values()), start=np.zeros(len(cut.live)))
    biases = of_biases(cut.lower, cut.seeds) + joined * shares
    return T @ moved, T @ biases


def at_nothing(program: LinearProgram) -> dict[str, Array]:
    """Every tensor where the biases alone speak: x = 0 under the pattern of the program."""
    return program.forward(np.zeros(program.columns))


def without_biases(program: LinearProgram) -> LinearProgram:
    """Keep the linear part."""
    steps = tuple(replace(step, bias=None, bias_size=None) for step in program.steps)
    constants = {name: np.zeros_like(value) for name, value in program.constants.items()}
    return replace(program, steps=steps, constants=constants)


def made_anew(program: LinearProgram, values: Mapping[str, Array]) -> LinearProgram:
    """The program with the sizes of what its coefficients are formed of, for charges only.

    An engine that computes the coefficients of smooth nodes by kernels of its own rounds their
    formulas, not only the results: slopes have terms up to ``1 + |z|``, as ``1 - tanh(z)**2``,
    biases are ``f(z) - slope z``, and a standardised entry is what is left of it and the mean.
    """
    return replace(program, steps=tuple(_formed(step, values) for step in program.steps))


def _formed(step: Step, values: Mapping[str, Array]) -> Step:
    if step.status not in ("tangent", "frozen"):
        return step
    terms = tuple(
        (name, step.formed.get(name) or _slope(op, values[name])) for name, op in step.terms
    )
    # No curve any more: of one the charges count what its coefficients are, not what formed them.
    return replace(step, status="exact", terms=terms, bias_size=sizes(step, values))


def _slope(op: LinearMap, z: Array) -> LinearMap:
    if not isinstance(op, Diagonal):
        return op
    return Diagonal.of(op.in_shape, np.abs(op.scale) + 1 + np.abs(z.astype(np.float64)))
