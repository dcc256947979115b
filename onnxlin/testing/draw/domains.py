"""What values the inputs of a model take, as far as its graph and its metadata show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxlin.errors import OptionError
from onnxlin.graph import Array, Graph, Node, TensorType
from onnxlin.inputs.preprocessing import KEY, Preprocessing
from onnxlin.operators.shaped import known_shapes
from onnxlin.operators.whole_inputs import (
    COUNTS,
    HANDED_ON,
    LOOKED_UP,
    STRINGS,
    becomes_float,
    computes,
    depth_of,
    is_equality,
)

Uses = Sequence[tuple[Node, int]]
# Whole numbers that are computed with: digits, or all that a byte holds.
NUMBERS = (0, 10)


@dataclass(frozen=True, eq=False)
class Domain:
    """The values of one input.

    Parameters
    ----------
    kind : TensorType
    low, high : float, or array that broadcasts against the input
        Range of floats; whole numbers are at least ``low`` and below ``high``.
    choices : tuple
        The only values, where they are few: of strings, or what the graph compares with.
    whole : bool
        Whether floats are whole numbers all the same.
    """

    kind: TensorType
    low: Any = 0.0
    high: Any = 1.0
    choices: tuple[Any, ...] = ()
    whole: bool = False


def domains(graph: Graph) -> dict[str, Domain]:
    """Find the values of every input.

    Raises
    ------
    OptionError
        Whole numbers are put to a use of which no sensible value is visible.
    """
    return {name: domain_of(graph, name, kind) for name, kind in graph.inputs.items()}


def domain_of(graph: Graph, name: str, kind: TensorType) -> Domain:
    """Say what an input may hold, as far as the graph shows it."""
    if not kind.elem_type:
        raise OptionError(f"Input {name!r} is no tensor but a sequence, map or optional. {INSTEAD}")
    uses = list(_uses(graph, name))
    if kind.is_float:
        return _floats(graph, kind, uses, name)
    if kind.dtype.kind == "O":
        return Domain(kind, choices=tuple(_strings(uses)) or ("a",))
    if kind.dtype == np.bool_:
        return Domain(kind, choices=(False, True))
    return _whole(graph, kind, uses, name)


def _floats(graph: Graph, kind: TensorType, uses: Uses, name: str) -> Domain:
    """Floats that are only cast to look something up are whole numbers."""
    if uses and all(node.op_type in LOOKED_UP for node, _ in uses):
        found = [_range_of(graph, node, at, name) for node, at in uses]
        if all(r is not None for r in found):
            return Domain(kind, *_meet([r for r in found if r is not None]), whole=True)
    return Domain(kind, *_preprocessed(graph, kind))


def _whole(graph: Graph, kind: TensorType, uses: Uses, name: str) -> Domain:
    if kind.dtype.kind not in "iub":  # floats of 8 bits, integers of 4: NumPy has none of them
        raise OptionError(f"Input {name!r} ({kind}) is of a type that cannot be drawn. {INSTEAD}")
    if "mask" in name.lower():
        return Domain(kind, 0, 2)
    if compared := _compared(graph, name, uses):
        return Domain(kind, choices=compared)
    found = [_range_of(graph, node, at, name) for node, at in uses]
    if wrong := [use for use, r in zip(uses, found, strict=True) if r is None]:
        node, at = wrong[0]
        raise OptionError(
            f"Input {name!r} ({kind}) holds no floats, and is input {at} of {node.op_type} "
            f"{node.name!r}, so what is a sensible random value is unknown. {INSTEAD}"
        )
    low, high = _meet([r for r in found if r is not None])
    info = np.iinfo(kind.dtype)
    return Domain(kind, max(low, int(info.min)), min(high, int(info.max) + 1))


INSTEAD = "Give --input with an .npz that holds all inputs."


def _meet(ranges: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Whole numbers in all ranges; 0 where there is none to choose from."""
    low = max((r[0] for r in ranges), default=0)
    high = min((r[1] for r in ranges), default=1)
    return low, max(high, low + 1)


