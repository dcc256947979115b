"""Ask the rule of a node what it is at given tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
from onnx.checker import ValidationError
from onnx.defs import SchemaError
from onnx.shape_inference import InferenceError

from onnxlin.errors import FOREIGN, RuleError
from onnxlin.graph import Node
from onnxlin.lowering import NotStaticError
from onnxlin.primitives import Array
from onnxlin.program.build import Build
from onnxlin.program.linear_program import Step
from onnxlin.program.pieces import is_float_array, make_step
from onnxlin.rules import Affine, Body, NodeAtX, Operand, Rule, rule_of
from onnxlin.section import Section

Compute = Callable[[], Array]
Pieces = Sequence[Affine]


class Ask:
    """The rules of a section, to be asked at the tensors of programs in the making.

    Parameters
    ----------
    section : Section
    mode : {"tangent", "frozen"}
    """

    def __init__(self, section: Section, mode: str) -> None:
        self.section = section
        self.mode = mode
        self._cast: dict[tuple[str, np.dtype[Any]], Array] = {}
        self._nodes = {node.name: node for node in section.nodes}
        self._live = section.live - set(section.inputs)
        self._held = section.holding.held if mode == "frozen" else {}

    def rule(self, node: Node) -> Rule:
        """Return the rule of a node, which must have one."""
        rule = rule_of(self.section.graph, node, self.section.rounding)
        assert rule is not None, f"no rule for {node.op_type}"
        return rule

    def at_x(
        self,
        node: Node,
        build: Build,
        captured: Mapping[str, Array],
        *,
        native: bool = False,
        as_they_are: bool = False,
        own: bool | None = None,
    ) -> NodeAtX:
        """Show a node to its rule, at the tensors of a build.

        Parameters
        ----------
        captured : {output name of the schema: array}
            What the rule asked for beside the node's outputs.
        native : bool
            Whether operands are to be those that the runtime had, also where the program has its
            own of a finer type.
        as_they_are : bool
            Whether integers that stand for numbers are to be shown as integers.
        own : bool, optional
            Whether the results are those of other operands than the rule is given. By default they
            are, if any of those is of another type than the map, or of coarser ones.
        """
        how = {"native": native, "as_they_are": as_they_are}
        operands = [
            self._operand(node, i, build, **how) if name else None
            for i, name in enumerate(node.inputs)
        ]
        results = [build.values.get(name) for name in node.outputs]
        outer = {name: build.values[name] for name in node.implicit}
        if own is None:
            floats = (o for o in operands if o is not None and is_float_array(o.native))
            own = native or build.coarse or any(o.native.dtype != build.dtype for o in floats)
        opsets = self.section.graph.opsets
        at = (node, operands, results, build.dtype, captured, self.mode, outer, opsets, own)
        return NodeAtX(*at)

    def answer(self, rule: Rule, at_x: NodeAtX) -> Pieces | Body:
        """Ask: a piece for each output, or a graph of simpler nodes in the place of the node.

        Raises
        ------
        RuleError
            The rule failed: the node's attributes or tensors are not what its operator may have,
            or the rule is wrong.
        """
        # In a branch that is not taken anything may be divided by 0.
        with _told(at_x.node, at_x), np.errstate(all="ignore"):
            answer = rule.function(at_x)
        return [answer] if isinstance(answer, Affine) else answer

    def made(self, node: Node, body: Body) -> onnx.ModelProto:
        """Write the graph that a rule has put in the place of a node; raises as `answer` does."""
        with _told(node):
            return body.make()

    def steps(self, rule: Rule, at_x: NodeAtX, pieces: Pieces, build: Build) -> list[Step]:
        """Turn the pieces of a node into steps, one for each output that somebody may read.

        Raises
        ------
        UnsupportedNodeError
            An attribute is set that the rule did not ask for, or an output is read that it does
            not know.
        """
        if at_x.overlooked():
            raise at_x.refuse(f"attributes {at_x.overlooked()} are set")
        positions = self.wanted(at_x.node, build)
        if any(i >= len(pieces) for i in positions):
            raise at_x.refuse(f"output {max(positions)} is used")
        kind = rule.status_of([at_x.traced(i) for i in range(len(at_x.operands))])
        status = self.mode if kind == "smooth" or self._holds(at_x.node, build) else kind
        return [make_step(at_x, i, pieces[i], status) for i in positions]

    def wanted(self, node: Node, build: Build) -> list[int]:
        """Positions of the float outputs that lie on a path to the section's outputs."""
        made = [(i, o) for i, o in enumerate(node.outputs) if build.whole.get(o, o) in self._live]
        return [i for i, o in made if self.is_number(o, build)]

    def is_fixed(self, name: str, build: Build) -> bool:
        """Whether a tensor is the same for every x."""
        return build.whole.get(name, name) not in self.section.varying

    def is_number(self, name: str, build: Build) -> bool:
        """Whether a tensor is float, or holds numbers as integers."""
        carriers = self.section.carriers
        return is_float_array(build.values[name]) or build.whole.get(name, name) in carriers

    def _enters(self, node: Node, name: str, build: Build) -> bool:
        """Whether a dependence on a tensor enters a node, with tensors in sequences or whole."""
        return self.section.enters(self._nodes.get(node.name, node), build.whole.get(name, name))

    def _holds(self, node: Node, build: Build) -> bool:
        """Whether an operand is held here that the program makes of x."""
        held = self._held.get(node.name)
        return held is not None and node.inputs[held] in build.alive

    def _operand(
        self, node: Node, i: int, build: Build, *, native: bool, as_they_are: bool
    ) -> Operand:
        """Show a tensor to a rule, and say where its numbers in the precision of the map are from.

        What the inputs move is made by steps, and so are floats that a step makes of none of them.
        """
        name = node.inputs[i]
        value = build.values[name]
        moves = name in build.alive and self._enters(node, name, build)
        moves = moves and self._held.get(node.name) != i
        fixed = self.is_fixed(name, build)
        made = moves or (name in build.made and is_float_array(value))
        finer = made and (build.coarse or value.dtype != build.dtype)
        if moves and not is_float_array(value):
            finer = False  # integers that stand for numbers: every piece meets the runtime's
            value = value if as_they_are else value.astype(np.float64)
        if finer and not native:
            compute = _composed(name, build)
        elif fixed and is_float_array(value):
            compute = self._constant(name, value, build.dtype)
        else:
            compute = _as_run(value, build.dtype)
        return Operand(name, value, moves, fixed, compute, build.still.get(name))

    def _constant(self, name: str, value: Array, dtype: np.dtype[Any]) -> Compute:
        """A tensor that is the same for every x: brought to the precision of the map once."""
        return lambda: self._cast.setdefault((name, dtype), value.astype(dtype, copy=False))


