"""The graph as rules see it: read-only, every node in the newest form of its operator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnxlin.graph.mapped import MappedFile, files_of
from onnxlin.graph.told import FEATURES, metadata_of, named_in
from onnxlin.texts import shown

Array = npt.NDArray[Any]

FLOAT_TYPES = frozenset(
    {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.BFLOAT16,
    }
)


@cache  # NumPy makes up the name of a type anew each time
def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether numbers of a type are floats of 16 bits or more; 8-bit ones count as codes."""
    # Some types of the ml_dtypes package are of kind "f" as well, bfloat16 is not.
    return dtype.name in ("float16", "float32", "float64", "bfloat16")


@dataclass(frozen=True, eq=False)
class Node:
    """One operator call.

    Parameters
    ----------
    name : str
        Unique in the graph; made up from the first output where the file has none.
    op_type, domain : str
        The domain of the standard operators is "".
    inputs, outputs : tuple of str
        Tensor names; "" where an optional one is left out.
    attributes : mapping
        Attributes as Python values, defaults of the newest schema filled in.
    given : frozenset of str
        The attributes that the file sets itself.
    implicit : tuple of str
        Tensors that a subgraph of this node reads from outside.
    source : onnx.NodeProto
        The node as the file has it.
    """

    name: str
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    given: frozenset[str]
    source: onnx.NodeProto = field(repr=False)
    implicit: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # protobuf prints names in graphs and tensors as they are, whatever a terminal makes of it.
        parts = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
        return shown(f"Node({', '.join(parts)})")

    def __getstate__(self) -> dict[str, Any]:
        """Pickle a copy: other threads may find out more meanwhile."""
        return dict(vars(self))

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """Every tensor that this node needs."""
        return tuple(name for name in self.inputs if name) + self.implicit

    @cached_property
    def writes(self) -> tuple[str, ...]:
        """Every tensor that this node makes."""
        return tuple(name for name in self.outputs if name)


