"""How far an attribution from elsewhere is from the exact contributions, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap
from onnxlin.engines.forward import tangents
from onnxlin.engines.reverse import charge
from onnxlin.graph import Array
from onnxlin.readings.attributions import Attribution, Sum
from onnxlin.readings.attributions_all import baselines
from onnxlin.readings.audit_agreement import Agreement, agreement
from onnxlin.readings.audit_gap import Gap, explain_gap
from onnxlin.readings.audit_map import Foreign, read_map
from onnxlin.readings.identity import UNIT, allowed, chosen
from onnxlin.readings.ledger import ledger
from onnxlin.readings.question import Question, Reference, name_of
from onnxlin.rounding import charges, gamma, underflow

SETTLED = ("exact", "constant", "expanded", "unrolled")


@dataclass(frozen=True)
class Near:
    """A known method that the map may be.

    Parameters
    ----------
    method : str
        In bars where the map is compared with its absolute values.
    agreement : Agreement
    """

    method: str
    agreement: Agreement


@dataclass(frozen=True, eq=False)
class Audit:
    """What can be said of an attribution.

    Parameters
    ----------
    foreign : Foreign
        The map, and how its shape was read.
    exact : {"W x" or "W (x - x0)": Agreement}
        Against the exact contributions, added up over what each number of the map stands for.
    sums : tuple of Sum
        What it may add up to.
    gap : Gap
        F(x) less its sum, against the bias ledger.
    nearest : tuple of Near
        Known methods, the most alike first: by the l2 distance of its best multiple.
    methods : {name: Attribution}
        These, as computed here.
    baseline : str
        That F(x0) is taken at.
    """

    foreign: Foreign
    exact: Mapping[str, Agreement]
    sums: tuple[Sum, ...]
    gap: Gap
    nearest: tuple[Near, ...]
    methods: Mapping[str, Attribution]
    baseline: str

    @property
    def complete(self) -> tuple[str, ...]:
        """What the map adds up to, within rounding."""
        return tuple(each.what for each in self.sums if each.holds)


def audit(
    q: Question,
    given: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    *,
    baseline: Reference | None = None,
    methods: Mapping[str, Attribution] | None = None,
) -> Audit:
    """Hold an attribution from elsewhere against the exact contributions of the same row.

    Parameters
    ----------
    q : Question
        The output that the map explains, at the x that it explains.
    given : array, or {input name: array}
        See `onnxlin.readings.audit_map.read_map`.
    baseline : see `Question.reference`, optional
        The x0 that the map is relative to. Without it W x is the reference, and F(x0) is that of
        zeros.
    methods : {name: Attribution}, optional
        What the map may be; by default those of `baselines`.

    Raises
    ------
    InputError
        The map does not fit x.
    """
    foreign = read_map(q, given)
    x0 = q.reference("zero" if baseline is None else baseline)
    W = q.m.W[0].astype(np.float64)
    exact = {"W x": W * q.x}
    if baseline is not None:
        exact["W (x - x0)"] = W * (q.x - x0)
    if methods is None:
        methods = baselines(q, baseline=x0)
    sums = _sums(q, foreign, x0, relative=baseline is not None)
    return Audit(
        foreign,
        {name: _agreement(foreign, values) for name, values in exact.items()},
        sums,
        _gap(q, sums[0]),
        _nearest(foreign, methods),
        methods,
        name_of("zero" if baseline is None else baseline),
    )


def _agreement(foreign: Foreign, values: Array) -> Agreement:
    return agreement(foreign.values, foreign.features.sums(values))


def _sums(q: Question, foreign: Foreign, x0: Array, *, relative: bool) -> tuple[Sum, ...]:
    """Compare the sum of the map with all that attributions add up to."""
    total, size = float(foreign.values.sum()), float(np.abs(foreign.values).sum())
    # Its numbers were rounded when they were written; here they are added up.
    own = (foreign.unit + gamma(len(foreign.values), UNIT)) * size
    here = own + _rounding(q, q.feeds, foreign)
    start = q.lin(q.fed(x0), q.rows, dtype=np.float64)
    both = here + _rounding(q, q.fed(x0), foreign)
    W = q.m.W[0].astype(np.float64)
    found = [
        Sum("F(x)", q.y, total, here),
        Sum("W x", float(q.m.Wx[0]), total, own + _composing(q, foreign, q.x)),
        Sum("F(x) - F(x0)", q.y - float(start.y[0]), total, both),
    ]
    if relative:
        move = q.x - x0
        found.append(Sum("W (x - x0)", float(W @ move), total, own + _composing(q, foreign, move)))
    return tuple(found)


def _at(q: Question, feeds: Mapping[str, Array], foreign: Foreign) -> AffineMap:
    """Return the map of the row, composed in the precision that the foreign one may have had.

    Tools compute gradients in the model's own, whatever they are written in.
    """
    double = foreign.unit <= UNIT and all(q.feeds[n].dtype == np.float64 for n in q.m.inputs)
    return q.lin(dict(feeds), q.rows, "reverse", np.float64 if double else np.float32)


def _rounding(q: Question, feeds: Mapping[str, Array], foreign: Foreign) -> float:
    """What rounding may put between F and a W x + b composed as `_at` says."""
    m = _at(q, feeds, foreign)
    return float(allowed(m, chosen(m, None))[0])


def _composing(q: Question, foreign: Foreign, move: Array) -> float:
    """What rounding may make of ``W move`` where W is composed as `_at` says.

    As in docs/exactness.md, for a move in place of x: tensors are those that the move makes.
    Where a node is smooth its slope depends on the run, which rounds as well.
    """
    m = _at(q, q.feeds, foreign)
    origin = m._made_from("audit()")
    program = origin.program
    if any(step.status not in SETTLED for step in program.steps):
        return float(allowed(m, chosen(m, None))[0])
    moved = tangents(program, move[None].astype(program.dtype))
    values = {name: value[0] for name, value in moved.items()}
    found = charge(origin.job, charges(program, values, native=False))[0, 0]
    adding = gamma(len(move) + 2, UNIT) * float(np.abs(m.W[0].astype(np.float64)) @ np.abs(move))
    return float(found) + underflow(program, values) + adding


def _gap(q: Question, total: Sum) -> Gap:
    found = ledger(q.m)
    return explain_gap(total.gap, total.bound, found.nodes, found.shares[:, 0], found.kinds)


def _nearest(foreign: Foreign, methods: Mapping[str, Attribution]) -> tuple[Near, ...]:
    unsigned = bool((foreign.values >= 0).all())
    found = []
    for name, each in methods.items():
        values = foreign.features.sums(each.values)
        found.append(Near(name, agreement(foreign.values, values)))
        if unsigned and (values < 0).any():
            found.append(Near(f"|{name}|", agreement(foreign.values, np.abs(values))))
    far = float("inf")
    return tuple(sorted(found, key=lambda near: np.nan_to_num(near.agreement.l2, nan=far)))