@contextmanager
def _told(node: Node, at_x: NodeAtX | None = None) -> Iterator[None]:
    """Let what a rule raises, on a node that is none or of its own fault, name the node."""
    try:
        yield
    except NotStaticError:
        raise  # some of them are an AttributeError, too
    except (*FOREIGN, SchemaError, ValidationError, InferenceError) as error:
        given = {name: node.attributes[name] for name in sorted(node.given)}
        kind = type(error).__name__
        operands = at_x.operands if at_x is not None else ()
        # A sequence has no shape.
        shapes = [None if o is None else getattr(o.native, "shape", None) for o in operands]
        raise RuleError(
            f"The rule of {node.op_type} failed at node {node.name!r}: {kind}: {error}. Its inputs "
            f"are of shapes {shapes}, its attributes {str(given)[:300]}. Either the node is none "
            "that its operator allows, or the rule is wrong: if onnx.checker finds nothing, please "
            "report it. Other inputs= or outputs= leave the node out."
        ) from error


def _composed(name: str, build: Build) -> Compute:
    """A tensor as the program's own forward pass has it."""
    return lambda: build.forward(name)


def _as_run(value: Array, dtype: np.dtype[Any]) -> Compute:
    """A tensor as the runtime computed it, floats in the precision of the map."""
    if not is_float_array(value):
        return lambda: value
    return lambda: value.astype(dtype, copy=False)
