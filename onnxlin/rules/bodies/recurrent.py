"""RNN, GRU and LSTM, unrolled over the steps that the sequence has at x."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import onnx

from onnxlin.primitives import Array
from onnxlin.rules.affine import Body
from onnxlin.rules.at_x import NodeAtX
from onnxlin.rules.bodies.recurrent_activations import Activation, activations
from onnxlin.rules.bodies.schema import feeds_of, outputs_of
from onnxlin.rules.bodies.sketch import Writer
from onnxlin.rules.registry import rule

# Positions of the inputs that all three operators share.
X, W, R, B, SEQUENCE_LENS, INITIAL_H, INITIAL_C, P = range(8)


class Cell(ABC):
    """One direction of a recurrent operator; subclasses write one step of it.

    Parameters
    ----------
    w : Writer
    node : NodeAtX
    d : int
        The direction: where its weights are.
    functions : list of Activation
        Its activation functions.

    With T steps, N sequences, H hidden units and G gates, every tensor inside has an axis of one
    step in front: the state (1, N, H), the gates together (1, N, G H).
    """

    gates: int
    states = 1
    default: tuple[str, ...]

    def __init__(self, w: Writer, node: NodeAtX, d: int, functions: list[Activation]) -> None:
        self.w, self.node, self.functions = w, node, functions
        self._d, self._clip = d, node.attr("clip")
        self.r = w("Transpose", self.own(R), perm=[1, 0])
        if node.has(B):
            self.wb, self.rb = w.split(self.own(B), 2, 0)

    def own(self, i: int) -> str:
        """What this direction has of input i."""
        return self.w("Gather", f"i{i}", self.w.ints(self._d), axis=0)

    def inputs(self) -> list[str]:
        """What each step adds to the gates from outside: X W' + bias, for all steps at once."""
        z = self.w("MatMul", "i0", self.w("Transpose", self.own(W), perm=[1, 0]))
        if self.node.has(B):
            # Added one after the other: their sum in single precision would be a rounded constant.
            for part in (self.wb, self.outer_bias()):
                z = self.w("Add", z, part)
        return self.w.split(z, self.node.shape(X)[0], 0)

    def outer_bias(self) -> str:
        """What of the recurrent bias does not pass through a gate."""
        return self.rb

    def initial(self) -> list[str]:
        """State before the first step."""
        return [self._state(i) for i in (INITIAL_H, INITIAL_C)[: self.states]]

    def _state(self, i: int) -> str:
        if self.node.has(i):
            return self.w("Unsqueeze", self.own(i), self.w.ints([0]))
        return self.w.floats(np.zeros((1, self.node.shape(X)[1], self.node.shape(R)[2])))

    def act(self, i: int, z: str) -> str:
        """Clip, and apply the i-th activation function."""
        if self._clip:
            bounds = self.w.floats(-self._clip), self.w.floats(self._clip)
            z = self.w("Clip", z, *bounds)
        return self.functions[i].write(self.w, z)

    def cut(self, z: str) -> list[str]:
        """The gates one by one."""
        return self.w.split(z, self.gates, 2)

    @abstractmethod
    def step(self, x: str, state: list[str]) -> list[str]:
        """Go one step: what comes from outside (1, N, G H), the state -> the next state."""


class Simple(Cell):
    """``h' = f(x + h R')``."""

    gates, default = 1, ("Tanh",)

    def step(self, x: str, state: list[str]) -> list[str]:
        """Go one step."""
        return [self.act(0, self.w("Add", x, self.w("MatMul", state[0], self.r)))]


class Gated(Cell):
    """``h' = (1 - z) g + z h``, g the hidden gate, which sees h through the reset gate."""

    gates, default = 3, ("Sigmoid", "Tanh")

    def __init__(self, w: Writer, node: NodeAtX, d: int, functions: list[Activation]) -> None:
        super().__init__(w, node, d, functions)
        self._late = bool(node.attr("linear_before_reset"))
        hidden = node.shape(R)[2]
        sizes = w.ints([2 * hidden, hidden])
        self._r_gates, self._r_hidden = w.several("Split", 2, self.r, sizes, axis=1)
        self._sizes = sizes
        if node.has(B):
            self._rb_gates, self._rb_hidden = w.several("Split", 2, self.rb, sizes, axis=0)

    def outer_bias(self) -> str:
        """What of the recurrent bias does not pass through the reset gate."""
        if not self._late:
            return self.rb
        rest = self.w.floats(np.zeros(self.node.shape(R)[2]))
        return self.w("Concat", self._rb_gates, rest, axis=0)

    def step(self, x: str, state: list[str]) -> list[str]:
        """Go one step."""
        w, h = self.w, state[0]
        x_gates, x_hidden = w.several("Split", 2, x, self._sizes, axis=2)
        both = self.act(0, w("Add", x_gates, w("MatMul", h, self._r_gates)))
        z, r = w.split(both, 2, 2)
        g = self.act(1, w("Add", x_hidden, self._reset(r, h)))
        return [w("Add", w("Mul", w("Sub", w.floats(1), z), g), w("Mul", z, h))]

    def _reset(self, r: str, h: str) -> str:
        w = self.w
        if not self._late:
            return w("MatMul", w("Mul", r, h), self._r_hidden)
        turned = w("MatMul", h, self._r_hidden)
        return w("Mul", r, w("Add", turned, self._rb_hidden) if self.node.has(B) else turned)


