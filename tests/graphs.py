"""Random models: DAGs grown from every operator that has a maker, with an instance for each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from hypothesis import reject
from hypothesis import strategies as st
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

import tests.makers
from onnxlin.rules import RULES
from tests.grow import MAKERS, Array, Grow, Shape, TooLarge, run

assert tests.makers.__all__, "importing the makers fills the table"

# Piecewise affine, or locally constant: of these equal patterns mean equal maps. Products count
# as smooth, so they are left out although they are exact where one side is constant.
# With reduction="mul" these are products, opened into nodes that are smooth.
SOMETIMES_SMOOTH = {"ScatterElements", "ScatterND"}
EXACT = [
    op_type
    for op_type in MAKERS
    if RULES["", op_type].status in ("exact", "constant") and op_type not in SOMETIMES_SMOOTH
]

OPSETS = (21, 23, 18, 13)
SHAPES: tuple[Shape, ...] = (
    (1, 2, 4, 4),
    (2, 3, 4),
    (2, 6),
    (1, 4, 2, 6),
    (5,),
    (2, 2, 3, 2, 2),
    (1, 1, 1),
    (),
)


@dataclass(frozen=True)
class Grown:
    """A model and an instance of it."""

    model: onnx.ModelProto
    x: dict[str, Array]

    def tensors(self, *, floats: bool = True) -> dict[str, Array]:
        """Every float tensor at x, or every tensor at all, in float64."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        del model.graph.output[:]
        names = [o for node in model.graph.node for o in node.output]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        values = dict(zip(names, run(model, self.x), strict=True)) | self.x
        return {
            n: v.astype(np.float64) for n, v in values.items() if v.dtype.kind == "f" or not floats
        }

    def __repr__(self) -> str:
        shapes = {name: value.shape for name, value in self.x.items()}
        return f"opset {self.model.opset_import[0].version}, {shapes}\n{self._text()}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # or Hypothesis would show the fields

    def _text(self) -> str:
        text = onnx.printer.to_text(self.model.graph)
        return text[text.index("\n") :]


@st.composite
def graphs(
    draw: st.DrawFn,
    op_types: Sequence[str] | None = None,
    *,
    min_size: int = 1,
    max_size: int = 7,
    opsets: Sequence[int] = OPSETS,
    ties: bool = True,
) -> Grown:
    """A valid model that onnxruntime runs, grown from the operators given (by default all).

    Any tensor may be read again by any later node, so there are chains, skips and fans; inputs
    and outputs are one or several.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    g = Grow(draw, rng, draw(st.sampled_from(opsets)))
    halves = ties and g.choice(False, False, True)
    for _ in range(g.integer(1, 2)):
        g.give(g.choice(*SHAPES), halves=halves)
    for _ in range(g.integer(min_size, max_size)):
        with suppress(TooLarge):
            MAKERS[g.choice(*(op_types or MAKERS))](g)
    if not g.nodes:
        g.add("Identity", [g.live[-1]])
    grown = Grown(g.model(_outputs(g)), dict(g.inputs))
    try:
        run(grown.model, grown.x)
    except Fail:
        # Every node runs, but shape inference of the whole misreads ceil_mode or output_shape.
        reject()
    return grown


def _outputs(g: Grow) -> list[str]:
    """Every tensor that no node reads, and perhaps one that is read as well."""
    made = [name for name in g.live if name not in g.inputs]
    ends = [name for name in made if name not in g.read]
    inner = [name for name in made if name in g.read]
    return ends + ([g.choice(*inner)] if inner and g.choice(False, False, True) else [])
