"""A node at x: what a rule may ask about the node that it linearises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxlin.errors import UnsupportedNodeError
from onnxlin.graph import Node, is_float
from onnxlin.primitives import Array, Shape
from onnxlin.rules.absorbed import spacing


@dataclass(frozen=True, eq=False)
class Operand:
    """One input of a node at x.

    Parameters
    ----------
    name : str
    native : array
        The tensor as onnxruntime computed it. Decide activation patterns from this one.
    traced : bool
        Whether it depends on the inputs that are linearised.
    fixed : bool
        Whether it is the same for every x: an initialiser or made of such.
    compute : callable
        Makes `value`.
    still : bool array, optional
        Which of its entries no x moves; see `onnxlin.program.still`.
    """

    name: str
    native: Array
    traced: bool
    fixed: bool
    compute: Callable[[], Array] = field(repr=False)
    still: Array | None = field(default=None, repr=False)

    @property
    def shape(self) -> Shape:
        """Shape at x."""
        return self.native.shape

    @property
    def value(self) -> Array:
        """The tensor in the precision of the map: `native`, or the program's own forward pass."""
        return self.compute()


@dataclass(eq=False)
class NodeAtX:
    """A node, its operands and results at x.

    Attribute reads are recorded: an attribute that the file sets and that the rule never asked
    for is an error, so a rule cannot overlook one. Reads of tensors that change with x are
    recorded too: pieces of rules that look at none are kept from one x to the next.

    ``anew`` says that a rule must be asked at every x although its piece does not depend on this,
    ``own`` whether some operand's `value` is another one than `native`.
    """

    node: Node
    operands: Sequence[Operand | None]
    results: Sequence[Array | None]
    dtype: np.dtype[Any]
    native_outputs: Mapping[str, Array]
    mode: str = "tangent"
    outer: Mapping[str, Array] = field(default_factory=dict)
    opsets: Mapping[str, int] = field(default_factory=dict)
    own: bool = True
    asked: set[str] = field(default_factory=set)
    looked: bool = False
    anew: bool = False

    @property
    def op_type(self) -> str:
        """Name of the operator."""
        return self.node.op_type

    @property
    def frozen(self) -> bool:
        """Whether gates, statistics and attention weights are held at their value at x."""
        return self.mode == "frozen"

    @property
    def precision(self) -> float:
        """Distance from 1 to the next number in the type that the runtime computes in."""
        kinds = {o.native.dtype for o in self.operands if o is not None}
        return max(map(spacing, kinds), default=0.0)

    @property
    def out_shapes(self) -> list[Shape]:
        """Shapes of all outputs; () for one that the file leaves out."""
        return [() if result is None else result.shape for result in self.results]

    @property
    def out_shape(self) -> Shape:
        """Shape of the first output."""
        return self.out_shapes[0]

    def result(self, i: int = 0) -> Array:
        """Output ``i`` as onnxruntime computed it."""
        self.looked = True
        result = self.results[i]
        assert result is not None, f"{self.op_type} has no output {i}"
        return result

    def at_most(self, i: int = 0) -> Array:
        """Output ``i``, to see how large it is; the piece does not depend on it unless it says."""
        self.anew = True
        result = self.results[i]
        assert result is not None, f"{self.op_type} has no output {i}"
        return result

    def computed(self, formula: Callable[[], Array]) -> Array:
        """Output 0 at the operands' `value`: what the runtime computed, if it had these operands.

        Parameters
        ----------
        formula : callable
            Computes it otherwise.
        """
        result = self.result()
        # An integer is what rounding left of what the formula gives.
        exact = not self.own and is_float(result.dtype)
        return result if exact else self.cast(formula())

    def attr(self, name: str) -> Any:
        """Return an attribute, the schema's default where the file gives none, else None."""
        self.asked.add(name)
        return self.node.attributes.get(name)

    def ignore(self, *names: str) -> None:
        """Declare that these attributes do not change the output."""
        self.asked.update(names)

    def has(self, i: int) -> bool:
        """Whether the optional input ``i`` is there."""
        return i < len(self.operands) and self.operands[i] is not None

    def operand(self, i: int) -> Operand:
        """Return input ``i``, which must be there."""
        operand = self.operands[i]
        assert operand is not None, f"{self.op_type} lacks its required input {i}"
        return operand

    def shape(self, i: int) -> Shape:
        """Shape of input ``i``."""
        return self.operand(i).shape

    def traced(self, i: int) -> bool:
        """Whether input ``i`` is there and depends on what is linearised."""
        return self.has(i) and self.operand(i).traced

    def native(self, i: int) -> Array:
        """Input ``i`` as onnxruntime computed it: decide patterns from this."""
        self.looked |= not self.operand(i).fixed
        return self.operand(i).native

    def value(self, i: int) -> Array:
        """Input ``i`` in the precision of the map: compute slopes from this."""
        self.looked |= not self.operand(i).fixed
        return self.operand(i).value

    def constant(self, i: int) -> Array:
        """Return input ``i``, which must not depend on what is linearised."""
        if self.traced(i):
            raise self.refuse(f"input {i} ({self.operand(i).name!r}) depends on x")
        return self.value(i)

    def captured(self, output: str) -> Array:
        """Return a further native output of this node, which its rule asked to be captured."""
        self.looked = True
        return self.native_outputs[output]

    def cast(self, value: Array | float) -> Array:
        """Bring a number or an array (a mask, say) to the dtype of the map."""
        array = np.asarray(value) if isinstance(value, int | float) else value
        return array.astype(self.dtype)

    def refuse(self, why: str) -> UnsupportedNodeError:
        """Build the error for a use of the operator that its rule does not know."""
        return UnsupportedNodeError(
            f"{self.op_type} at node {self.node.name!r}: {why}, which its rule does not support. "
            "Choose other inputs= or outputs= around it, or write a rule: docs/adding_a_rule.md."
        )

    def overlooked(self) -> list[str]:
        """Attributes that the file sets and that the rule did not ask for."""
        return sorted(self.node.given - self.asked)
