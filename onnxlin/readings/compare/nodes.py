"""Node by node: what each node of A makes of the very tensors that B has, against what B makes.

A is cut at every tensor that both have, and each part is run on B's values. So a part that differs
does so by itself: what earlier ones did neither excuses nor accuses it, and the only difference
that rounding allows is its own, in A and in B.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import onnx

from onnxlin.graph import Array, Graph, TensorType, is_float
from onnxlin.program.builder import Builder
from onnxlin.readings.compare.names import Match
from onnxlin.readings.compare.sides import Side, differing_constants
from onnxlin.section import make_section
from onnxlin.section.cut import cut_open
from onnxlin.texts import shown

MADE = "/as A makes it"

EQUAL, ROUNDING, INHERITED, INTRODUCED = "equal", "rounding", "inherited", "introduced"
UNKNOWN = "not compared"


@dataclass(frozen=True, eq=False)
class TensorDifference:
    """A tensor that both models have.

    Parameters
    ----------
    a, b : str
        Its names.
    nodes_a, nodes_b : tuple of str
        ``Op 'name'`` of the nodes that make it from the nearest tensors that both have.
    shapes, dtypes : (str, str)
    largest, relative : float
        Largest difference of an entry, and that over the largest entry of A; NaN where the shapes
        differ.
    own, allowed : float
        Difference where A's nodes are fed what B's were, and what rounding allows there: at the
        entry that is furthest past.
    state : str
        "equal": the same bits. "rounding": apart by no more than rounding explains. "introduced":
        fed the same, the nodes make something else. "inherited": they do not, but earlier ones did.
        "not compared": no numbers, or codes without a scale that is known.
    constants : tuple of str
        Constants of A's nodes that are other numbers in B.
    """

    a: str
    b: str
    nodes_a: tuple[str, ...]
    nodes_b: tuple[str, ...]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    dtypes: tuple[str, str]
    largest: float
    relative: float
    own: float
    allowed: float
    state: str
    constants: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain data; what is no number is None."""
        found = asdict(self)
        for name in ("largest", "relative", "own", "allowed"):
            found[name] = found[name] if np.isfinite(found[name]) else None
        return found

    def __str__(self) -> str:
        """Say which nodes depart, and by how much."""
        made = " <- ".join(reversed(self.nodes_a)) or "no node of A"
        text = f"{made}, tensor {self.a!r}: "
        if self.shapes[0] != self.shapes[1]:
            text += f"shape {self.shapes[0]} in A, {self.shapes[1]} in B"
        else:
            text += (
                f"fed the same, A and B are apart by {self.own:.3g} where rounding allows "
                f"{self.allowed:.3g}"
            )
        if self.constants:
            text += f"; constants {list(self.constants)} differ"
        if self.nodes_b and self.nodes_b != self.nodes_a:
            text += f"; in B by {' <- '.join(reversed(self.nodes_b))}"
        return shown(text)


def judge(a: Side, b: Side, names: Match) -> tuple[TensorDifference, ...]:
    """Compare every tensor that both have, in the order in which A makes them."""
    cut = readable(a, b, names)
    made = on_values_of_b(a, cut)
    limits = made.roundings(())
    theirs = b.roundings({chain[-1] for name, chain in names.tensors.items() if name in cut})
    stops = {name for chain in names.tensors.values() for name in chain}
    found: list[TensorDifference] = []
    bad: set[str] = set()
    for name, chain in names.tensors.items():
        last = chain[-1]
        nodes, ends = a.between(name, names.tensors)
        inner, _ = b.between(last, stops - set(chain))
        fed = name + MADE if name in cut and nodes else name
        decoded = _decoded(a.values.get(name), b.values.get(last))
        # Inputs, and outputs that depend on none, are as they are.
        source, spelt = (made, fed) if nodes and fed in made.values else (a, name)
        ours, other = source.tensor(spelt, decoded=decoded), b.tensor(last, decoded=decoded)
        limit = limits.get(fed, np.zeros(())) if nodes else np.zeros(())
        own = _own(ours, other, limit, theirs.get(last, np.zeros(())))
        one = _difference(a, b, (name, last), own)
        state = _state(one, bad & ends)
        if state in (INTRODUCED, INHERITED):
            bad.add(name)
        wrong = tuple(differing_constants(a, b, nodes)) if state == INTRODUCED else ()
        listed = (tuple(f"{n.op_type} {n.name!r}" for n in part) for part in (nodes, inner))
        first, second = listed
        found.append(replace(one, state=state, nodes_a=first, nodes_b=second, constants=wrong))
    return tuple(found)


