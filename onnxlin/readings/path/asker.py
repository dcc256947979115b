"""Ask a node for its piece at any point, in float64, without a run of the whole model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from onnxlin.errors import ModelError, RegionError
from onnxlin.graph import Graph, Node, is_float
from onnxlin.load.newest import NEWEST_RUNNABLE
from onnxlin.load.normalise import Draft, to_proto
from onnxlin.operators.schemas import output_position
from onnxlin.primitives import Array
from onnxlin.program import Bounds, Step
from onnxlin.program.build import Build
from onnxlin.program.builder import Builder
from onnxlin.program.pieces import make_decision
from onnxlin.program.rates import unit_roundoff
from onnxlin.rules import Body, rule_of
from onnxlin.runtime.opened import Session, run, session

DOUBLE, SINGLE = np.dtype(np.float64), np.dtype(np.float32)


@dataclass(frozen=True, eq=False)
class Piece:
    """What a node is on one piece of its domain.

    Parameters
    ----------
    steps : tuple of Step
        One for each float output that somebody reads.
    held : {tensor: value}
        Outputs that no step makes: what was compared, counted or picked.
    bounds : tuple of Bounds
        Where the piece holds.
    varies : bool
        Whether it was decided by looking at the point.
    reads : tuple of (tensor, value)
        Operands that are held; the piece is another one where these are.
    """

    steps: tuple[Step, ...]
    held: Mapping[str, Any]
    bounds: tuple[Bounds, ...]
    varies: bool
    reads: tuple[tuple[str, Any], ...] = ()

    def fits(self, held: Mapping[str, Any]) -> bool:
        """Whether its held operands are those of another cell."""
        return all(held.get(name) is value for name, value in self.reads)


class Asker:
    """The rules of a section, to be asked at points in float64.

    Parts of the model that are curved are no obstacle here; nodes that are opened into graphs of
    their own, and sequences, are.

    Parameters
    ----------
    builder : Builder
        `onnxlin.Linearizer.decider`.
    fixed : mapping
        Tensors that no move changes.
    """

    def __init__(self, builder: Builder, fixed: Mapping[str, Any]) -> None:
        self.builder = builder
        self.fixed = fixed
        self._kernels: dict[tuple[str, bool], Kernel] = {}

    def __call__(self, node: Node, alive: Mapping[str, Array], held: Mapping[str, Any]) -> Piece:
        """Ask at a point: ``alive`` are the tensors that move, ``held`` those that only jump."""
        ask = self.builder.ask
        rule = ask.rule(node)
        if rule.status == "unrolled":
            raise opened(node)
        values = {**self.fixed, **held, **alive}
        outputs = self.kernel(node, wide=True)(values)
        values.update(outputs)
        build = Build(values, DOUBLE, [], {}, set(alive))
        at_x = ask.at_x(node, build, outputs, own=False)
        pieces = ask.answer(rule, at_x)
        touched = (values.get(name) for name in (*node.reads, *node.writes))
        if isinstance(pieces, Body) or any(isinstance(value, list) for value in touched):
            raise opened(node)
        steps = tuple(ask.steps(rule, at_x, pieces, build))
        decision = make_decision(at_x, pieces)
        made = {step.output for step in steps}
        reads = tuple((name, held[name]) for name in node.reads if name in held)
        return Piece(
            steps,
            {name: values[name] for name in node.writes if name not in made},
            () if decision is None else decision.bounds(),
            # Without guards a piece holds everywhere, if its coefficients stay as they are.
            decision is not None or bool(reads),
            reads,
        )

    def kernel(self, node: Node, *, wide: bool = False) -> Kernel:
        """Return the node alone, ready to run: in the model's own precision, or in double.

        What only jumps counts as the runtime computed it, in its own precision.
        """
        if (node.name, wide) not in self._kernels:
            section = self.builder.section
            rule = rule_of(section.graph, node, section.rounding)
            captures = rule.captures if rule is not None else ()
            own = _own_kind(node, section.graph)
            kinds = (DOUBLE, own) if wide else (own,)
            self._kernels[node.name, wide] = Kernel(node, captures, kinds)
        return self._kernels[node.name, wide]

    def unit(self, node: Node) -> float:
        """Unit roundoff of the floats that a node handles in its model."""
        return unit_roundoff(_own_kind(node, self.builder.section.graph))


def opened(node: Node) -> RegionError:
    """Build the error for a node that no path leads through."""
    return RegionError(
        f"{node.op_type} {node.name!r} is opened into a graph of its own, or works on sequences; "
        "paths and planes do not lead through such nodes yet. Choose inputs= or outputs= around "
        "it, or walk with onnxlin.readings.region.Region.step."
    )


def _own_kind(node: Node, graph: Graph) -> np.dtype[Any]:
    """Precision of the floats that a node handles in its model."""
    kinds = (graph.elem_types.get(name, 0) for name in (*node.writes, *node.reads))
    floats = (onnx.helper.tensor_dtype_to_np_dtype(kind) for kind in kinds if kind)
    return next((kind for kind in floats if is_float(kind)), DOUBLE)


def _to(value: Array, kind: np.dtype[Any]) -> Array:
    """Bring floats to a precision, and leave all else."""
    return value if value.dtype == kind or not is_float(value.dtype) else value.astype(kind)


def _sides(value: Array) -> tuple[int | None, ...]:
    """What a kernel is told of a shape: the length of a vector, the rank of anything else.

    onnxruntime takes the number of sizes or scales of a Resize for 0 where it is left open.
    """
    return value.shape if value.ndim == 1 else (None,) * value.ndim


def _version(domain: str, op_type: str) -> int:
    """Newest operator set of another domain that still has an operator."""
    if domain != "ai.onnx.ml":
        return 1
    # TreeEnsembleClassifier and TreeEnsembleRegressor gave way to TreeEnsemble in 5.
    return 3 if onnx.defs.get_schema(op_type, 5, domain).deprecated else 5


class Kernel:
    """One node in its newest form, run by itself.

    Parameters
    ----------
    node : Node
    captures : names of further outputs of the schema
    kinds : dtypes
        Precisions to run in: the first of them that there is a kernel of, else float32.
    """

    def __init__(self, node: Node, captures: Sequence[str], kinds: Sequence[np.dtype[Any]]) -> None:
        if node.implicit:
            raise opened(node)
        self.node = node
        self.kinds = tuple(dict.fromkeys((*kinds, SINGLE)))
        outputs = list(node.outputs)
        self._names = {name: name for name in node.writes}
        for output in captures:
            at = output_position(node, NEWEST_RUNNABLE, output)
            assert at is not None, f"{node.op_type} has no output {output}"
            outputs += [""] * (at + 1 - len(outputs))
            outputs[at] = outputs[at] or f"{node.name}/{output}"
            self._names[output] = outputs[at]
        attributes = {name: node.attributes[name] for name in node.given}
        draft = (node.name, node.op_type, node.domain, list(node.inputs), outputs, attributes)
        self._proto = to_proto(Draft(*draft, NEWEST_RUNNABLE))
        self._sessions: dict[Any, tuple[Session, np.dtype[Any]]] = {}

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Run it: ``{output or captured name: value}``."""
        feeds = {name: values[name] for name in dict.fromkeys(self.node.reads)}
        kinds = tuple((v.dtype, _sides(v)) for v in feeds.values())
        if kinds not in self._sessions:
            self._sessions[kinds] = self._open(feeds)
        ready, kind = self._sessions[kinds]
        wanted = list(dict.fromkeys(self._names.values()))
        found = run(ready, wanted, {n: _to(v, kind) for n, v in feeds.items()})
        wide = {n: _to(v, DOUBLE) for n, v in found.items()}
        return {name: wide[tensor] for name, tensor in self._names.items()}

    def _open(self, feeds: Mapping[str, Array]) -> tuple[Session, np.dtype[Any]]:
        for kind in self.kinds[:-1]:
            with suppress(ModelError):
                return session(self._model(feeds, kind)), kind
        return session(self._model(feeds, self.kinds[-1])), self.kinds[-1]

    def _model(self, feeds: Mapping[str, Array], kind: np.dtype[Any]) -> onnx.ModelProto:
        helper = onnx.helper
        types = {n: kind if is_float(v.dtype) else v.dtype for n, v in feeds.items()}
        given = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(types[name]), _sides(value)
            )
            for name, value in feeds.items()
        ]
        results = [onnx.ValueInfoProto(name=name) for name in dict.fromkeys(self._names.values())]
        graph = helper.make_graph([self._proto], "kernel", given, results)
        opsets = [helper.make_opsetid("", NEWEST_RUNNABLE)]
        if self.node.domain:
            version = _version(self.node.domain, self.node.op_type)
            opsets.append(helper.make_opsetid(self.node.domain, version))
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)
