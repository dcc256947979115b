"""How far an attribution from elsewhere is from the exact contributions, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from onnxlin.graph import Array
from onnxlin.readings.attributions.baselines import baselines
from onnxlin.readings.attributions.gradients import Attribution, Sum
from onnxlin.readings.audit.agreement import Agreement, agreement
from onnxlin.readings.audit.gap import Gap, explain_gap
from onnxlin.readings.audit.map import Foreign, read_map
from onnxlin.readings.audit.sums import sums_of
from onnxlin.readings.bias.ledger import ledger
from onnxlin.readings.question.question import Question, Reference, name_of

# Times what rounding made here, beyond which a sum is near by accident rather than by rounding.
UNLIKELY = 100


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
    made_here : float
        What rounding made of such a sum here: often far less than it may.
    """

    foreign: Foreign
    exact: Mapping[str, Agreement]
    sums: tuple[Sum, ...]
    gap: Gap
    nearest: tuple[Near, ...]
    methods: Mapping[str, Attribution]
    baseline: str
    made_here: float

    @property
    def complete(self) -> tuple[str, ...]:
        """What the map adds up to, within rounding."""
        return tuple(each.what for each in self.sums if each.holds)

    @property
    def doubtful(self) -> tuple[str, ...]:
        """Those among `complete` that it misses by far more than rounding made here.

        The bound holds for the worst case; a sum that only it excuses may be near by accident.
        """
        most = UNLIKELY * self.made_here
        return tuple(each.what for each in self.sums if each.holds and abs(each.gap) > most)


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
        See `onnxlin.readings.audit.map.read_map`.
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
    sums, made_here = sums_of(q, foreign, x0, relative=baseline is not None)
    return Audit(
        foreign,
        {name: _agreement(foreign, values) for name, values in exact.items()},
        sums,
        _gap(q, sums[0], made_here),
        _nearest(foreign, methods),
        methods,
        name_of("zero" if baseline is None else baseline),
        made_here,
    )


def _agreement(foreign: Foreign, values: Array) -> Agreement:
    return agreement(foreign.values, foreign.features.sums(values))


def _gap(q: Question, total: Sum, made_here: float) -> Gap:
    found = ledger(q.m)
    shares = found.shares[:, 0]
    gap = explain_gap(total.gap, total.bound, found.nodes, shares, found.kinds)
    if gap.nodes == () and abs(gap.value) > UNLIKELY * made_here:
        how = "nothing that rounding could not make, but far more than it made here"
        return replace(gap, how=how)
    return gap


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
