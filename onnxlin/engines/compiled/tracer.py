"""A section written into a graph, with an array of `onnxlin.lowering` for each of its tensors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from onnxlin.engines.compiled.codes import Known, spell_out
from onnxlin.engines.memory import size_of
from onnxlin.graph import Array, Node, is_float
from onnxlin.graph.sequences import element
from onnxlin.load.newest import NEWEST_RUNNABLE, newest_node
from onnxlin.lowering import Emitter, Fact, NotStaticError, Traced, example, hollow
from onnxlin.lowering.winners import windows_of, winners
from onnxlin.operators.families import (
    RANDOM,
    SAME_ENTRIES,
    permutation,
    rounds_quotient_down,
)
from onnxlin.operators.quantisation import rounds
from onnxlin.operators.schemas import output_position
from onnxlin.operators.shaped import settled_shapes
from onnxlin.operators.shapes import shaped_by_values, told, valued
from onnxlin.section import Section
from onnxlin.section.trace import Captures, Tracer


class GraphTracer:
    """Stands in for a `Tracer`: writes the section's nodes into a graph instead of keeping a run.

    A `Tracer` answers with the tensors' values at x. This one answers with `Traced` arrays, which
    stand for the tensors at any x of these shapes, and keeps examples of them, from the x given.

    Parameters
    ----------
    section : Section
    captures : {node name: output names of the schema}
    emitter : Emitter
        The graph; bodies of nodes are written into the same one.
    standing : Tracer, optional
        One that is open already: if it is of the same section, no other is opened.

    Attributes
    ----------
    rounds : bool
        Whether what was written rounds to steps what depends on x.
    size : int
        Bytes of the tensors that depend on x.
    """

    def __init__(
        self,
        section: Section,
        captures: Captures,
        emitter: Emitter,
        standing: Tracer | None = None,
    ) -> None:
        self.section = section
        self.emitter = emitter
        self._captures = captures
        if standing is None or (standing.section, standing.captures) != (section, captures):
            standing = Tracer(section, captures)
        self._tracer = standing
        self.fixed = self._tracer.fixed
        self._examples: dict[str, Any] = {}
        self._shaped: set[str] | None = None
        self.rounds = False
        self.size = 0

    def __call__(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Write the nodes; tensor name -> array where it is known before x, `Traced` where not."""
        self._examples = self._tracer({name: example(value) for name, value in feeds.items()})
        # A reshaped tensor is the same memory.
        again = {o for n in self.section.graph.nodes if n.op_type in SAME_ENTRIES for o in n.writes}
        apart = self._examples.keys() - self.fixed.keys() - again
        self.size = sum(size_of(self._examples[name]) for name in apart)
        # Sequences are always put together by their nodes: no graph stores one.
        every: dict[str, Any] = dict(self.fixed)
        fixed = {name: value for name, value in every.items() if not isinstance(value, list)}
        for name, array in {**self.section.graph.initialisers, **fixed}.items():
            self.emitter.keep(name, array)
        for name, value in feeds.items():
            self._feed(name, value)
        known, varying = self._known(feeds)
        self._require_decided_shapes(varying)
        for name in known:
            self.emitter.keep(name, known[name])
        stored = {**known, **fixed}
        self.rounds = rounds(self.section.graph, self.section.graph.nodes, varying)
        for node in self.section.graph.nodes:
            if not all(name in stored for name in node.writes):
                self._write(node, stored)
        written = {
            name: self._written(name, value)
            for name, value in list(self._examples.items())
            if not isinstance(value, list) or name in varying
        }
        self._examples = {
            name: hollow(value) if isinstance(value, np.ndarray) else value
            for name, value in self._examples.items()
        }
        return {**self._examples, **written, **self.fixed, **known}

    def _write(self, node: Node, stored: Mapping[str, Array]) -> None:
        """Write a node, in newest form, or as arithmetic that no optimiser takes for a pair."""
        constants = {**self.section.graph.initialisers, **stored}

        def at_x(name: str) -> Array | None:
            found = self._examples.get(name, constants.get(name))
            return np.asarray(found) if isinstance(found, np.ndarray | np.generic) else None

        if not spell_out(self.emitter, self.section.graph, node, Known(at_x, constants.get)):
            proto = self._unfolded(self._proto(node, stored), stored)
            self.emitter.add(proto)
            self._won(node, proto)

    def _won(self, node: Node, proto: onnx.NodeProto) -> None:
        """Let the indices of a pool that only its rule reads be found in a faster way."""
        extra = [name for name in proto.output if name not in node.writes]
        if self.rounds or len(extra) != 1:
            return
        x, y = (self._examples.get(name) for name in (node.inputs[0], node.outputs[0]))
        if not isinstance(x, np.ndarray) or not isinstance(y, np.ndarray) or x.dtype != np.float32:
            return
        windows = windows_of(proto, x.shape, y.shape) if self.emitter.steep else None
        name = windows and winners(self.emitter, windows, proto.input[0], proto.output[0])
        if name:
            self.emitter.stand_in(name, *extra)

    def _unfolded(self, proto: onnx.NodeProto, stored: Mapping[str, Array]) -> onnx.NodeProto:
        """Let a node of a graph that rounds read as computed what the model computes.

        onnxruntime packs weights that are constants, and sums products with them in another order
        than with those that a node has made, as DequantizeLinear does. An optimiser folds the copy.
        """
        producer = self.section.graph.producer
        for i, name in enumerate(proto.input):
            made = name in stored and name in producer and producer[name].reads
            if self.rounds and made and stored[name].ndim > 1:
                proto.input[i] = self.emitter("Identity", name)
        return proto

    def _written(self, name: str, value: Any) -> Any:
        """Return the array that stands for a tensor, or those that stand for a sequence's."""
        if isinstance(value, list):
            return [self._element(name, k, np.asarray(part)) for k, part in enumerate(value)]
        if not isinstance(value, np.ndarray | np.generic):
            return value  # an optional that holds nothing
        return self._in_map_type(name, np.asarray(value))

    def _element(self, name: str, k: int, value: Array) -> Traced:
        """Take a tensor out of a sequence; the body of a node may have been given it as such."""
        own, at = element(name, k), self.emitter.ints(k)
        if own not in self.section.graph.tensors:
            self.emitter.add(onnx.helper.make_node("SequenceAt", [name, at], [own]))
        self._examples[own] = value
        return self._in_map_type(own, value, name)

    def _in_map_type(self, name: str, value: Array, whole: str = "") -> Traced:
        """Bring a tensor to the one float type of what is computed beside the forward pass.

        ``whole`` is the sequence that holds it.
        """
        kind = self.emitter.computed_in(value.dtype)
        if value.dtype.itemsize < kind.itemsize and (whole or name) in self.section.live:
            # The interpreters go on with their own forward pass, which is not rounded so coarsely.
            raise NotStaticError(f"tensor {name!r} is {value.dtype}, coarser than the map's {kind}")
        cast = self.emitter.cast(name, value.dtype, kind)
        return Traced(self.emitter, cast, value.astype(kind, copy=False))

    def native(self, name: str) -> Array:
        """Return the example of a tensor in the type that the model has."""
        return np.asarray(self._examples[name])

    def _feed(self, name: str, value: Any) -> None:
        """Bring a tensor from outside to the name that the section has for it."""
        if not isinstance(value, Traced):
            self.emitter.keep(name, value)
        elif value.name != name:
            self.emitter.add(onnx.helper.make_node("Identity", [value.name], [name]))
        elif name not in self.section.inputs:
            self.emitter.facts[name] = Fact.NONE  # a mask that is fed may hold infinities

    def _known(self, feeds: Mapping[str, Any]) -> tuple[dict[str, Array], set[str]]:
        """Tensors that follow from shapes, and from what is fixed, alone; and those that do not."""
        varying = set(self.section.varying)
        varying -= {name for name, value in feeds.items() if not isinstance(value, Traced)}
        known: dict[str, Array] = {}
        for node in self.section.graph.nodes:
            follows = varying.isdisjoint(valued(node.op_type, node.reads))
            if follows and node.op_type not in RANDOM:
                varying -= set(node.writes)
                known |= {n: self._examples[n] for n in node.writes if n in self._examples}
        arrays = {n: v for n, v in known.items() if isinstance(v, np.ndarray)}
        return {n: v for n, v in arrays.items() if n not in self.fixed}, varying

    def _require_decided_shapes(self, varying: Collection[str]) -> None:
        """Raise NotStaticError where the shape of a tensor that matters depends on values."""
        found = shaped_by_values(self.section.graph.nodes, varying, self._settled)
        for name in sorted(self.section.touched & set(found)):
            raise NotStaticError(told(found[name]))

    def _settled(self, node: Node) -> bool:
        """Whether the branches of an If make the same shapes at every x of the example's shapes."""
        if self._shaped is None:
            feeds = {n: v for n, v in self._examples.items() if isinstance(v, np.ndarray)}
            self._shaped = set(settled_shapes(self.section.graph.model, feeds))
        return self._shaped.issuperset(node.writes)

    def _proto(self, node: Node, stored: Collection[str]) -> onnx.NodeProto:
        """Write a node in newest form, with the further outputs that its rule wants.

        Outputs that are stored as constants get another name, which nothing reads.
        """
        proto = self._still(node) or self._floored(node) or newest_node(self.section.graph, node)
        proto.output[:] = [self.emitter.fresh(n) if n in stored else n for n in proto.output]
        for output in self._captures.get(node.name, ()):
            at = output_position(node, NEWEST_RUNNABLE, output)
            assert at is not None, f"{node.op_type} has no output {output}"
            proto.output.extend([""] * (at + 1 - len(proto.output)))
            proto.output[at] = proto.output[at] or _extra(node, output)
        return proto

    def _still(self, node: Node) -> onnx.NodeProto | None:
        """Write a Transpose that only moves axes of length 1 as a Reshape, which moves nothing."""
        # What is folded has no example.
        given = self._examples.get(node.inputs[0]) if node.inputs else None
        shape = np.shape(given) if isinstance(given, np.ndarray) else ()
        perm = permutation(node, len(shape))
        if perm is None or not isinstance(given, np.ndarray):
            return None
        longer = [p for p in perm if shape[p] != 1]
        if longer != sorted(longer) or 0 in shape:
            return None
        to = self.emitter.ints([shape[p] for p in perm])
        return onnx.helper.make_node("Reshape", [node.inputs[0], to], list(node.outputs))

    def _floored(self, node: Node) -> onnx.NodeProto | None:
        """Write a Mod of floats that rounds the quotient down: newer than the set of the graph."""
        value = self._examples.get(node.inputs[0]) if rounds_quotient_down(node) else None
        if value is None or not is_float(value.dtype):
            return None
        graph, (a, b) = self.emitter, node.inputs
        rest = graph("Mod", a, b, fmod=1)
        zero = graph.constant(np.zeros((), value.dtype))
        apart = graph("Less", graph("Mul", graph("Sign", rest), graph("Sign", b)), zero)
        own = graph("Where", apart, b, zero)
        return onnx.helper.make_node("Add", [rest, own], list(node.outputs), name=node.name)

    def expanded(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Let the body's tensors be read in place of the node's: the node need not run."""
        for inner, outer in pairs:
            kind = self._examples[outer].dtype
            name = self.emitter.cast(inner, self.emitter.computed_in(kind), kind)
            self.emitter.stand_in(name, outer)

    def native_outputs(self, node: Node, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the further outputs of a node that its rule wants."""
        found = self._tracer.native_outputs(node, {n: example(v) for n, v in values.items()})
        outputs = dict(zip(_outputs(node), node.outputs, strict=False))
        return {
            output: Traced(self.emitter, outputs.get(output) or _extra(node, output), value)
            for output, value in found.items()
        }


def _outputs(node: Node) -> list[str]:
    return [o.name for o in onnx.defs.get_schema(node.op_type, node.domain).outputs]


def _extra(node: Node, output: str) -> str:
    return f"{node.outputs[0]}/{output}"
