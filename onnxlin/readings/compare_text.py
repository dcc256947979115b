"""A comparison in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from onnxlin.readings.compare_nodes import EQUAL, INHERITED, INTRODUCED, ROUNDING, UNKNOWN

if TYPE_CHECKING:
    from onnxlin.readings.compare import Comparison
    from onnxlin.readings.compare_rows import RowDifference

VERDICTS = {
    "equal": "the same map: y, W and b are the same numbers",
    "within rounding": "the same map: rounding explains every difference of y, W and b",
    "within tol": "the same map within the tolerance given",
    "apart": "not the same map",
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
        f"{total} units of {len(c.flips)} nodes are on the other side of a kink, first "
        f"{first.units} of {first.of} of {first.op_type} {first.node!r}"
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
