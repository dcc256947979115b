"""When b must be 0, and when W x is Integrated Gradients from zero."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.graph import Array
from onnxlin.operators.families import LINEAR_IN_FIRST
from onnxlin.operators.pieces import EXTREMA, HOMOGENEOUS, caps
from onnxlin.primitives import LinearMap
from onnxlin.program import LinearProgram, Step, finite
from onnxlin.program.sweep import back
from onnxlin.readings.checks import chosen, require_f
from onnxlin.texts import shown


@dataclass(frozen=True)
class StructuralZero:
    """Whether b = 0 follows from how the model is built.

    Parameters
    ----------
    biased : tuple of str
        Nodes, and constant outputs, that bring something other than 0 onto a path to the rows.
    bent : tuple of str
        Nodes whose piece at t x may be another one than at x, for some t between 0 and 1.
    """

    biased: tuple[str, ...]
    bent: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether b must be 0: nothing on a path to the outputs has a bias."""
        return not self.biased

    @property
    def is_integrated_gradients(self) -> bool:
        """Whether W x is exactly Integrated Gradients from the baseline 0.

        Then F(t x) = t F(x) for t from 0 to 1, and W is the same on the whole way.
        """
        return not (self.biased or self.bent)

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        if self.biased:
            return f"b need not be 0: {_listed(self.biased)} bring in a bias"
        if self.bent:
            return f"b = 0 must hold: no path has a bias; {_listed(self.bent)} may change below x"
        return "b = 0 must hold: no path has a bias; W x is Integrated Gradients from 0, exactly"


def structural_zero(m: AffineMap) -> StructuralZero:
    """Say whether b = 0 must hold at x, and whether W x is Integrated Gradients from 0.

    Returns
    -------
    StructuralZero
        True where b must be 0. A node counts as biased if its bias at x holds anything but 0,
        also at units that are dead at x. What it says of Integrated Gradients is safe: nodes
        that it cannot judge count as bent.

    Raises
    ------
    DetachedError
    ResidualError
        W x misses F(x) although b must be 0.

    Source: Hesse, Schaub-Meyer, Roth, Fast Axiomatic Attribution for Neural Networks, NeurIPS
    2021: nets without biases are nonnegatively homogeneous, so input times gradient is Integrated
    Gradients from 0.
    """
    origin = m.made_from("structural_zero()")
    steps = list(_reached(origin.program))
    biased = [step.node.name for step in steps if step.bias is not None and step.bias.any()]
    biased += [name for name, value in origin.program.constants.items() if value.any()]
    bent = [step.node.name for step in steps if not _straight(step, origin.values)]
    found = StructuralZero(tuple(dict.fromkeys(biased)), tuple(dict.fromkeys(bent)))
    if found.holds:
        require_f("W x, b = 0 by structure,", m, chosen(m, None), m.Wx)
    return found


def _reached(program: LinearProgram) -> Iterator[Step]:
    """Steps from which a path leads to an output, last first."""
    for step, _ in back(program.steps, dict.fromkeys(program.outputs, True), _mark):
        yield step


def _mark(reached: dict[str, bool], name: str, _op: LinearMap, _mark: bool) -> None:
    reached[name] = True


def _straight(step: Step, values: Mapping[str, Array]) -> bool:
    """Whether the piece is the same from x to 0, where its operands shrink to 0 in proportion."""
    op_type, reads = step.node.op_type, step.node.inputs
    traced = {name for name, _ in step.terms}
    if not step.varies or (step.status == "expanded" and len(traced) == 1):
        return True  # linear in x, or hands a tensor on
    if step.status != "exact":
        return False
    if (bounds := caps(step.node)) is not None:
        low, high = (finite(values[name]) if name else np.zeros(()) for name in bounds)
        return traced == {reads[0]} and bool((low <= 0).all() and (high >= 0).all())
    if op_type in EXTREMA:
        return not any(values[name].any() for name in reads if name not in traced)
    if op_type in LINEAR_IN_FIRST:
        return len(step.terms) == 1 and not step.held
    return op_type in HOMOGENEOUS and traced == {reads[0]}


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(shown, names[:3])) + more
