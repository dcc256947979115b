"""Many maps held against their runs, without computing every bound."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.operators.families import MATRIX_PRODUCTS
from onnxlin.program import Step
from onnxlin.program.rates import gamma, unit_roundoff
from onnxlin.readings.checks import allowed, chosen, require_equal


def verified(
    maps: Iterator[AffineMap], floors: dict[str, float] | None = None
) -> Iterator[AffineMap]:
    """Pass maps on whose residual is within its bound; raise at the first that is past it.

    The bound itself takes another sweep. A floor of it costs nothing: the size of every path into
    a row is charged the roundings of at least one step, so ``bound >= least * (1 - TINY / scale)``.
    Only residuals past that floor need the bound as it is. ``floors``, by engine, keeps what the
    first map has told for those that come later.
    """
    known = dict[str, float]() if floors is None else floors
    for m in maps:
        if m.engine not in known:
            known[m.engine] = least_charge(m)
        floor = known[m.engine]
        gap = np.abs(m.own_y - (m.Wx + m.b))
        if not (gap <= floor * m.scale).all():
            rows = chosen(m, None)
            require_equal("W x + b against F(x)", m.Wx + m.b, m.own_y, allowed(m, rows))
        yield m


def least_charge(m: AffineMap) -> float:
    """The smallest factor that a step which reads an input, or has a bias, is charged with.

    Such a step i is charged ``|G_i| factor_i (|A_i| |z_i| + |b_i|)`` (docs/exactness.md). Summed
    over these steps alone, ``|G| (|A| |z| + |b|)`` is at least ``|W| |x|`` + the sum of ``|bias
    shares|``, which is the scale. What a step adds up may change with x: then only two roundings
    are counted. In products the shapes decide it.
    """
    program = m.made_from("evaluate()").program
    if program.constants or set(program.outputs) & set(program.inputs):
        return 0.0  # parts of these rows pass through no step
    unit = unit_roundoff(program.dtype)
    ends = [s for s in program.steps if s.bias is not None or _reads(s, program.inputs)]
    # The computed bound is itself rounded, by far less than this.
    return 0.99 * min((gamma(_fewest(step), unit) for step in ends), default=0.0)


def _reads(step: Step, names: Collection[str]) -> bool:
    return any(name in names for name, _ in step.terms)


def _fewest(step: Step) -> int:
    fan = max((max(op.fan_in, op.fan_out) for _, op in step.terms), default=1)
    steady = not step.varies or step.node.op_type in MATRIX_PRODUCTS
    return 2 * fan + 2 * step.roundings if steady else 2
