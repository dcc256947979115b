"""An ONNX graph in the making: every call adds a node, equal calls share one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

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
    """

    def __init__(self, dtype: npt.DTypeLike, taken: Collection[str] = ()) -> None:
        self.dtype = np.dtype(dtype)
        self.nodes: list[onnx.NodeProto] = []
        self.stored: dict[str, Array] = {}
        self._taken = set(taken)
        self._count = 0
        self._by_identity: dict[int, tuple[Array, str]] = {}
        self._by_value: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._made: dict[Any, list[str]] = {}

    def fresh(self, base: str) -> str:
        """Return a tensor name that nothing has yet."""
        while True:
            self._count += 1
            name = f"{base}~{self._count}"
            if name not in self._taken:
                self._taken.add(name)
                return name

    def __call__(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, or find the one that is there."""
        return self.several(op_type, 1, *inputs, **attributes)[0]

    def several(self, op_type: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with ``count`` outputs, or find the one that is there."""
        key = (op_type, count, inputs, tuple(sorted((k, str(v)) for k, v in attributes.items())))
        if key not in self._made:
            outputs = [self.fresh(op_type) for _ in range(count)]
            self.nodes.append(onnx.helper.make_node(op_type, inputs, outputs, **attributes))
            self._made[key] = outputs
        return self._made[key]

    def add(self, node: onnx.NodeProto) -> None:
        """Add a node as it is; its outputs keep their names."""
        self._taken.update(node.output)
        self.nodes.append(node)

    def keep(self, name: str, array: Array) -> None:
        """Store a constant under a name of its own."""
        self._taken.add(name)
        self.stored[name] = array
        self._by_identity.setdefault(id(array), (array, name))

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
        return self._store(array)

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

    def settled(self, dtype: npt.DTypeLike) -> np.dtype[Any]:
        """Element type that a tensor of this type has in the graph: all floats have one."""
        dtype = np.dtype(dtype)
        return self.dtype if dtype.kind == "f" or dtype.name == "bfloat16" else dtype

    def cast(self, tensor: str, before: npt.DTypeLike, after: npt.DTypeLike) -> str:
        """Bring a tensor to another element type."""
        if np.dtype(before) == np.dtype(after):
            return tensor
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(after))
        return self("Cast", tensor, to=int(kind))
