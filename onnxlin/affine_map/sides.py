"""Whether a graph of its own took the other side of a near tie than the model's own run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxlin.affine_map.origin import Origin
from onnxlin.engines.forward import tangents
from onnxlin.engines.job import Job
from onnxlin.engines.reverse import charge
from onnxlin.engines.seeds import Seeds
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram
from onnxlin.program.carried import NearTie, near_ties
from onnxlin.program.roundoff import charges, underflow

NAMED = 3


def fallen(W: Array, rows: Seeds, origin: Origin) -> tuple[str, ...]:
    """Say that near ties fell to the other side in the graph that made W; () where none did.

    ``W v`` for one random v is held against a sweep of the program of the model's own run: further
    apart than composing allows, with units that rounding alone can carry over a kink, the two have
    not taken the same pieces. Both maps are right at x.
    """
    program, values = origin.program, origin.values
    if not W.size:
        return ()
    v = np.random.default_rng(0).standard_normal((1, W.shape[1]))
    wide = replace(program, dtype=np.dtype(np.float64))
    moves = {name: value[0] for name, value in tangents(wide, v).items()}
    still = {name: np.zeros(shape) for name, shape in program.outputs.items()}
    theirs = rows.apply(program.output(still | moves))
    gap = np.abs(W.astype(np.float64) @ v[0] - theirs)
    if (gap <= 2 * _room(program, moves, origin.job)).all():
        return ()
    ties = sorted(near_ties(program, values), key=lambda tie: tie.distance / tie.doubt)
    if not ties:
        return ()
    row = int(np.argmax(gap))
    size = np.abs(theirs).max(initial=0.0) or 1.0
    return (
        f"near tie: W differs from that of the model's own run (W v by {gap[row] / size:.1e} of "
        "its largest entry, for a random v): the compiled graph, which rounds differently, took "
        f"the other side of a kink. {_named(ties)}. Both maps are right at x; "
        "engine='reverse' gives the one of the model's own run",
    )


def _room(program: LinearProgram, moves: dict[str, Array], job: Job) -> Array:
    """What composing in the map's precision may make of W v: ``(n_rows,)``."""
    steps = tuple(replace(step, bias=None, bias_size=None) for step in program.steps)
    bare = replace(program, steps=steps)
    errors = charges(bare, moves, native=False)
    found: Array = charge(replace(job, progress=None), errors)[0] + underflow(bare, moves)
    return found


def _named(ties: list[NearTie]) -> str:
    listed = "; ".join(
        f"{tie.step.node.op_type} {tie.step.node.name!r}, {tie.count} "
        f"unit{'s' * (tie.count != 1)}, the nearest {tie.distance:.1e} from its kink where "
        f"rounding may carry it {tie.doubt:.1e}"
        for tie in ties[:NAMED]
    )
    more = f" and {len(ties) - NAMED} more nodes" if len(ties) > NAMED else ""
    return f"Within rounding of one: {listed}{more}"
