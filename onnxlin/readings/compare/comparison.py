"""What a comparison of two models at one input found, and how it is said in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from onnxlin.affine_map import AffineMap
from onnxlin.readings.compare.flips import Flipped
from onnxlin.readings.compare.ledger import NodeDifference, OutputDifference
from onnxlin.readings.compare.names import Match
from onnxlin.readings.compare.nodes import (
    EQUAL,
    INHERITED,
    INTRODUCED,
    ROUNDING,
    UNKNOWN,
    TensorDifference,
)
from onnxlin.readings.compare.rows import RowDifference
from onnxlin.texts import counted, shown

VERDICTS = {
    "equal": "the same map: y, W and b are the same numbers",
    "within rounding": "the same map: rounding explains every difference of y, W and b",
    "within tol": "the same map within the tolerance given",
    "apart": "not the same map",
}


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two maps at one input, and the tensors of the two runs.

    Parameters
    ----------
    a, b : AffineMap
    rows : tuple of RowDifference
        y, W, contributions and b, row by row.
    outputs : tuple of OutputDifference
        The complete outputs, and whether the strongest class changed.
    ledger : tuple of NodeDifference
        Shares of b by node: first nodes that both have, then those of one alone.
    tensors : tuple of TensorDifference
        Tensors that both have, in the order of A; empty when maps were compared.
    flips : tuple of Flipped
        Nodes with units on the other side of a kink.
    names : Match or None
        What was matched by name.
    judged : str
        How W was judged: "every entry", or in which directions.
    tol : float or None
    notes : tuple of str
        What the reader must know: what was matched by order, a W that is 0 because of rounding.
    """

    a: AffineMap
    b: AffineMap
    rows: tuple[RowDifference, ...]
    outputs: tuple[OutputDifference, ...]
    ledger: tuple[NodeDifference, ...]
    tensors: tuple[TensorDifference, ...]
    flips: tuple[Flipped, ...]
    names: Match | None
    judged: str
    tol: float | None
    notes: tuple[str, ...] = field(default=())

    @property
    def same(self) -> bool:
        """Whether y, W and b of every row are as near as rounding, or ``tol``, allows."""
        return all(row.same for row in self.rows)

    @property
    def equal(self) -> bool:
        """Whether y, W and b are the same numbers."""
        return not any(row.y_gap or row.W_gap or row.b_gap for row in self.rows)

    @property
    def verdict(self) -> str:
        """Say in a word: "equal", "within rounding", "within tol" or "apart"."""
        if self.equal:
            return "equal"
        if not self.same:
            return "apart"
        return "within rounding" if self.tol is None else "within tol"

    @property
    def first(self) -> TensorDifference | None:
        """The first tensor that differs although its nodes are fed the same in A and in B."""
        return next((one for one in self.tensors if one.state == INTRODUCED), None)

    @property
    def departure(self) -> str | None:
        """Name the first node that departs and say by how much; None if none does."""
        if self.first is not None:
            return str(self.first)
        if self.same or self.tensors:
            return None
        return "unknown: maps have no nodes to run; compare models or Linearizers"

    def __str__(self) -> str:
        return "\n".join(map(shown, lines(self)))

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return {
            "format": "onnxlin.comparison",
            "version": 1,
            "same": self.same,
            "verdict": self.verdict,
            "tol": self.tol,
            "departure": self.departure,
            "judged": self.judged,
            "rows": [asdict(row) for row in self.rows],
            "outputs": [asdict(one) for one in self.outputs],
            "ledger": [one.as_dict() for one in self.ledger],
            "tensors": [one.as_dict() for one in self.tensors],
            "flipped": [asdict(one) for one in self.flips],
            "matched": None if self.names is None else self.names.as_dict(),
            "notes": list(self.notes),
        }


def lines(c: Comparison, rows: int = 3) -> Iterator[str]:
    """Say what a person wants to know first: the verdict, what is apart, and who does it."""
    yield verdict(c)
    worst = sorted(c.rows, key=excess, reverse=True)
    for row in worst[:rows]:
        if not row.same:
            yield "  " + describe(row)
    past = sum(not row.same for row in c.rows)
    if past > rows:
        yield f"  and {past - rows} more rows"
    if c.tensors:
        yield f"first node that departs: {c.departure or 'none'}"
        yield matched(c)
    if c.flips:
        yield flips(c)
    yield from c.notes


def verdict(c: Comparison) -> str:
    """Say whether they are the same."""
    if c.same:
        return VERDICTS[c.verdict]
    names = [name for name, bad in (("y", _bad_y), ("W", _bad_W), ("b", _bad_b)) if bad(c)]
    allowed = "rounding explains" if c.tol is None else f"tol={c.tol:g} and rounding allow"
    return f"{VERDICTS[c.verdict]}: {', '.join(names)} differ by more than {allowed}"


def describe(row: RowDifference) -> str:
    """One row in a line."""
    relative = "from 0" if row.W_relative is None else f"{row.W_relative:.3g} of |W|"
    return (
        f"row {row.name}: y {row.y[0]:.6g} and {row.y[1]:.6g}, apart by {row.y_gap:.3g} "
        f"(allowed {row.y_allowed:.3g}); W apart by {relative}, {row.W_excess:.3g} times its "
        f"bound; b apart by {row.b_gap:.3g} (allowed {row.b_allowed:.3g})"
    )


def matched(c: Comparison) -> str:
    """Count tensors by what became of them."""
    assert c.names is not None
    counts = Counter(one.state for one in c.tensors)
    states = (EQUAL, ROUNDING, INTRODUCED, INHERITED, UNKNOWN)
    words = [f"{counts[state]} {state}" for state in states if counts[state]]
    return (
        f"{len(c.names.tensors)} of {c.names.total} tensors of A matched by name: "
        f"{', '.join(words)}; nodes without a partner: {len(c.names.only_a)} in A, "
        f"{len(c.names.only_b)} in B"
    )


def flips(c: Comparison) -> str:
    """Say which units changed sides."""
    total = sum(one.units for one in c.flips)
    first = c.flips[0]
    return (
        f"{counted(total, 'unit')} in {counted(len(c.flips), 'node')} on the other side of a kink, "
        f"first {first.units} of {first.of} of {first.op_type} {first.node!r}"
    )


def excess(row: RowDifference) -> float:
    """How many times its bound a row is off, in y, W or b: whichever is most."""
    ratios = ((row.y_gap, row.y_allowed), (row.b_gap, row.b_allowed))
    quotients = [gap / limit if limit else float(gap > 0) for gap, limit in ratios]
    return max(row.W_excess, *quotients)


def _bad_y(c: Comparison) -> bool:
    return any(not row.y_gap <= row.y_allowed for row in c.rows)


def _bad_W(c: Comparison) -> bool:  # noqa: N802  # the name that the mathematics has
    return any(not row.W_same for row in c.rows)


def _bad_b(c: Comparison) -> bool:
    return any(not row.b_gap <= row.b_allowed for row in c.rows)