def _uses(graph: Graph, name: str) -> Iterator[tuple[Node, int]]:
    """Nodes that make something of an input, and where they read it."""
    same = {name}
    for node in graph.nodes:
        for at, read in enumerate(node.inputs):
            if read not in same:
                continue
            if at in HANDED_ON.get(node.op_type, ()) and not _becomes_float(graph, node, name):
                same.update(node.writes)
            else:
                yield node, at


def _becomes_float(graph: Graph, node: Node, name: str) -> bool:
    """Whether whole numbers end here: what follows computes with them."""
    whole = not graph.inputs[name].is_float
    floats = graph.may_be_float(node.outputs[0])
    return becomes_float(node.op_type) and whole and floats


def _range_of(graph: Graph, node: Node, at: int, name: str) -> tuple[int, int] | None:
    """Range of the whole numbers that a node takes there; None where nobody can tell."""
    for indices, table in LOOKED_UP.get(node.op_type, ()):
        if at == indices:
            axis = int(node.attributes.get("axis", 0))
            length = _length(graph, node.inputs[table], axis)
            return None if length is None else (0, length)
    if (known := depth_of(node.op_type, at)) is not None:
        depth = graph.initialisers.get(node.inputs[known])
        return None if depth is None else (0, int(np.ravel(depth)[0]))
    if (node.op_type, at) in COUNTS:
        return COUNTS[node.op_type, at]
    if computes(node.op_type):
        byte = np.iinfo(kind) if (kind := graph.inputs[name].dtype).itemsize == 1 else None
        return NUMBERS if byte is None else (int(byte.min), int(byte.max) + 1)
    return None


def _length(graph: Graph, table: str, axis: int) -> int | None:
    """Entries along an axis of a table: a weight, or an input of known shape."""
    if table in graph.initialisers:
        return int(graph.initialisers[table].shape[axis])
    kind = graph.inputs.get(table)
    length = kind.shape[axis] if kind is not None and kind.shape else None
    if isinstance(length, int):
        return length
    shape = known_shapes(graph.model).get(table, ())
    return shape[axis] if len(shape) > axis >= -len(shape) else None


def _compared(graph: Graph, name: str, uses: Uses) -> tuple[Any, ...]:
    """The constants that an input is held against, if that is all that is done with it."""
    others = [
        graph.initialisers.get(node.inputs[1 - at]) if is_equality(node.op_type) else None
        for node, at in uses
    ]
    if not others or any(other is None for other in others):
        return ()
    values = [int(v) for other in others if other is not None for v in np.ravel(other)]
    return tuple(dict.fromkeys(values))


def _strings(uses: Uses) -> Iterator[str]:
    """The strings that the graph knows."""
    for node, _ in uses:
        for attribute in STRINGS:
            for text in node.attributes.get(attribute) or ():
                yield text.decode() if isinstance(text, bytes) else str(text)


def _preprocessed(graph: Graph, kind: TensorType) -> tuple[Any, Any]:
    """Range of a picture's pixels after the preprocessing of the metadata; else 0 to 1."""
    told = {entry.key: entry.value for entry in graph.model.metadata_props}
    if KEY not in told or kind.shape is None:
        return 0.0, 1.0
    how = Preprocessing.of(told).resolved(kind)
    mean, std = np.array(how.mean), np.array(how.std)
    ends: Array = np.sort([(pixel * how.factor - mean) / std for pixel in (0.0, 255.0)], axis=0)
    if ends.shape[1] == 1:
        return float(ends[0, 0]), float(ends[1, 0])
    axes = [i for i, n in enumerate(kind.shape) if n == ends.shape[1]]
    if not axes:
        return float(ends[0].max()), float(ends[1].min())
    shape = [ends.shape[1] if i == axes[0] else 1 for i in range(len(kind.shape))]
    return ends[0].reshape(shape), ends[1].reshape(shape)
