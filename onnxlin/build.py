"""Ask the rules: a section and the tensors of one run -> its linear program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from onnxlin.errors import RuleError
from onnxlin.graph import Node
from onnxlin.primitives import Array
from onnxlin.program import LinearProgram, Step
from onnxlin.rules import RULES, Affine, NodeAtX, Operand
from onnxlin.section import Section
from onnxlin.trace import Tracer


class Builder:
    """Makes the linear program of a section at one x after another.

    Pieces whose rules did not look at x are kept and used again.

    Parameters
    ----------
    section : Section
    tracer : Tracer
    mode : {"tangent", "frozen"}
    """

    def __init__(self, section: Section, tracer: Tracer, mode: str) -> None:
        self.section = section
        self.tracer = tracer
        self.mode = mode
        self._kept: dict[Any, list[Step]] = {}
        self._cast: dict[tuple[str, np.dtype[Any]], Array] = {}

    def __call__(self, values: Mapping[str, Array], dtype: np.dtype[Any]) -> LinearProgram:
        """Build the program at the x whose run gave ``values``."""
        inputs = {name: values[name].shape for name in self.section.inputs}
        outputs = {name: values[name].shape for name in self.section.outputs}
        steps: list[Step] = []
        own = OwnForward(steps, {name: values[name].astype(dtype) for name in inputs})
        for node in self.section.nodes:
            key = (node.name, dtype, *(values[n].shape for n in node.reads + node.writes))
            made = self._kept.get(key)
            if made is None:
                made = self._steps(node, values, own, dtype)
                if not any(step.varies for step in made):
                    self._kept[key] = made
            steps += made
        reached = {*inputs, *(step.output for step in steps)}
        constants = {name: values[name] for name in outputs if name not in reached}
        return LinearProgram(inputs, outputs, tuple(steps), constants, dtype)

    def _steps(
        self, node: Node, values: Mapping[str, Array], own: OwnForward, dtype: np.dtype[Any]
    ) -> list[Step]:
        """Linearise one node: a step for each float output that somebody may read."""
        rule = RULES[node.domain, node.op_type]
        operands = [self._operand(n, values, own, dtype) if n else None for n in node.inputs]
        wanted = [o for o in node.outputs if o in self.section.live - set(self.section.inputs)]
        wanted = [o for o in wanted if _is_float(values[o])]
        shapes = [values[o].shape if o else () for o in node.outputs]
        extra = self.tracer.native_outputs(node, values) if rule.captures else {}
        at_x = NodeAtX(node, operands, shapes, dtype, extra, self.mode)
        answer = rule.function(at_x)
        pieces: Sequence[Affine] = [answer] if isinstance(answer, Affine) else answer
        if at_x.overlooked():
            raise at_x.refuse(f"attributes {at_x.overlooked()} are set")
        positions = [node.outputs.index(o) for o in wanted]
        if any(i >= len(pieces) for i in positions):
            raise at_x.refuse(f"output {max(positions)} is used")
        return [_step(at_x, i, pieces[i], rule.status) for i in positions]

    def _operand(
        self, name: str, values: Mapping[str, Array], own: OwnForward, dtype: np.dtype[Any]
    ) -> Operand:
        native = values[name]
        traced = name in self.section.traced
        fixed = name not in self.section.varying
        compute = self._value(name, native, own, dtype, traced=traced, fixed=fixed)
        return Operand(name, native, traced, fixed, compute)

    def _value(
        self,
        name: str,
        native: Array,
        own: OwnForward,
        dtype: np.dtype[Any],
        *,
        traced: bool,
        fixed: bool,
    ) -> Callable[[], Array]:
        """Say how to get a tensor in the precision of the map."""
        if not _is_float(native):
            return lambda: native
        if traced and native.dtype != dtype:
            return lambda: own(name)
        if fixed:
            return lambda: self._cast.setdefault((name, dtype), native.astype(dtype, copy=False))
        return lambda: native.astype(dtype, copy=False)


class OwnForward:
    """The program's own forward pass while it is being built, as far as somebody asks."""

    def __init__(self, steps: list[Step], inputs: dict[str, Array]) -> None:
        self._steps = steps
        self._values = inputs
        self._done = 0

    def __call__(self, name: str) -> Array:
        """Return the value of a tensor that the steps so far make."""
        while name not in self._values:
            step = self._steps[self._done]
            self._values[step.output] = step(self._values)
            self._done += 1
        return self._values[name]


def _is_float(value: Any) -> bool:
    # bfloat16 is a dtype of its own kind ("V") from ml_dtypes.
    return isinstance(value, np.ndarray) and (value.dtype.kind == "f" or value.dtype == "bfloat16")


def _step(at_x: NodeAtX, i: int, piece: Affine, status: str) -> Step:
    """Move the terms of operands that do not depend on x into the bias, and check the shapes."""
    shape, node = at_x.out_shapes[i], at_x.node
    terms, biases, sizes = [], [], []
    if piece.bias is not None:
        biases.append(piece.bias)
        sizes.append(np.abs(piece.bias) if piece.bias_size is None else piece.bias_size)
    for position, op in piece.terms.items():
        operand = at_x.operand(position)
        if op.in_shape != operand.shape or op.out_shape != shape:
            raise RuleError(
                f"The rule of {node.op_type} answered at node {node.name!r} with a map "
                f"{op.in_shape} -> {op.out_shape} for input {position}; the run has "
                f"{operand.shape} -> {shape}."
            )
        if operand.traced:
            terms.append((operand.name, op))
        else:
            value = at_x.value(position)[None]
            biases.append(op.matvec(value)[0])
            sizes.append(op.absolute().matvec(np.abs(value))[0])
    return Step(
        node=node,
        output=node.outputs[i],
        shape=shape,
        status=status,
        terms=tuple(terms),
        bias=_total(biases),
        bias_size=_total(sizes),
        margin=piece.margin,
        roundings=piece.roundings + len(biases) + len(terms),
        varies=at_x.looked,
    )


def _total(parts: list[Array]) -> Array | None:
    return sum(parts[1:], start=parts[0]) if parts else None
