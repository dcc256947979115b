"""An ONNX graph in the making: every call adds a node, equal calls share one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnxlin.lowering.needed import needed, renamed, without_indices

Array = npt.NDArray[Any]

# Constants up to this size are compared by their bytes, larger ones by identity.
SMALL = 1024


class Emitter:
    """Nodes and constants of a graph.

    Parameters
    ----------
    dtype : numpy.dtype
        Of every float that is computed; constants are stored in it.
    taken : collection of str
        Tensor names that may not be used.
    single : bool
        Whether stacks hold one array, and not any number of them.

    Attributes
    ----------
    steep : bool
        Whether masks may be steep HardSigmoids; the CPU provider alone is known to compute them.
    lean : {tensor: bool}
        Weights that are read where they lie, and not stored another way round for speed. Of those
        with True there may be one copy more, a constant of its own; see `apart`.
    shapes : {tensor: shape}
        Of the tensors that traced arrays stand for.
    added : set of str
        What nodes make that were added as they are.
    facts : {tensor: Fact}
        What `onnxlin.lowering.facts` has found of tensors.
    """

    def __init__(
        self, dtype: npt.DTypeLike, taken: Collection[str] = (), *, single: bool = False
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.single, self.steep = single, True
        self.lean: Mapping[str, bool] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.stored: dict[str, Array] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.kinds: dict[str, np.dtype[Any]] = {}
        self.added: set[str] = set()
        self.facts: dict[str, Any] = {}
        self._taken = set(taken)
        self._count = 0
        self._by_identity: dict[int, tuple[Array, str]] = {}
        self._by_address: dict[int, tuple[Array, str]] = {}
        self._by_value: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._made: dict[Any, list[str]] = {}
        self._makers: dict[str, onnx.NodeProto] = {}
        self._producers: dict[str, onnx.NodeProto] = {}
        self._instead: dict[str, str] = {}
        self._apart: dict[Any, str] = {}

    def fresh(self, base: str) -> str:
        """Return a tensor name that nothing has yet."""
        self._count = self._next(base)
        name = f"{base}~{self._count}"
        self._taken.add(name)
        return name

    def _next(self, base: str) -> int:
        """The next number that makes another name of a base."""
        return next(n for n in count(self._count + 1) if f"{base}~{n}" not in self._taken)

    def __call__(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, or find the one that is there."""
        return self.several(op_type, 1, *inputs, **attributes)[0]

    def permuted(self, tensor: str, order: Sequence[int]) -> str:
        """Permute the axes of a tensor; of what has been permuted before, both at once."""
        order = [int(axis) for axis in order]
        before = self._makers.get(tensor)
        if before is not None and before.op_type == "Transpose":
            (perm,) = (attribute.ints for attribute in before.attribute)
            return self.permuted(before.input[0], [perm[axis] for axis in order])
        return tensor if order == sorted(order) else self("Transpose", tensor, perm=order)

    def several(self, op_type: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with ``count`` outputs, or find the one that is there."""
        if op_type == "Reshape":
            inputs = self._reshaped_once(*inputs, **attributes)
        node = onnx.helper.make_node(op_type, inputs, [], **attributes)
        key = (count, node.SerializeToString(deterministic=True))
        if key not in self._made:
            outputs = [self.fresh(op_type) for _ in range(count)]
            node.output.extend(outputs)
            self.nodes.append(node)
            self._makers |= dict.fromkeys(outputs, node)
            self._made[key] = outputs
        return self._made[key]

    def _reshaped_once(self, tensor: str, shape: str, *, allowzero: int = 0) -> tuple[str, str]:
        """What a Reshape reads: of what has been reshaped before, that itself."""
        before, sizes = self._makers.get(tensor), self.stored.get(shape)
        if before is None or before.op_type != "Reshape" or sizes is None:
            return tensor, shape
        if 0 in sizes:  # the size of the axis before: that which the first of the two gives it
            known = self.stored.get(before.input[1])
            first = -1 if known is None or not known.size else int(known[0])
            if allowzero or 0 in sizes[1:] or first < 0 or (first == 0 and before.attribute):
                return tensor, shape
            shape = self.ints([first, *sizes[1:]])
        return before.input[0], shape

    def joined(self, names: Sequence[str]) -> str:
        """Concatenate along axis 0; what was cut apart there is taken as a whole."""
        runs: list[tuple[onnx.NodeProto | None, list[str]]] = []
        for name in (self._instead.get(name, name) for name in names):
            cut = self._cut(name)
            last, run = runs[-1] if runs else (None, [])
            follows = (
                cut is not None
                and cut is last
                and self._place(cut, run[-1]) + 1 == (self._place(cut, name))
            )
            if follows:
                run.append(name)
            else:
                runs.append((cut, [name]))
        parts = [self._run(cut, run) for cut, run in runs]
        return self("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]

    def cut_from(self, name: str) -> tuple[str, int]:
        """Tensor that another one is a piece of, and its place there; itself if of none."""
        name = self._instead.get(name, name)
        cut = self._cut(name)
        return (cut.input[0], self._place(cut, name)) if cut is not None else (name, 0)

    def in_order(self, reads: Sequence[Sequence[str]]) -> list[int]:
        """Order nodes so that pieces of one tensor that they read follow each other as there."""
        for names in zip(*reads, strict=True):
            places = [self.cut_from(name) for name in names]
            half = len(places) // 2
            if len({whole for whole, _ in places}) <= half < len(set(places)):
                return sorted(range(len(places)), key=places.__getitem__)
        return list(range(len(reads)))

    def _cut(self, name: str) -> onnx.NodeProto | None:
        """Return the node that cuts a tensor out of another one, one entry of axis 0 at a time."""
        node = self.producer(name)
        equal = node is not None and node.op_type == "Split" and len(node.input) == 1
        if not equal or node is None:
            return None
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        size = self.shapes.get(name, ())[:1]
        return node if axis == 0 and size == (1,) else None

    @staticmethod
    def _place(node: onnx.NodeProto, name: str) -> int:
        return list(node.output).index(name)

    def _run(self, cut: onnx.NodeProto | None, names: list[str]) -> str:
        """Take neighbouring pieces of a tensor at once."""
        if cut is None or len(names) == 1:
            return names[0]
        start, whole = self._place(cut, names[0]), cut.input[0]
        if len(names) == len(cut.output):
            return whole
        ends = (self.ints([n]) for n in (start, start + len(names), 0))
        return self("Slice", whole, *ends)

    def maker(self, tensor: str) -> onnx.NodeProto | None:
        """Return the node that a call has made a tensor by."""
        return self._makers.get(tensor)

    def producer(self, tensor: str) -> onnx.NodeProto | None:
        """Return the node that makes a tensor, one of the forward pass or one that a call added."""
        return self._makers.get(tensor) or self._producers.get(tensor)

    def found(self, op_type: str, *inputs: str) -> str | None:
        """Return what a node without attributes makes of these inputs, if there is one."""
        node = onnx.helper.make_node(op_type, inputs, [])
        return self._made.get((1, node.SerializeToString(deterministic=True)), [None])[0]

    def add(self, node: onnx.NodeProto) -> None:
        """Add a node as it is; its outputs keep their names, and serve equal calls as well."""
        self._taken.update(node.output)
        self.added.update(node.output)
        self._producers |= dict.fromkeys(node.output, node)
        self.nodes.append(node)
        bare = onnx.helper.make_node(node.op_type, node.input, [], domain=node.domain or None)
        bare.attribute.extend(sorted(node.attribute, key=lambda a: a.name))
        key = (len(node.output), bare.SerializeToString(deterministic=True))
        self._made.setdefault(key, list(node.output))

    @property
    def coefficients(self) -> set[str]:
        """Tensors of known shapes that are no part of the forward pass."""
        return set(self.shapes) - self.added

    def stand_in(self, tensor: str, other: str) -> None:
        """Let a tensor be read wherever another one, of the same value, is."""
        self._instead[other] = tensor

    def finished(self, wanted: Sequence[str]) -> list[onnx.NodeProto]:
        """Return the nodes that the wanted tensors need, each after those that it reads."""
        # A wanted tensor that another one stands for is a copy of that one: its own node, which may
        # be needed for its other outputs, then writes under a name that nobody reads.
        copied = {name: self._instead[name] for name in wanted if name in self._instead}
        aside = {name: f"{name}~{self._next(name)}" for name in copied}
        nodes = [renamed(node, self._instead, aside) for node in self.nodes]
        nodes += [onnx.helper.make_node("Identity", [b], [a]) for a, b in copied.items()]
        return needed([without_indices(node, self._instead) for node in nodes], wanted)

    def keep(self, name: str, array: Array) -> None:
        """Store a constant under a name of its own, or write a view of one that is stored."""
        self._taken.add(name)
        turned = None if array.flags.c_contiguous else self._view(array)
        if turned is None:
            self.stored[name] = array
        else:
            self.add(onnx.helper.make_node("Identity", [turned], [name]))
        self._by_identity.setdefault(id(array), (array, name))
        if array.nbytes > SMALL and array.flags.c_contiguous:
            self._by_address.setdefault(_address(array), (array, name))

    def constant(self, array: Array) -> str:
        """Store a constant as it is, or find it."""
        array = np.asarray(array)
        if id(array) in self._by_identity:
            return self._by_identity[id(array)][1]
        if array.nbytes <= SMALL:
            key = (array.dtype.str, array.shape, array.tobytes())
            if key not in self._by_value:
                self._by_value[key] = self._store(array)
            return self._by_value[key]
        return self._view(array) or self._store(array)

    def _view(self, array: Array) -> str | None:
        """Write a view of a stored array, its axes permuted, as a node: it is stored only once."""
        source, name = self._by_address.get(_address(array), (array, ""))
        order = np.argsort([-step for step in array.strides], kind="stable")
        laid = array.transpose(order)
        fits = (laid.size, laid.dtype) == (source.size, source.dtype) and laid.flags.c_contiguous
        if not name or not fits:
            return None
        if laid.shape != source.shape:
            name = self("Reshape", name, self.ints(laid.shape))
        return self.permuted(name, np.argsort(order).tolist())

    def place(self, array: Array) -> str:
        """Name of the stored constant that an array is, or is a view of; "" if of none."""
        nothing = (array, "")
        known = self._by_identity.get(id(array), nothing)[1]
        return known or self._by_address.get(_address(array), nothing)[1]

    def apart(self, array: Array) -> str:
        """Store a view of a constant as one of its own, once."""
        key = _address(array), array.shape
        if key not in self._apart:
            self._apart[key] = self._store(array)
        return self._apart[key]

    def _store(self, array: Array) -> str:
        name = self.fresh("constant")
        self.keep(name, array)
        return name

    def floats(self, value: Any) -> str:
        """Store numbers in the graph's float type."""
        return self.constant(np.asarray(value).astype(self.dtype, copy=False))

    def ints(self, values: Any) -> str:
        """Store whole numbers: a shape, axes, an index."""
        return self.constant(np.asarray(values, dtype=np.int64))

    def computed_in(self, dtype: npt.DTypeLike) -> np.dtype[Any]:
        """Element type in which the graph computes what has this one: all floats have one."""
        dtype = np.dtype(dtype)
        return self.dtype if dtype.kind == "f" or dtype.name == "bfloat16" else dtype

    def cast(self, tensor: str, before: npt.DTypeLike, after: npt.DTypeLike) -> str:
        """Bring a tensor to another element type."""
        if np.dtype(before) == np.dtype(after):
            return tensor
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(after))
        return self("Cast", tensor, to=int(kind))


def _address(array: Array) -> int:
    """Where in memory the first entry of an array lies."""
    found: int = array.__array_interface__["data"][0]
    return found
