"""The laws that the map of any model obeys at any x: `LAWS`, in the order of holding them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from onnxlin.affine_map import AffineMap, Verdict
from onnxlin.affine_map.proof import undecided
from onnxlin.errors import OptionError
from onnxlin.readings.region.walls import CURVED, curved_steps
from onnxlin.section import MODES
from onnxlin.testing.laws.engines import engines
from onnxlin.testing.laws.inside import inside
from onnxlin.testing.laws.law import Law
from onnxlin.testing.laws.operator import ledger, operator
from onnxlin.testing.laws.slope import slope
from onnxlin.testing.laws.subject import Feeds, Subject
from onnxlin.testing.verdicts import LawError, NotApplicable, worst

__all__ = ["LAWS", "Law", "LawError", "NotApplicable", "Subject", "named"]


def at_x(subject: Subject, feeds: Feeds, mode: str) -> None:
    """``F(x) = W x + b`` against onnxruntime, within what rounding explains, node by node.

    F(x) is that of the model's own run, and so is a y that a compiled graph has found. Where
    rounding may be as large as F, that they agree says nothing.
    """
    m = subject.map(feeds, mode)
    found = worst(m.Wx + m.b, m.own_y, m.bound * m.scale)
    found = found or worst(m.y, m.own_y, 2 * m.bound * m.scale)
    departs = m.first_departure()
    if found or departs:
        found = found or "every row is within its bound, but a node is not"
        raise LawError("at-x", mode, "W x + b = F(x) as onnxruntime computes it", found, departs)
    if m.verdict is Verdict.UNDECIDED:
        raise NotApplicable(undecided(m))


def in_float64(subject: Subject, feeds: Feeds, mode: str) -> None:
    """The same in float64, and against the program's own forward pass: the composing alone."""
    # A compiled graph computes in the model's own precision.
    engine = "reverse" if subject.engine == "compiled" else subject.engine
    m = subject.map(feeds, mode, np.float64, engine)
    program = m.made_from("the law").program
    own = m.rows.apply(program.output(program.forward(m.x, program.outputs)))
    expected = "W x + b, composed in float64, = F(x) as onnxruntime computes it"
    found = worst(m.Wx + m.b, m.y, m.bound * m.scale)
    departs = m.first_departure()
    if not found:
        expected = "W x + b = what the pieces give one after the other, in float64"
        found = worst(m.Wx + m.b, own, m.composition_bound * m.scale)
    if found or departs:
        found = found or "every row is within its bound, but a node is not"
        raise LawError("float64", mode, expected, found, departs)


def readings(subject: Subject, feeds: Feeds, mode: str) -> None:
    """Where nothing is smooth the two readings are one map, to the last bit."""
    m = subject.map(feeds, mode, np.float64, "reverse")
    if smooth := smooth_nodes(m):
        raise NotApplicable(smooth)
    other = next(name for name in MODES if name != mode)
    n = subject.map(feeds, other, np.float64, "reverse")
    for what, one, two in (("W", m.W, n.W), ("b", m.b, n.b)):
        if found := worst(one, two, np.zeros(one.shape)):
            expected = f"{what} in mode={mode!r} = {what} in mode={other!r}: no node is smooth"
            raise LawError("readings", mode, expected, found, _first_unlike(m, n))


def smooth_nodes(m: AffineMap) -> str:
    """Name the smooth nodes of a map, and what they do to its readings; empty if there are none."""
    program = m.made_from("the law").program
    what, found = "differ away from x", curved_steps(program)
    if not found:
        # Held as one constant, which each reading composes in its own way.
        found = [step for step in program.steps if step.status in CURVED]
        what = "round apart where x does not reach"
    if not found:
        return ""
    node, more = found[0].node, f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"the readings {what}: {node.op_type} {node.name!r}{more} smooth"


def _first_unlike(m: AffineMap, other: AffineMap) -> str | None:
    """First node that has another piece in the other map."""
    for a, b in zip(m.layers, other.layers, strict=False):
        keys = a.terms.keys() == b.terms.keys()
        same = keys and all((abs(a.terms[n] - b.terms[n])).max() == 0 for n in a.terms)
        if not (same and np.array_equal(a.bias, b.bias)):
            return f"{a.op_type} at node {a.name!r}"
    return None


LAWS: tuple[Law, ...] = (
    Law("at-x", "F(x) = W x + b at x, against onnxruntime", at_x),
    Law("float64", "the same in float64, against the composition of the pieces", in_float64),
    Law("inside", "F(x') = W x' + b at other x' inside the activation pattern", inside),
    Law("differences", "W is the slope of F: finite differences", slope),
    Law("engines", "every engine gives the same W and b", engines),
    Law("operator", "the dot-test <y, W x> = <W* y, x>: operator() and W are one map", operator),
    Law("ledger", "the shares of the nodes sum to b, and each is that node's", ledger),
    Law("readings", "tangent and frozen are one map where nothing is smooth", readings),
)
"""Every law; each is held in both modes."""


def named(names: str | Iterable[str] | None) -> tuple[Law, ...]:
    """Choose laws by name, in the order of `LAWS`; None takes all.

    Raises
    ------
    OptionError
        There is no law of a name.
    """
    if names is None:
        return LAWS
    wanted = {names} if isinstance(names, str) else set(names)
    known = [law.name for law in LAWS]
    if unknown := sorted(wanted - set(known)):
        raise OptionError(f"There is no law {unknown}; expected some of {known}.")
    return tuple(law for law in LAWS if law.name in wanted)
