"""A node written as standard ones, where no kernel for the CPU runs it as it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxlin.load.normalise.draft import Context, Draft


class Opening:
    """Nodes that take the place of a draft: every call adds one and names what it makes.

    Arrays and numbers among the inputs become constants: whole numbers as int64, others in the
    type of the draft's first float input.

    Parameters
    ----------
    draft : Draft
    context : Context
    kind : numpy.dtype
        Of float constants.
    """

    def __init__(self, draft: Draft, context: Context, kind: np.dtype[Any]) -> None:
        self.draft = draft
        self.context = context
        self.kind = kind
        self.made: list[Draft] = []

    def __call__(self, op_type: str, *inputs: Any, output: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        reads = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        node = self.context.helper(self.draft, op_type, reads, output, **attributes)
        self.made.append(node)
        return node.outputs[0]

    def constant(self, value: Any) -> str:
        """Store a constant."""
        array = np.asarray(value)
        kind = self.kind if array.dtype.kind == "f" else array.dtype
        return self.context.constant(f"{self.draft.name}/held", array, kind)

    def input(self, i: int) -> str:
        """Tensor at input ``i``; "" where it is left out."""
        return self.draft.inputs[i] if self.draft.has(i) else ""

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute, or what the schema says of it where the file does not."""
        return self.draft.attributes.get(name, default)

    def several(self, op_type: str, count: int, *inputs: Any, **attributes: Any) -> list[str]:
        """Add a node with ``count`` outputs."""
        first = self(op_type, *inputs, **attributes)
        more = [self.context.fresh(f"{first}:{i}") for i in range(1, count)]
        self.made[-1].outputs = [first, *more]
        return self.made[-1].outputs

    def ends(self, *made: str) -> list[Draft]:
        """The nodes, the last of which write what the draft wrote."""
        for name, output in zip(made, self.draft.outputs, strict=False):
            if output and name:
                self("Identity", name, output=output)
        return self.made
