"""A node on its way to the newest form of its operator, and what is known around it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import onnx

from onnxlin.errors import UnsupportedNodeError
from onnxlin.graph import Array

_NAMES = """
    Abs Add AveragePool BatchNormalization Cast Ceil Clip Concat Conv ConvTranspose Div
    Dropout Elu Exp Floor GlobalAveragePool GlobalLpPool GlobalMaxPool HardSigmoid Hardmax
    Identity InstanceNormalization LRN LeakyRelu Log LogSoftmax LpNormalization LpPool Max
    MaxPool Mean Min Mul Neg PRelu Pad Pow Reciprocal Relu Selu Sigmoid Softmax Softplus
    Softsign Split Sqrt Sub Sum Tanh Tile Transpose Upsample
"""
KEEPS_RANK = frozenset(_NAMES.split())
"""Operators whose first schemas gave their output the rank of their first input."""


@dataclass
class Draft:
    """A mutable node.

    Parameters
    ----------
    name, op_type, domain : str
        The domain of the standard operators is "".
    inputs, outputs : list of str
        Tensor names; "" where an optional one is left out.
    attributes : dict
        Python values, only those that are set: no schema defaults.
    version : int
        ``since_version`` of the schema that the attributes and inputs follow.
    """

    name: str
    op_type: str
    domain: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    version: int = 1

    def has(self, i: int) -> bool:
        """Whether input ``i`` is given."""
        return i < len(self.inputs) and self.inputs[i] != ""

    def set_input(self, i: int, tensor: str) -> None:
        """Wire input ``i``, leaving out those before it that are not given yet."""
        self.inputs += [""] * (i + 1 - len(self.inputs))
        self.inputs[i] = tensor

    def refuse(self, why: str) -> UnsupportedNodeError:
        """Make the error for an old form that the newest one cannot express."""
        return UnsupportedNodeError(
            f"Node {self.name!r} ({self.op_type}, schema version {self.version}) cannot be brought "
            f"to the newest form of its operator: {why}"
        )


class Context:
    """The tensors around a node.

    Parameters
    ----------
    constants : dict
        Tensor -> array; new constants are added to it.
    ranks : mapping
        Tensor -> number of axes, for those of which it is known.
    elem_types : mapping
        Tensor -> ``onnx.TensorProto.*``; float32 is taken for those that it does not have.
    taken : container of str
        Names that no new tensor may have.
    """

    def __init__(
        self,
        constants: dict[str, Array],
        ranks: Mapping[str, int],
        elem_types: Mapping[str, int] | None = None,
        taken: Container[str] = (),
    ) -> None:
        self.constants = constants
        self._ranks = ranks
        self._learned: dict[str, int] = {}
        self._taken = taken
        self._elem_types = {} if elem_types is None else elem_types
        self._made: set[str] = set()
        self._values: dict[str, Array] = {}

    def value(self, tensor: str) -> Array | None:
        """Return the value of a constant, stored or made by a Constant node; None of others."""
        return self.constants.get(tensor, self._values.get(tensor))

    def rank(self, tensor: str) -> int | None:
        """Return the number of axes; None where it is not known."""
        value = self.value(tensor)
        if value is not None:
            return value.ndim
        if tensor in self._learned:
            return self._learned[tensor]
        return self._ranks.get(tensor)

    def learn(self, draft: Draft) -> None:
        """Note what a Constant holds, and ranks that shape inference of old schemas misses."""
        if draft.op_type == "Constant" and "value" in draft.attributes:
            self._values[draft.outputs[0]] = onnx.numpy_helper.to_array(draft.attributes["value"])
        if draft.version >= 7 or draft.op_type not in KEEPS_RANK or not draft.inputs:
            return  # ranks are found when they are asked for
        rank = self.rank(draft.inputs[0])
        for output in draft.outputs if draft.op_type == "Split" else draft.outputs[:1]:
            if rank is not None and output not in self._ranks:
                self._learned[output] = rank

    def dtype(self, tensor: str) -> np.dtype[Any]:
        """Return the NumPy dtype, float32 where it is not known."""
        value = self.value(tensor)
        if value is not None:
            return value.dtype
        elem_type = self._elem_types.get(tensor, onnx.TensorProto.FLOAT)
        return onnx.helper.tensor_dtype_to_np_dtype(elem_type or onnx.TensorProto.FLOAT)

    def fresh(self, base: str) -> str:
        """Return a tensor name that nothing has yet."""
        n = 0
        while (name := f"{base}~{n}") in self._made or self._known(name):
            n += 1
        self._made.add(name)
        return name

    def _known(self, name: str) -> bool:
        known = (self.constants, self._learned, self._elem_types, self._taken)
        return any(name in names for names in known)

    def constant(self, base: str, array: Any, dtype: Any = np.int64) -> str:
        """Store a new constant and return its name."""
        name = self.fresh(base)
        self.constants[name] = np.asarray(array, dtype=dtype)
        return name

    def helper(
        self, draft: Draft, op_type: str, inputs: Iterable[str], output: str = "", **attributes: Any
    ) -> Draft:
        """Make a node, in its operator's newest form, that helps to express a draft."""
        name = self.fresh(f"{draft.name}:{op_type}")
        version = onnx.defs.get_schema(op_type).since_version
        return Draft(name, op_type, "", list(inputs), [output or name], attributes, version)


def to_proto(draft: Draft) -> onnx.NodeProto:
    """Write a draft as a node of the newest operator set."""
    inputs = list(draft.inputs)
    while inputs and not inputs[-1]:
        inputs.pop()
    node = onnx.helper.make_node(
        draft.op_type, inputs, draft.outputs, name=draft.name, domain=draft.domain
    )
    node.attribute.extend(_attribute(draft, key) for key in sorted(draft.attributes))
    return node


def _attribute(draft: Draft, key: str) -> onnx.AttributeProto:
    """Write one attribute; the schema tells the type of an empty list, and floats from ints."""
    value = draft.attributes[key]
    kind = None
    if onnx.defs.has(draft.op_type, domain=draft.domain):
        known = onnx.defs.get_schema(draft.op_type, domain=draft.domain).attributes
        kind = int(cast(Any, known[key].type)) if key in known else None
    if isinstance(value, list) and not value and kind is None:
        kind = onnx.AttributeProto.INTS
    if kind == onnx.AttributeProto.FLOAT:
        value = float(value)
    return onnx.helper.make_attribute(key, value, attr_type=kind)
