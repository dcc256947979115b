"""Rows that the inputs look up in constant tables: where vectors of tokens and categories begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import onnx

from onnxlin.graph import Graph, Node
from onnxlin.operators import lookups as ops
from onnxlin.operators.families import LAYOUT
from onnxlin.operators.shapes import valued

CODES = frozenset(
    getattr(onnx.TensorProto, name)
    for name in ["INT4", "INT8", "UINT4", "UINT8", "INT2", "UINT2"]
    if name in onnx.TensorProto.DataType.keys()  # noqa: SIM118 - an enumeration of protobuf
)
"""Types in which tables are quantised; wider whole numbers are other positions."""


@dataclass(eq=False)
class LookUp:
    """Rows of a constant table, as floats.

    Parameters
    ----------
    tensor : str
        What was looked up: behind what makes numbers of codes, before anything else.
    table : str
        The tensor that holds the rows, a function of no input.
    ids : int
        The inputs, by their bits, whose own entries say which rows.
    by : int
        Those on which it depends at all which rows: by comparisons, counts or masks as well.
    """

    tensor: str
    table: str
    ids: int
    by: int


@dataclass(eq=False)
class Trail:
    """Where the values of the inputs go, found in one walk through a graph.

    Shapes are no values: what is made of them alone is constant here.

    Parameters
    ----------
    sources : tensor names
        The inputs, or tensors inside that stand for them.
    by : {tensor: bits}
        The sources that a tensor depends on.
    ids : {tensor: bits}
        Those of which it hands on entries that may say which row of a table.
    behind : {tensor: bits}
        The look-ups that a tensor depends on, by their places in ``made``.
    made : list of LookUp
        In order; `found` leaves out those that became parts of others.
    """

    graph: Graph
    sources: Sequence[str]
    by: dict[str, int] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    behind: dict[str, int] = field(default_factory=dict)
    made: list[LookUp] = field(default_factory=list)
    _rows: dict[str, int] = field(default_factory=dict)
    _codes: dict[str, int] = field(default_factory=dict)
    _counts: set[str] = field(default_factory=set)
    _parts: set[int] = field(default_factory=set)
    _hot: set[int] = field(default_factory=set)
    _weighed: int = 0

    def __post_init__(self) -> None:
        self.by = {name: 1 << i for i, name in enumerate(self.sources)}
        self.ids = dict(self.by)
        self._reads = Counter(name for node in self.graph.nodes for name in node.reads)
        for node in self.graph.nodes:
            self._walk(node)

    @property
    def found(self) -> dict[int, LookUp]:
        """The look-ups that stand for themselves, by the places of their bits."""
        return {
            k: each
            for k, each in enumerate(self.made)
            if k not in self._parts
            and self.graph.may_be_float(each.tensor)
            # A dense layer on one-hot rows, with no layer behind it, is the model itself.
            and (k not in self._hot or self._weighed >> k & 1)
        }

    def names(self, bits: int) -> list[str]:
        """The sources of some bits."""
        return [name for i, name in enumerate(self.sources) if bits >> i & 1]

    def _walk(self, node: Node) -> None:
        reads = valued(node.op_type, node.reads)
        by, behind = _union(self.by, reads), _union(self.behind, reads)
        if not by:
            return
        self._weighed |= behind if node.op_type in ops.WEIGHS else 0
        looked_up = not behind and (self._looks_up(node) or self._picks(node))
        unpacked = not looked_up and self._unpacks(node, reads)
        for name in node.writes:
            self.by[name] = by
            if not looked_up and not unpacked and behind:
                self.behind[name] = behind
        if not behind and not looked_up:
            self._hand_on(node)

    def _looks_up(self, node: Node) -> bool:
        """Note rows that are read at positions; whether there are any."""
        index = ops.indices_of(node)
        if index is None or not self.by.get(index):
            return False
        tables = [name for name in node.inputs if name and name != index]
        if any(name in self.by for name in tables):
            return False
        out, kind = node.outputs[0], self.graph.elem_types.get(node.outputs[0])
        if kind in (onnx.TensorProto.BOOL, onnx.TensorProto.STRING):
            return False
        self._make(out, tables[0], self.ids.get(index, 0), self.by[index])
        if not self.graph.may_be_float(out):
            # Codes, or the positions of another table.
            self._codes[out] = len(self.made) - 1
            self.ids[out] = self.ids.get(index, 0)
            del self.behind[out]
        return True

    def _picks(self, node: Node) -> bool:
        """Note rows that a product with one-hot rows picks; whether there are any."""
        if not ops.picks_rows(node, self._rows) or any(n in self.by for n in node.inputs[1:]):
            return False
        hot = node.inputs[0]
        self._make(node.outputs[0], node.inputs[1], self._rows[hot], self.by[hot])
        self._hot.add(len(self.made) - 1)
        return True

    def _make(self, tensor: str, table: str, ids: int, by: int) -> None:
        self.made.append(LookUp(tensor, table, ids, by))
        self.behind[tensor] = 1 << len(self.made) - 1

    def _unpacks(self, node: Node, reads: Iterable[str]) -> bool:
        """Take the look-up of codes on to the numbers that are made of them."""
        own = sorted({self._codes[name] for name in reads if name in self._codes})
        if not own or node.op_type not in ops.UNPACKS:
            return False
        if any(
            self.graph.may_be_float(n) and self._reads[n] > 1 for n in reads if n in self._codes
        ):
            return False  # numbers already, and more than one node works with them
        beside = [name for name in reads if name in self.by and name not in self._codes]
        first, out = self.made[own[0]], node.outputs[0]
        scales = {
            k for k, each in enumerate(self.made) if each.tensor in beside and each.by == first.by
        }
        if len(scales) < len(beside) or (scales and node.op_type not in ops.SCALES):
            return False
        self._parts |= scales | set(own[1:])
        if not self.graph.may_be_float(out):
            self._codes |= dict.fromkeys(node.writes, own[0])
            return False
        narrow = self.graph.elem_types.get(first.table) in CODES
        first.tensor = out
        self.behind[out] = 1 << own[0]
        if narrow and node.op_type not in ops.FINISHES:
            self._codes[out] = own[0]
        return True

    def _hand_on(self, node: Node) -> None:
        """Note what still says which row, and which rows are one-hot."""
        places = ops.HANDS_ON.get(node.op_type, ())
        handed = [n for i, n in enumerate(node.inputs) if i in places and n]
        ids = _union(self.ids, [*handed, *node.implicit])
        if node.op_type in ops.COUNTS or not self._counts.isdisjoint(handed):
            self._counts.update(node.writes)  # of what, does not matter
        elif ids:
            self.ids |= dict.fromkeys(node.writes, ids)
        if ops.makes_one_hot(node) and node.inputs[0] in self.ids:
            self._rows[node.outputs[0]] = self.ids[node.inputs[0]]
        if node.op_type in LAYOUT and node.inputs[0] in self._rows:
            self._rows[node.outputs[0]] = self._rows[node.inputs[0]]


def _union(found: Mapping[str, int], names: Iterable[str]) -> int:
    bits = 0
    for name in names:
        bits |= found.get(name, 0)
    return bits
