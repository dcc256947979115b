"""A graph that grows node by node; each new node is run by onnxruntime as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from hypothesis import strategies as st

from onnxlin.runtime.session import InvalidArgument, NoKernel, RuntimeException
from onnxlin.testing.models.running import Array, run
from onnxlin.testing.models.shapes import Shape, broadcasts, factorised

# Larger tensors would make a random graph slow to compare without making it any richer.
MOST_ENTRIES = 120

# What onnxruntime raises without a kernel for a node, or where the kernel fails.
FAILURES = (NoKernel, RuntimeException, InvalidArgument)


class TooLarge(Exception):  # noqa: N818  # no error: the node is left out
    """A node would make a tensor larger than `MOST_ENTRIES`, or numbers that are not finite."""


class NotRun(Exception):  # noqa: N818  # no error either
    """The onnxruntime that is installed has no kernel for a valid node, or one that fails."""


@dataclass
class Grow:
    """A growing graph.

    Parameters
    ----------
    draw : st.DrawFn
    rng : numpy.random.Generator
        For weights, whose values need no shrinking.
    opset : int
    inputs, constants, values : {tensor name: array}
        Given, constant, and all that depend on x, at x.
    live : list of str
        The tensors that a further node may read.
    read : set of str
        The tensors that a node reads already.
    outer : set of str
        The tensors that subgraphs read.
    """

    draw: st.DrawFn
    rng: np.random.Generator
    opset: int
    inputs: dict[str, Array] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)
    values: dict[str, Array] = field(default_factory=dict)
    live: list[str] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    outer: set[str] = field(default_factory=set)

    # What makers draw

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high."""
        return self.draw(st.integers(low, high))

    def choice(self, *options: Any) -> Any:
        """One of the options; the first one is the simplest."""
        return self.draw(st.sampled_from(options))

    def flag(self) -> bool:
        """True or False."""
        return self.draw(st.booleans())

    def some(self, **options: Any) -> dict[str, Any]:
        """Each of the attributes, or not."""
        return {name: value for name, value in options.items() if self.flag()}

    def axis(self, shape: Shape) -> int:
        """An axis, counted from either end."""
        return self.integer(-len(shape), len(shape) - 1)

    def axes(self, shape: Shape) -> list[int]:
        """Different axes, at least one, each counted from either end."""
        size = self.integer(1, len(shape))
        chosen = self.draw(st.permutations(range(len(shape))))[:size]
        return [a - len(shape) if self.flag() else a for a in chosen]

    def permuted(self, items: list[Any]) -> list[Any]:
        """The items, in any order."""
        return list(self.draw(st.permutations(items)))

    # Tensors

    def give(self, shape: Shape, *, halves: bool) -> None:
        """Add an input; in halves it is full of ties."""
        x = self.rng.integers(-3, 4, shape) / 2 if halves else self.rng.normal(size=shape)
        name = f"x{len(self.inputs)}"
        self.inputs[name] = self.values[name] = np.asarray(x, np.float32)
        self.live.append(name)

    def floats(self, array: npt.ArrayLike) -> str:
        """A float constant."""
        return self.constant(np.asarray(array, np.float32))

    def ints(self, array: npt.ArrayLike) -> str:
        """An int64 constant."""
        return self.constant(np.asarray(array, np.int64))

    def bools(self, *shape: int) -> str:
        """A random mask."""
        return self.constant(self.rng.random(shape) < 0.5)

    def weight(self, *shape: int, fan: int = 1) -> str:
        """Random weights; sums of ``fan`` products with them stay as large as the data."""
        return self.floats(self.rng.normal(size=shape) / np.sqrt(max(fan, 1)))

    def constant(self, array: Array) -> str:
        """A constant of any dtype."""
        name = f"c{len(self.constants)}"
        self.constants[name] = array
        return name

    def shape(self, name: str) -> Shape:
        """Shape of a tensor."""
        return self.values[name].shape

    def pick(self, low: int = 0, high: int = 5, fits: Callable[[Shape], bool] | None = None) -> str:
        """A live tensor of rank ``low`` to ``high``; one of them is reshaped if there is none."""
        shapes = {name: self.shape(name) for name in self.live}
        wanted = [
            name
            for name, shape in shapes.items()
            if low <= len(shape) <= high and (fits is None or fits(shape))
        ]
        if wanted:
            # Recent ones come first, so that graphs shrink to chains and are deep by default.
            return self.choice(*reversed(wanted))
        return self._reshaped(low, high, fits)

    def _reshaped(self, low: int, high: int, fits: Callable[[Shape], bool] | None) -> str:
        name = self.choice(*reversed(self.live))
        size = self.values[name].size
        options = [s for rank in range(low, high + 1) for s in factorised(size, rank)]
        fitting = [s for s in options if fits is None or fits(s)]
        if not fitting:
            # A size without the factors that are needed: 48 entries have most of them.
            flat = self.add("Reshape", [name, self.ints([size])])
            index = self.ints(np.arange(48) % size)
            name = self.add("Gather", [flat, index])
            options = [s for rank in range(low, high + 1) for s in factorised(48, rank)]
            fitting = [s for s in options if fits is None or fits(s)]
        shape = self.choice(*fitting)
        return self.add("Reshape", [name, self.ints(shape)])

    def beside(self, shape: Shape) -> str:
        """An operand that broadcasts against ``shape``: traced or constant."""
        mates = [name for name in self.live if broadcasts(self.shape(name), shape, MOST_ENTRIES)]
        if mates and self.flag():
            return self.choice(*reversed(mates))
        return self.constant_beside(shape)

    def constant_beside(self, shape: Shape, offset: float = 0.0) -> str:
        """A constant of full, partly broadcast or larger shape."""
        kept = shape[self.integer(0, len(shape)) :]
        sides = tuple(1 if self.flag() else n for n in kept)
        before = (2,) if len(kept) == len(shape) < 4 and self.choice(False, False, True) else ()
        array = self.rng.normal(size=(*before, *sides))
        return self.floats(array + offset * np.sign(array))

    # Tensors in the range of a function

    def tame(self, name: str, most: float = 3.0) -> str:
        """The same, scaled down if some entry is larger than ``most``."""
        top = float(np.abs(self.values[name]).max(initial=0))
        return self.add("Mul", [name, self.floats(most / top)]) if top > most else name

    def between(self, name: str, low: float, high: float) -> str:
        """A squashed tensor, with values strictly between two bounds."""
        squashed = self.add("Sigmoid", [self.tame(name)])
        scaled = self.add("Mul", [squashed, self.floats(high - low)])
        return self.add("Add", [scaled, self.floats(low)])

    # Nodes

    def add(self, op_type: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> str:
        """Add a node and run it; return its first output, the name of a live tensor.

        Further arguments are those of `add_all`.
        """
        return self.add_all(op_type, inputs, outputs, **attributes)[0]

    def add_all(
        self,
        op_type: str,
        inputs: Sequence[str],
        outputs: int = 1,
        *,
        outer: Sequence[str] = (),
        **attributes: Any,
    ) -> list[str]:
        """Add a node of several outputs and run it; return their names.

        ``outer`` are tensors that its subgraphs read.
        """
        names = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        if self.flag():
            # Exporters write defaults out; a rule must not take them for something unknown.
            attributes = _defaults(op_type, self.opset) | attributes
        name = f"{op_type}_{len(self.nodes)}"
        node = onnx.helper.make_node(op_type, inputs, names, name=name, **attributes)
        self.outer.update(outer)
        made = dict(zip(names, self._run(node, outer), strict=True))
        if any(not np.isfinite(value).all() for value in made.values() if value.dtype.kind == "f"):
            raise TooLarge
        if any(value.size > MOST_ENTRIES for value in made.values()):
            raise TooLarge
        self.nodes.append(node)
        self.read.update((*inputs, *outer))
        self.values |= made
        self.live += [name for name, value in made.items() if value.dtype == np.float32]
        return names

    def _run(self, node: onnx.NodeProto, outer: Sequence[str]) -> list[Array]:
        known = self.constants | self.values
        feeds = {name: known[name] for name in (*node.input, *outer) if name}
        model = self._model([node], feeds, list(node.output))
        try:
            return run(model, feeds)
        except FAILURES as error:
            # A maker's mistake is no kernel's.
            onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
            raise NotRun from error

    def _model(
        self, nodes: Sequence[onnx.NodeProto], feeds: dict[str, Array], outputs: Sequence[str]
    ) -> onnx.ModelProto:
        given = {name: value for name, value in feeds.items() if name not in self.constants}
        read = {name for node in nodes for name in node.input} | self.outer
        kept = {name: value for name, value in self.constants.items() if name in read}
        graph = onnx.helper.make_graph(
            nodes,
            "grown",
            [
                onnx.helper.make_tensor_value_info(
                    name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
                )
                for name, value in given.items()
            ],
            [onnx.ValueInfoProto(name=name) for name in outputs],
            [onnx.numpy_helper.from_array(value, name) for name, value in kept.items()],
        )
        opsets = [onnx.helper.make_opsetid("", self.opset)]
        # The oldest file format that can hold them: what only reads older ones can read it.
        oldest = onnx.helper.find_min_ir_version_for(opsets)
        return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=oldest)

    def model(self, outputs: Sequence[str]) -> onnx.ModelProto:
        """The graph so far, with the outputs chosen and typed."""
        proto = self._model(self.nodes, self.inputs, outputs)
        for info in proto.graph.output:
            value = self.values[info.name]
            kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
            info.CopyFrom(onnx.helper.make_tensor_value_info(info.name, kind, value.shape))
        onnx.checker.check_model(proto)
        return proto


def _defaults(op_type: str, opset: int) -> dict[str, Any]:
    """The attributes of an operator that have defaults."""
    schema = onnx.defs.get_schema(op_type, opset)
    given = {name: a.default_value for name, a in schema.attributes.items()}
    return {n: onnx.helper.get_attribute_value(a) for n, a in given.items() if a.name}