def readable(a: Side, b: Side, names: Match) -> dict[str, Array]:
    """What B has in the place of A's tensors, where A's nodes can read it."""
    read = {name for node in a.section.nodes for name in node.reads}
    found = {}
    for name in read & set(names.tensors):
        last = names.tensors[name][-1]
        ours, theirs = a.values.get(name), b.values.get(last)
        if not (isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray)):
            continue
        decoded = _decoded(ours, theirs)
        if is_float(ours.dtype) and (wide := b.tensor(last, decoded=decoded)) is not None:
            theirs = wide.astype(ours.dtype)
        if (theirs.shape, theirs.dtype) == (ours.shape, ours.dtype):
            found[name] = theirs
    return found


def on_values_of_b(a: Side, given: Mapping[str, Array]) -> Side:
    """A, with some tensors as inputs that hold B's values, and made beside them."""
    own = {name: value for name, value in a.feeds.items() if name not in given}
    graph = _cut(a.section.graph, given)
    inputs = list(dict.fromkeys((*a.section.inputs, *given)))
    ends = {o for node in a.section.nodes for o in node.writes if o in a.section.live}
    if not ends:
        return a
    outputs = [name + MADE if name in given else name for name in sorted(ends)]
    like = a.section
    section = make_section(graph, inputs, outputs, like.rounding, gates=like.gates)
    return Side(Builder(section, a.builder.open_tracer, a.builder.mode), {**own, **given})


def _cut(graph: Graph, given: Mapping[str, Array]) -> Graph:
    """Let the makers of tensors write under other names, so that readers read what is given."""
    kinds = {n: int(onnx.helper.np_dtype_to_tensor_dtype(v.dtype)) for n, v in given.items()}
    types = {name: TensorType(kinds[name], value.shape) for name, value in given.items()}
    nodes = [replace(node, outputs=tuple(_renamed(node.outputs, given))) for node in graph.nodes]
    return replace(
        graph,
        model=cut_open(graph.model, given, MADE),
        nodes=tuple(nodes),
        inputs={**graph.inputs, **types},
        elem_types={**graph.elem_types, **{n + MADE: kind for n, kind in kinds.items()}},
    )


def _renamed(names: Sequence[str], given: Mapping[str, Any]) -> list[str]:
    return [name + MADE if name in given else name for name in names]


def _decoded(ours: Any, theirs: Any) -> bool:
    """Whether one of two tensors holds numbers and the other may hold codes of such."""
    both = isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray)
    return both and is_float(ours.dtype) != is_float(theirs.dtype)


def _own(
    ours: Array | None, theirs: Array | None, limit: Array, other: Array
) -> tuple[float, float]:
    """Difference and limit at the entry that is furthest past its limit, or comes closest."""
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return np.nan, np.nan
    gap = np.where(ours == theirs, 0.0, np.abs(ours - theirs))
    gap = np.where(np.isnan(ours) & np.isnan(theirs), 0.0, gap)
    if not gap.size:
        return 0.0, 0.0
    allowed = np.broadcast_to(limit, gap.shape) + np.broadcast_to(other, gap.shape)
    at = int(np.argmax(np.nan_to_num(gap - allowed, nan=np.inf)))
    return float(gap.ravel()[at]), float(allowed.ravel()[at])


def _difference(
    a: Side, b: Side, names: tuple[str, str], own: tuple[float, float]
) -> TensorDifference:
    """Compare a tensor of the two runs; ``own`` is what `_own` found."""
    values = (a.values.get(names[0]), b.values.get(names[1]))
    first, second = (tuple(getattr(value, "shape", ())) for value in values)
    kinds = [str(getattr(value, "dtype", type(value).__name__)) for value in values]
    decoded = _decoded(*values)
    ours, theirs = a.tensor(names[0], decoded=decoded), b.tensor(names[1], decoded=decoded)
    largest = relative = np.nan
    if ours is not None and theirs is not None and ours.shape == theirs.shape:
        gap = np.where(ours == theirs, 0.0, np.abs(ours - theirs))
        largest = float(gap.max(initial=0.0))
        top = float(np.abs(ours).max(initial=0.0))
        relative = largest / top if top else (np.inf if largest else 0.0)
    return TensorDifference(
        *names,
        nodes_a=(),
        nodes_b=(),
        shapes=(first, second),
        dtypes=(kinds[0], kinds[1]),
        largest=largest,
        relative=relative,
        own=own[0],
        allowed=own[1],
        state=EQUAL,
    )


def _state(one: TensorDifference, before: set[str]) -> str:
    if one.shapes[0] != one.shapes[1] or one.own > one.allowed:
        return INTRODUCED
    if np.isnan(one.own):
        return UNKNOWN
    if one.largest == 0:
        return EQUAL
    return INHERITED if before else ROUNDING
