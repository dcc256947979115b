"""Hypothesis strategy of instances of any model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from onnxlin.errors import OnnxlinError
from onnxlin.graph import Array
from onnxlin.linearizer import Names
from onnxlin.load import Model
from onnxlin.testing.draw.domains import Domain
from onnxlin.testing.draw.draw import PLACES, Drawer, filled
from onnxlin.testing.draw.ranges import Inputs, Ranges, Shape
from onnxlin.testing.extras import require
from onnxlin.testing.laws.subject import Feeds, Subject
from onnxlin.testing.verdicts import NotApplicable

require("hypothesis", "onnxlin.testing.inputs_for")

from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

# Lengths of open axes beside the smallest that runs.
SIDES = (1, 2, 3, 5, 8)
# Inputs up to this size are drawn entry by entry; others from a seed, with some entries changed.
ONE_BY_ONE = 32
EDITS = 4
KINDS = ("zeros", "halves", "range", "normal", "sparse", "large")
ONES = st.floats(-8, 8, width=16)
ENTRIES = (0.0, 1.0, -1.0, 0.5, -0.5, 2.0**-12, -(2.0**-12))


def inputs_for(
    model: Model,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    ranges: Ranges | None = None,
    near_kinks: bool = True,
    inputs: Names = None,
    outputs: Names = None,
) -> st.SearchStrategy[dict[str, Array]]:
    """Draw instances of a model: ``{input name: array}`` for all of its inputs.

    Shapes are those that the model states. Open axes are short, those of one name agree, and the
    model runs at what is drawn. Dtypes are the model's own. Floats are zeros, halves (so that ties
    come up), standard normal, sparse, a hundred times as large, or uniform in the input's range; of
    inputs with at most 32 entries also any numbers, entry by entry. Whole numbers stay in the range
    that the graph shows: the length of the table that they look something up in. In a quarter of
    the draws x is walked to a kink of the model along a random direction: just before it, on it as
    nearly as its dtype allows, just beyond.

    An instance is a seed, a kind, how many entries stay, and a few entries that are changed, so
    large inputs fit into Hypothesis's buffer. It shrinks to zeros, short axes, few entries.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        Read at the first draw. It need not have rules; without them no kink is walked to.
    shapes : {input name: shape}, optional
        In place of what would be drawn.
    ranges : {input name: (lowest, highest)}, optional
        Of all that is drawn for the input, both included. By default the range is that of the
        preprocessing in the metadata, of a Clip that reads the input first, or 0 to 1; it is then
        a range of sensible values, and normal or large ones leave it.
    near_kinks : bool
        Whether to walk to kinks: it takes a linearisation.
    inputs, outputs : tensor names, optional
        Whose kinks are meant; see `onnxlin.Linearizer`.

    Raises
    ------
    ModelError, InputError, OptionError
        At the first draw: the model cannot be read, a name or a shape does not fit it, or what is a
        sensible value of an input cannot be told.
    """
    ends = {"inputs": inputs, "outputs": outputs}

    @cache
    def source() -> _Source:
        return _Source(model, shapes or {}, ranges or {}, ends, near_kinks=near_kinks)

    return _instances(source)


@st.composite
def _instances(draw: st.DrawFn, source: Callable[[], _Source]) -> dict[str, Array]:
    found = source()
    sizes = _sizes(draw, found.inputs)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    feeds = {name: _one(draw, found, name, sizes[name], rng) for name in found.inputs.domains}
    if found.walker is not None and draw(st.sampled_from((False, False, False, True))):
        feeds = found.to_kink(feeds, rng, draw(st.sampled_from(PLACES)))
    return feeds


class _Source:
    """What the strategy of one model draws from."""

    def __init__(
        self,
        model: Model,
        shapes: Mapping[str, Sequence[int]],
        ranges: Ranges,
        ends: Mapping[str, Any],
        *,
        near_kinks: bool,
    ) -> None:
        self.inputs = Inputs(model, shapes, ranges)
        self.walker = _walker(Subject(model, **ends)) if near_kinks else None

    def to_kink(self, feeds: Feeds, rng: np.random.Generator, place: float) -> dict[str, Array]:
        """Walk to a kink, if one can be walked to and the ranges given reach as far."""
        assert self.walker is not None
        try:
            moved = self.walker.near_kink(dict(feeds), rng, place)
        except (NotApplicable, OnnxlinError):
            return dict(feeds)
        return {n: self._bounded(n, value) for n, value in moved.items()}

    def _bounded(self, name: str, value: Array) -> Array:
        domain = self.inputs.domains[name]
        if name not in self.inputs.bounded or not domain.kind.is_float:
            return value
        return _within(value, domain)


class _Walker(Drawer):
    """Walks from what the strategy has drawn, so it needs no shapes of its own."""

    def _runnable(self) -> dict[str, Shape]:
        return {}


def _walker(subject: Subject) -> _Walker | None:
    """Walk where the model can be linearised."""
    try:
        return _Walker(subject)
    except OnnxlinError:
        return None


def _sizes(draw: st.DrawFn, inputs: Inputs) -> dict[str, Shape]:
    """Shapes of all inputs."""
    if inputs.fixed:
        return inputs.base
    lengths = {
        name: draw(st.sampled_from(sorted({*SIDES, base})))
        for name, base in inputs.open_axes.items()
    }
    return inputs.at(lengths, draw(st.sampled_from((1, 2, 3))))


def _one(
    draw: st.DrawFn, source: _Source, name: str, shape: Shape, rng: np.random.Generator
) -> Array:
    """Draw one input."""
    domain = source.inputs.domains[name]
    size = int(np.prod(shape))
    kind = draw(st.sampled_from(KINDS), label=f"kind of {name}")
    if not domain.kind.is_float or domain.whole:
        return filled(domain, shape, "zeros" if kind == "zeros" else "range", rng)
    if size <= ONE_BY_ONE and draw(st.booleans()):
        value = _entries(draw, domain, shape)
    else:
        value = _edited(draw, filled(domain, shape, kind, rng), rng)
    return _within(value, domain) if name in source.inputs.bounded else value


def _entries(draw: st.DrawFn, domain: Domain, shape: Shape) -> Array:
    """Draw entry by entry, near enough to 0 that no net overflows."""
    wide: Array = draw(hnp.arrays(np.float64, shape, elements=ONES, fill=st.nothing()))
    return wide.astype(domain.kind.dtype)


def _edited(draw: st.DrawFn, value: Array, rng: np.random.Generator) -> Array:
    """Keep some entries or all, round them or not, and change a few."""
    flat = value.ravel().copy()
    if not flat.size:
        return value
    if draw(st.sampled_from((True, False, False))):
        kept = draw(st.integers(0, flat.size), label="entries kept")
        flat[rng.permutation(flat.size)[kept:]] = 0
    if draw(st.sampled_from((True, False, False))):
        flat = np.round(flat.astype(np.float64), 1).astype(value.dtype)
    place, entry = st.integers(0, flat.size - 1), st.sampled_from(ENTRIES)
    for at, new in draw(st.lists(st.tuples(place, entry), max_size=EDITS), label="changed"):
        flat[at] = new
    return flat.reshape(value.shape)


def _within(value: Array, domain: Domain) -> Array:
    """Bring entries into the range: those beyond it to its ends."""
    return np.clip(value.astype(np.float64), domain.low, domain.high).astype(value.dtype)
