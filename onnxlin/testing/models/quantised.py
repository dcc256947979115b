"""Random quantised models: chains whose tensors, and weights, pass through integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from onnxlin.runtime.session import Fail
from onnxlin.testing.models.grow import FAILURES, Grow, NotRun, TooLarge
from onnxlin.testing.models.grown import GrownModel
from onnxlin.testing.models.makers.fused import FUSED
from onnxlin.testing.models.running import Array, run
from onnxlin.testing.models.shapes import Shape
from onnxlin.testing.models.table import MAKERS

SHAPES: tuple[Shape, ...] = ((1, 2, 4, 4), (2, 6), (1, 4, 2, 6), (2, 3, 4))
OPSETS = (21, 17, 13)
# Some that float32 has, in which sums of products meet halves, and some that it has not.
STEPS = (0.25, 0.125, 0.1, 0.05, 0.03)
NARROW, WIDE = (np.uint8, np.int8), (np.uint16, np.int16)


@dataclass
class QuantisedGrow(Grow):
    """A growing graph whose weights are stored as integers."""

    def weight(self, *shape: int, fan: int = 1) -> str:
        """Weights of eight bits, with one scale or one for every entry of axis 0."""
        if not self.flag() or not shape or 0 in shape:
            return super().weight(*shape, fan=fan)
        lines = shape[0] if self.flag() else 1
        scale = self.rng.uniform(0.5, 1, lines) / 64 / np.sqrt(max(fan, 1))
        codes = self.constant(self.rng.integers(-127, 128, shape).astype(np.int8))
        one = lines == 1
        zero = self.constant(np.zeros(() if one else lines, np.int8))
        name = self.add(
            "DequantizeLinear",
            [codes, self.floats(scale[0] if one else scale), zero],
            **({} if one else {"axis": 0}),
        )
        self.live.remove(name)
        return name


def pair(g: Grow, name: str) -> str:
    """Quantise a tensor and back again, with the same parameters."""
    kinds = NARROW if g.opset < 21 else NARROW + WIDE
    kind = np.dtype(g.choice(*kinds))
    info = np.iinfo(kind)
    middle = (int(info.min) + int(info.max)) // 2
    zero = g.constant(np.asarray(g.choice(middle + 1, info.min, middle + g.integer(-3, 3)), kind))
    top = float(np.abs(g.values[name]).max(initial=0)) or 1.0
    scale = g.floats(g.choice(*STEPS, top / 100))
    (codes,) = g.add_all("QuantizeLinear", [name, scale, zero])
    return g.add("DequantizeLinear", [codes, scale, zero])


@st.composite
def quantised_models(
    draw: st.DrawFn, *, max_nodes: int = 6, opsets: Sequence[int] = OPSETS
) -> GrownModel:
    """Draw a model in the form that quantisation tools write, with an input x for it.

    Between operators that runtimes have forms of for integers stand pairs of QuantizeLinear and
    DequantizeLinear, sometimes two, of other scales, zero points and types; weights are integers
    behind a DequantizeLinear. What is promised of every model is what
    `onnxlin.testing.onnx_models` promises.

    Parameters
    ----------
    max_nodes : int
        How many operators stand between pairs.
    opsets : versions of the standard operator set
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    g = QuantisedGrow(draw, rng, draw(st.sampled_from(list(opsets))))
    g.give(g.choice(*SHAPES), halves=g.flag())
    _paired(g, list(g.live))
    there = [op_type for op_type in FUSED if MAKERS[op_type].serves(g.opset)]
    for _ in range(g.integer(1, max_nodes)):
        before = list(g.live)
        try:
            MAKERS[g.choice(*there)](g)
            _paired(g, [name for name in g.live if name not in before])
        except (TooLarge, NotRun):
            continue
    made = [name for name in g.live if name not in g.inputs]
    ends = [name for name in made if name not in g.read]
    if not ends:
        reject()
    grown = GrownModel(g.model(ends), dict(g.inputs))
    try:
        run(grown.model, grown.x)
    except (Fail, *FAILURES):
        reject()  # as `onnx_models` does
    return grown


def _paired(g: Grow, new: Sequence[str]) -> None:
    """Put pairs behind the last tensor, which is mostly read through them alone."""
    if not new:
        return
    last = new[-1]
    name = last
    for _ in range(g.choice(1, 1, 1, 2, 0)):
        through = pair(g, name)
        if g.choice(True, True, False):
            g.live.remove(name)
        name = through


def others(grown: GrownModel, count: int, seed: int = 0) -> list[dict[str, Array]]:
    """Inputs of the same shapes, every other one in halves, in which rounding meets ties."""
    rng = np.random.default_rng(seed)
    return [
        {
            name: (np.rint(2 * v) / 2 if i % 2 else v).astype(np.float32)
            for name, v in ((n, rng.normal(size=x.shape)) for n, x in grown.x.items())
        }
        for i in range(count)
    ]
