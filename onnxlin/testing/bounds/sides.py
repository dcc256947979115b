"""Whether two x lie on one side of every kink and jump of a model, as its guards and values say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.errors import OnnxlinError
from onnxlin.graph import Array, Node
from onnxlin.linearizer import Linearizer
from onnxlin.primitives import Shape
from onnxlin.program import Decision, LinearProgram
from onnxlin.program.pieces import is_float_array

Values = Mapping[str, Any]
ANOTHER = "other nodes run there: another branch, or a loop of another length"


class Sides:
    """The pieces at one x, to be held against those at others beside it.

    What decides without being part of the map (a comparison for a Where, a cast to bool) is looked
    at, too.

    Parameters
    ----------
    lin : Linearizer
    x : {input name: array}
    m : AffineMap
        Of x, in float64.
    """

    def __init__(self, lin: Linearizer, x: dict[str, Array], m: AffineMap) -> None:
        self._lin, self._own = lin, m.made_from("margins")
        self.untold = ""
        """Why what decides can't be determined; empty if somebody can."""
        self._decided: tuple[LinearProgram, Values] | None = None
        try:
            if lin.decider.section is not lin.section:
                self._decided = self._at(x)
        except OnnxlinError as error:
            self.untold = " ".join(str(error).split())

    def crossed(self, other: dict[str, Array], end: AffineMap) -> str:
        """Say what may lie between x and another one; empty where nothing does.

        Parameters
        ----------
        other : {input name: array}
        end : AffineMap
            Of the other x.
        """
        made = end.made_from("margins")
        if _steps(self._own.program) != _steps(made.program):
            return ANOTHER
        found = _between(self._own.program, self._own.values, made.values)
        if not found and self._decided is not None:
            program, values = self._decided
            there, others = self._at(other)
            if _steps(program) != _steps(there):
                return ANOTHER
            found = _between(program, values, others)
        return found

    def _at(self, x: dict[str, Array]) -> tuple[LinearProgram, Values]:
        """The program with all that decides, and the tensors, those in bodies among them."""
        values = self._lin.decider.tracer(x)
        return self._lin.decider(values, np.dtype(np.float64)), values


def _steps(program: LinearProgram) -> list[tuple[str, Shape]]:
    return [(step.output, step.shape) for step in program.steps]


def _between(program: LinearProgram, before: Values, after: Values) -> str:
    """Name the first node that may be another piece with other tensors; empty if none may.

    A guard has no more room than it has moved twice over; or, for what nobody can tell the pieces
    of, a unit is nearer to its kink than its node's inputs have moved; or a comparison or an index
    came out differently, or a locally constant node did.
    """
    for name, value in before.items():
        if not is_float_array(value) and _differ(value, after.get(name)):
            return f"{name!r} has other values there"
    told = {d.node.name: d for d in program.decisions if not d.unknown}
    for step in program.steps:
        if step.margin is None:
            jumps = step.status == "constant" and step.output in after
            if jumps and _differ(before[step.output], after[step.output]):
                return _described(step.node)
        elif step.node.name not in told:
            margin = np.asarray(step.margin())
            # Two rivals may have moved towards one another.
            reach = 2 * _move(step.node.inputs, before, after, margin.shape)
            if ((margin <= reach) & (reach > 0)).any():
                return _described(step.node)
    return next((_described(d.node) for d in told.values() if _passes(d, before, after)), "")


def _described(node: Node) -> str:
    return f"{node.op_type} at node {node.name!r}"


def _passes(decision: Decision, before: Values, after: Values) -> bool:
    """Whether a guard has moved as far as half its room. Rivals that both rest are no kink."""
    for bounds in decision.bounds():
        here, there = (
            bounds({n: values[n].astype(np.float64)[None] for n, _ in bounds.terms})[0]
            for values in (before, after)
        )
        moved, room = np.abs(there - here), np.minimum(here - bounds.low, bounds.high - here)
        if ((moved > 0) & (room <= 2 * moved)).any():
            return True
    return False


def _differ(one: Any, other: Any) -> bool:
    if not (isinstance(one, np.ndarray) and isinstance(other, np.ndarray)):
        return False  # a sequence, an optional
    return one.shape != other.shape or bool((one != other).any())


def _move(names: tuple[str, ...], before: Any, after: Any, shape: Shape) -> Array:
    """Change of float tensors entry by entry, where they have a unit each, or else the largest."""
    pairs = [(before[n], after[n]) for n in names if n in before and n in after]
    changes = [
        np.nan_to_num(np.abs(b.astype(np.float64) - a.astype(np.float64)))
        for a, b in pairs
        if is_float_array(a) and a.shape == b.shape
    ]
    if all(change.shape == shape for change in changes):
        return np.max(changes, axis=0) if changes else np.zeros(())
    return np.asarray(max(change.max(initial=0) for change in changes))