class LongShort(Cell):
    """``c' = f c + i g``, ``h' = o tanh(c')``; peepholes let the gates see c."""

    gates, states, default = 4, 2, ("Sigmoid", "Tanh", "Tanh")

    def __init__(self, w: Writer, node: NodeAtX, d: int, functions: list[Activation]) -> None:
        super().__init__(w, node, d, functions)
        self._coupled = bool(node.attr("input_forget"))
        self._peepholes = w.split(self.own(P), 3, 0) if node.has(P) else None

    def step(self, x: str, state: list[str]) -> list[str]:
        """Go one step."""
        w, (h, c) = self.w, state
        z = w("Add", x, w("MatMul", h, self.r))
        if self._peepholes is None and not self._coupled:
            # Three gates have the same function: they pass through it side by side.
            hidden = self.node.shape(R)[2]
            gates, zg = w.several("Split", 2, z, w.ints([3 * hidden, hidden]), axis=2)
            i, o, f = w.split(self.act(0, gates), 3, 2)
            c = w("Add", w("Mul", f, c), w("Mul", i, self.act(1, zg)))
            return [w("Mul", o, self.functions[2].write(w, c)), c]
        zi, zo, zf, zg = self.cut(z)
        i = self.act(0, self._peep(zi, 0, c))
        f = w("Sub", w.floats(1), i) if self._coupled else self.act(0, self._peep(zf, 2, c))
        c = w("Add", w("Mul", f, c), w("Mul", i, self.act(1, zg)))
        o = self.act(0, self._peep(zo, 1, c))
        # The runtime clips what the gates see, and leaves the cell alone.
        return [w("Mul", o, self.functions[2].write(w, c)), c]

    def _peep(self, z: str, gate: int, c: str) -> str:
        if self._peepholes is None:
            return z
        return self.w("Add", z, self.w("Mul", self._peepholes[gate], c))


CELLS: dict[str, type[Cell]] = {"RNN": Simple, "GRU": Gated, "LSTM": LongShort}


@rule("RNN", "GRU", "LSTM", status="expanded")
def recurrent(node: NodeAtX) -> Body:
    """Unroll over time; where a sequence has ended its state stays and its output is 0."""
    node.ignore(*node.node.given)  # the body looks at them
    steps, batch, _ = node.shape(X)
    if not steps:
        raise node.refuse("the sequence has no steps at this x")
    lens = node.native(SEQUENCE_LENS) if node.has(SEQUENCE_LENS) else np.full(batch, steps)
    feeds = {name: tensor for name, tensor in feeds_of(node).items() if name != f"i{SEQUENCE_LENS}"}
    return Body(("unrolled", *lens.tolist()), lambda: _model(node, lens), feeds, outputs_of(node))


def _model(node: NodeAtX, lens: Array) -> onnx.ModelProto:
    """Write all directions, and what the node's outputs take from them."""
    cell, w = CELLS[node.op_type], Writer(node.operand(X).native.dtype)
    functions = activations(node, cell.default)
    count, reverse = len(cell.default), node.attr("direction") == "reverse"
    ran = []
    for d in range(node.shape(W)[0]):
        made = cell(w, node, d, functions[d * count : (d + 1) * count])
        ran.append(_run(made, lens, backwards=reverse or d == 1))
    names = {name: i for i, name in enumerate(outputs_of(node)) if name}
    for name, i in names.items():
        w.nodes.append(onnx.helper.make_node("Identity", [_output(w, ran, i)], [name]))
    given = {f"i{i}": o.native for i, o in enumerate(node.operands) if o and i != SEQUENCE_LENS}
    return w.model(given, {name: node.result(i) for name, i in names.items()})


def _run(cell: Cell, lens: Array, *, backwards: bool) -> tuple[list[str], list[str]]:
    """Write every step of one direction: the outputs in order of time, the last state."""
    inputs, state = cell.inputs(), cell.initial()
    outputs = [""] * len(inputs)
    zero = cell.w.floats(0)
    for t in reversed(range(len(inputs))) if backwards else range(len(inputs)):
        new = cell.step(inputs[t], state)
        outputs[t] = _while_running(cell.w, lens, t, [new[0]], [zero])[0]
        state = _while_running(cell.w, lens, t, new, state)
    # The runtime answers 0 for a sequence without any step, whatever its initial state.
    return outputs, _while_running(cell.w, lens, 0, state, [zero] * len(state))


def _while_running(
    w: Writer, lens: Array, t: int, new: Sequence[str], old: Sequence[str]
) -> list[str]:
    """Take the new state of the sequences that have a step t."""
    runs = t < lens
    if runs.all():
        return list(new)
    mask = w.constant(runs.reshape(1, -1, 1))
    return [w("Where", mask, a, b) for a, b in zip(new, old, strict=True)]


def _output(w: Writer, ran: Sequence[tuple[list[str], list[str]]], i: int) -> str:
    """Y is (T, directions, N, H), Y_h and Y_c (directions, N, H)."""
    if i:
        return w.joined([state[i - 1] for _, state in ran], 0)
    sides = [w("Unsqueeze", w.joined(outputs, 0), w.ints([1])) for outputs, _ in ran]
    return w.joined(sides, 1)
