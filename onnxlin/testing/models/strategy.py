"""Random models: DAGs grown from every operator that has a maker, with an input for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from onnxlin.errors import OptionError
from onnxlin.runtime.session import Fail
from onnxlin.testing.models.grow import FAILURES, Grow, NotRun, TooLarge
from onnxlin.testing.models.grown import GrownModel
from onnxlin.testing.models.running import run
from onnxlin.testing.models.shapes import Shape
from onnxlin.testing.models.table import MAKERS

OPSETS = (21, 23, 18, 13)
# What the makers are written for: the forms of attributes and operands in these sets.
OLDEST, NEWEST = 13, 26
SHAPES: tuple[Shape, ...] = (
    (1, 2, 4, 4),
    (2, 3, 4),
    (2, 6),
    (1, 4, 2, 6),
    (5,),
    (2, 2, 3, 2, 2),
    (1, 1, 1),
    (),
)


def onnx_models(
    ops: Iterable[str] | str | None = None,
    *,
    max_nodes: int = 7,
    min_nodes: int = 1,
    opsets: Iterable[int] | int = OPSETS,
    ties: bool = True,
) -> st.SearchStrategy[GrownModel]:
    """Draw a valid ONNX model that onnxruntime runs, with an input x for it.

    The graph is grown node by node, and each node is run as soon as it is there. Any tensor may be
    read again by any later node, so there are chains, skips and fans; inputs and outputs are one
    or several. What is promised of every model:

    * ``onnx.checker.check_model`` accepts it, shapes of inputs and outputs are fixed and right;
    * onnxruntime runs it at x, and every float tensor at x is finite;
    * inputs are float32, no tensor has more than 120 entries, axes of length 0 may occur;
    * equal draws make equal models: weights come from a seed that is drawn.

    Parameters
    ----------
    ops : operator names, optional
        To grow from, as in the ONNX specification; by default every one of
        ``onnxlin.testing.models.MAKERS``. Where an operator needs a shape or a range that no
        tensor has, helpers come before it (Reshape, Gather, Mul, Add, Sigmoid, Cast, ...).
    max_nodes, min_nodes : int
        How many operators of ``ops`` are drawn; helpers, and what an operator's maker puts after it
        (a Cast of a mask), come on top. One that would make too large a tensor is left out, and one
        that the onnxruntime that is installed does not run.
    opsets : versions of the standard operator set, from 13 to 26
        As far as the onnxruntime that is installed goes. The first one is the simplest. Operators
        that the version drawn does not have are left out.
    ties : bool
        Let a third of the inputs be whole multiples of 1/2, in which kinks are hit exactly.

    Raises
    ------
    OptionError
        For operators without a maker, and operator sets that have none of them.
    """
    versions = [opsets] if isinstance(opsets, int) else list(opsets)
    wanted = [ops] if isinstance(ops, str) else list(MAKERS if ops is None else ops)
    _require_makers(wanted)
    if not 1 <= min_nodes <= max_nodes:
        raise OptionError(
            f"onnx_models draws from min_nodes={min_nodes} to max_nodes={max_nodes} operators; "
            "give 1 <= min_nodes <= max_nodes."
        )
    return _grown(
        wanted,
        min_nodes=min_nodes,
        max_nodes=max_nodes,
        opsets=_serving(versions, wanted),
        ties=ties,
    )


@st.composite
def _grown(
    draw: st.DrawFn,
    op_types: Sequence[str],
    *,
    min_nodes: int,
    max_nodes: int,
    opsets: Sequence[int],
    ties: bool,
) -> GrownModel:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    g = Grow(draw, rng, draw(st.sampled_from(opsets)))
    halves = ties and g.choice(False, False, True)
    for _ in range(g.integer(1, 2)):
        g.give(g.choice(*SHAPES), halves=halves)
    there = [op_type for op_type in op_types if MAKERS[op_type].serves(g.opset)]
    refused = False
    for _ in range(g.integer(min_nodes, max_nodes)):
        try:
            MAKERS[g.choice(*there)](g)
        except TooLarge:
            pass
        except NotRun:
            refused = True
    made = {node.op_type for node in g.nodes}
    if not made or (refused and made.isdisjoint(op_types)):
        reject()  # the only operator drawn had no room, or no kernel: its helpers are not asked for
    grown = GrownModel(g.model(_outputs(g)), dict(g.inputs))
    try:
        run(grown.model, grown.x)
    except (Fail, *FAILURES):
        # Every node runs, but shape inference of the whole misreads ceil_mode or output_shape;
        # older runtimes also mistake the memory of what one branch of an If has made.
        reject()
    return grown


def _outputs(g: Grow) -> list[str]:
    """Every tensor that no node reads, and perhaps one that is read as well."""
    made = [name for name in g.live if name not in g.inputs]
    ends = [name for name in made if name not in g.read]
    inner = [name for name in made if name in g.read]
    return ends + ([g.choice(*inner)] if inner and g.choice(False, False, True) else [])


def _require_makers(wanted: Sequence[str]) -> None:
    if unknown := [op_type for op_type in wanted if op_type not in MAKERS]:
        near = {m for name in unknown for m in get_close_matches(name, MAKERS, 2)}
        hint = f" Near them: {sorted(near)}." if near else ""
        raise OptionError(
            f"onnx_models has no maker for {unknown}.{hint} It grows from these "
            f"{len(MAKERS)} operators: {', '.join(sorted(MAKERS))}."
        )
    if not wanted:
        raise OptionError("onnx_models was given no operator to grow from; leave ops out for all.")


def _serving(versions: Sequence[int], wanted: Sequence[str]) -> list[int]:
    """The versions in which one at least of the operators can be added."""
    if wrong := [v for v in versions if not OLDEST <= v <= NEWEST]:
        raise OptionError(
            f"onnx_models grows graphs of operator sets {OLDEST} to {NEWEST}; opsets has {wrong}."
        )
    serving = [v for v in versions if any(MAKERS[op_type].serves(v) for op_type in wanted)]
    if not serving:
        last = min(NEWEST, max(MAKERS[op_type].until for op_type in wanted))
        first = max(OLDEST, min(MAKERS[op_type].since for op_type in wanted))
        raise OptionError(
            f"onnx_models has no maker for any of {list(wanted)} in operator sets "
            f"{list(versions)}; it has in sets {first} to {last}."
        )
    return serving
