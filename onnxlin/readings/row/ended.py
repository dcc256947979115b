"""Why a row of W is 0: the nodes at which the dependence on x ends, and what to ask instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.affine_map.wide import some_rows
from onnxlin.graph import Array, Node
from onnxlin.program import LinearProgram, Step
from onnxlin.program.sweep import reach
from onnxlin.rules import STRAIGHT
from onnxlin.section import STAIRCASE, Section
from onnxlin.section.parts import ancestors
from onnxlin.section.stops import goes_straight_through, starts_behind, stops

MOST = 3  # nodes, and tensors, that are named
CANCEL = "every way from x to it cancels or is cut off"


@dataclass(frozen=True)
class Ended:
    """Rows of a map in which W is 0 throughout.

    Parameters
    ----------
    rows : tuple of int
        Their positions.
    nodes : tuple of str
        ``Op 'name'`` of the nodes at which the dependence ends, in order.
    why : str
        The same in words.
    inputs, outputs : tuple of str
        Tensors behind these nodes, and before them: ends of a map that has a W.
    straight : bool
        Whether ``rounding="straight-through"`` lets x through.
    """

    rows: tuple[int, ...]
    nodes: tuple[str, ...]
    why: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    straight: bool

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "rows": list(self.rows),
            "nodes": list(self.nodes),
            "why": self.why,
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "straight_through": self.straight,
        }


def ended(m: AffineMap, section: Section, rows: Sequence[int] | None = None) -> Ended | None:
    """Say why W is 0 in rows of a map; None where it is in none of them.

    Parameters
    ----------
    m : AffineMap
    section : Section
        Of the linearizer that made it.
    rows : positions, optional
        Of the rows to look at; by default all.

    Raises
    ------
    DetachedError
    """
    asked = np.arange(len(m.rows)) if rows is None else np.array(rows, np.int64)
    some = [part.any(axis=1) for part in some_rows(m.W, asked)]
    zero = asked[~np.concatenate([np.zeros(0, bool), *some])]
    if not zero.size:
        return None
    program = m.made_from("ended()").program
    still, dead = stops(section), _dead(program, section)
    nodes = tuple(dict.fromkeys([*still, *(step.node for step in dead)]))
    words = [_why_stop(node) for node in still] + [_why_dead(step) for step in dead]
    straight = goes_straight_through(section)
    return Ended(
        rows=tuple(int(i) for i in zero),
        nodes=tuple(f"{node.op_type} {node.name!r}" for node in nodes[:MOST]),
        why="; ".join(list(dict.fromkeys(words))[:MOST]) or CANCEL,
        inputs=_inside(section, (*starts_behind(section, still), *(s.output for s in dead))),
        outputs=_inside(section, [n for node in nodes for n in node.reads if n in section.traced]),
        straight=straight or (section.rounding == STAIRCASE and any(map(_rounds, nodes))),
    )


def _inside(section: Section, names: Sequence[str]) -> tuple[str, ...]:
    """Tensors that nodes of the graph make, the two ends left out."""
    made, ends = section.graph.producer, {*section.inputs, *section.outputs}
    return tuple(n for n in dict.fromkeys(names) if n in made and n not in ends)[:MOST]


def _rounds(node: Node) -> bool:
    return (node.domain, node.op_type) in STRAIGHT


def _dead(program: LinearProgram, section: Section) -> list[Step]:
    """Steps that read what x moves and hand nothing of it on, on the way to the outputs."""
    wanted = ancestors(section.graph, section.outputs)
    sizes: dict[str, Array] = {name: np.ones(shape) for name, shape in program.inputs.items()}
    found = []
    for step in program.steps:
        with np.errstate(over="ignore", invalid="ignore"):
            size = reach([t for t in step.terms if t[0] in sizes], sizes, step.shape)
        alive = np.nan_to_num(size, nan=1.0, posinf=1.0) > 0
        if alive.any():
            sizes[step.output] = alive.astype(np.float64)
        elif any(name in sizes for name in step.node.reads) and (
            step.output in wanted or step.output not in section.graph.producer
        ):
            found.append(step)
    return found


def _why_stop(node: Node) -> str:
    return f"it ends at {node.op_type} {node.name!r}, which makes no floats: a step function of x"


def _why_dead(step: Step) -> str:
    node = f"{step.node.op_type} {step.node.name!r}"
    if step.status == "constant":
        return f"it ends at {node}, which is locally constant: a step function of x"
    return f"it ends at {node}, which is constant at this x: every unit that x moves is off there"