@dataclass(frozen=True)
class TensorType:
    """Element type (``onnx.TensorProto.*``) and shape of a graph input; None where unknown."""

    elem_type: int
    shape: tuple[int | str | None, ...] | None

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype."""
        return _numpy_type(self.elem_type)

    @property
    def is_float(self) -> bool:
        """Whether a derivative with respect to it makes sense."""
        return self.elem_type in FLOAT_TYPES

    def __str__(self) -> str:
        if not self.elem_type:
            return "no tensor"  # a sequence, map or optional
        shape = "" if self.shape is None else "x".join(shown(str(n or "?")) for n in self.shape)
        kind = "text" if self.elem_type == onnx.TensorProto.STRING else self.dtype
        return f"{kind}[{shape}]"


@cache
def _numpy_type(elem_type: int) -> np.dtype[Any]:
    return onnx.helper.tensor_dtype_to_np_dtype(elem_type)


@dataclass(frozen=True, eq=False)
class Graph:
    """A model ready to be linearised.

    Parameters
    ----------
    nodes : tuple of Node
        In an order in which each node comes after those that it reads.
    inputs : mapping
        The tensors that a caller must give (initialisers left out), with their types.
    outputs : tuple of str
    initialisers : mapping
        The constants stored in the file, and those made while nodes were brought to newest form.
    elem_types : mapping
        Element type of every tensor for which shape inference found one.
    model : onnx.ModelProto
        What onnxruntime runs: the file's own nodes, local functions inlined, sorted.
    opsets : mapping
        Domain -> imported version.
    optional : mapping
        Inputs that the file has a value for: it is a constant until a caller gives another one.
    defaults : mapping
        The values of those that `onnxlin.load.load` was told to take as inputs.
    """

    nodes: tuple[Node, ...]
    inputs: Mapping[str, TensorType]
    outputs: tuple[str, ...]
    initialisers: Mapping[str, Array]
    elem_types: Mapping[str, int]
    model: onnx.ModelProto
    opsets: Mapping[str, int]
    optional: Mapping[str, TensorType] = field(default_factory=dict)
    defaults: Mapping[str, Array] = field(default_factory=dict)
    producer: Mapping[str, Node] = field(init=False)

    def __post_init__(self) -> None:
        made = {name: node for node in self.nodes for name in node.writes}
        object.__setattr__(self, "producer", made)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle every message once: nodes whose source lies in the model say where."""
        places = {id(proto): i for i, proto in enumerate(self.model.graph.node)}
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        own["nodes"] = [
            {
                **{f.name: getattr(node, f.name) for f in fields(node)},
                "attributes": {n: _placed(node.source, n, v) for n, v in node.attributes.items()},
                "given": sorted(node.given),
                "source": places.get(id(node.source), node.source),
            }
            for node in self.nodes
        ]
        inside = {t.name: t for t in self.model.graph.initializer if not t.external_data}
        own["initialisers"] = {
            name: None if name in inside and _holds(inside[name], array) else array
            for name, array in self.initialisers.items()
        }
        return revived, (own,)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle a copy: other threads may find out more meanwhile."""
        return dict(vars(self))

    @cached_property
    def features(self) -> tuple[str, ...]:
        """Names of the features, from the model's metadata; () where there are none."""
        return named_in(metadata_of(self.model), FEATURES)

    @cached_property
    def tensors(self) -> frozenset[str]:
        """Names of all tensors."""
        return frozenset({*self.inputs, *self.initialisers, *self.producer})

    @cached_property
    def files(self) -> tuple[MappedFile, ...]:
        """The files in which weights lie."""
        return files_of(self.initialisers.values())

    def moved_by(self, sources: Iterable[str]) -> set[str]:
        """Tensors of any type that may change when the sources do, themselves included."""
        reached = set(sources)
        for node in self.nodes:
            if not reached.isdisjoint(node.reads):
                reached.update(node.writes)
        return reached

    def may_be_float(self, tensor: str) -> bool:
        """Whether the tensor is float, or of a type that inference could not tell."""
        return self.elem_types.get(tensor, onnx.TensorProto.FLOAT) in FLOAT_TYPES

    def may_hold_floats(self, name: str) -> bool:
        """Whether this is a float tensor, or a sequence or optional, which may hold some."""
        kind = self.elem_types.get(name, onnx.TensorProto.FLOAT)
        return kind == onnx.TensorProto.UNDEFINED or kind in FLOAT_TYPES


@dataclass(frozen=True)
class _Place:
    """Where a message lies that is the value of an attribute: field ``part`` of the i-th."""

    i: int
    part: str


def _placed(source: onnx.NodeProto, name: str, value: Any) -> Any:
    """Say where the value of an attribute lies in the node's source; itself where it does not."""
    if isinstance(value, onnx.TensorProto | onnx.GraphProto):
        for i, attribute in enumerate(source.attribute):
            part = "t" if attribute.HasField("t") else "g"
            if attribute.name == name and getattr(attribute, part) is value:
                return _Place(i, part)
    return value


def _holds(tensor: onnx.TensorProto, array: Array) -> bool:
    """Whether a small weight lies in the model as it is here."""
    found = onnx.numpy_helper.to_array(tensor)
    like = (found.dtype, found.shape) == (array.dtype, array.shape)
    return like and not array.dtype.hasobject and found.tobytes() == array.tobytes()


def revived(own: dict[str, Any]) -> Graph:
    """Make a graph again that has been pickled."""
    protos = own["model"].graph.node
    nodes = []
    for parts in own["nodes"]:
        source = parts["source"]
        source = protos[source] if isinstance(source, int) else source
        attributes = {
            name: getattr(source.attribute[v.i], v.part) if isinstance(v, _Place) else v
            for name, v in parts["attributes"].items()
        }
        given = frozenset(parts["given"])
        nodes.append(Node(**{**parts, "attributes": attributes, "given": given, "source": source}))
    inside = {t.name: t for t in own["model"].graph.initializer}
    arrays = {
        name: onnx.numpy_helper.to_array(inside[name]) if array is None else array
        for name, array in own["initialisers"].items()
    }
    for array in arrays.values():
        array.flags.writeable = False  # which does not travel
    return Graph(**{**own, "nodes": tuple(nodes), "initialisers": arrays})
