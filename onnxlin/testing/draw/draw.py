"""Random instances of a model that a person would call sensible, and some that are hard on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any

import numpy as np

from onnxlin import limits
from onnxlin.errors import OnnxlinError, OptionError
from onnxlin.graph import Array, TensorType
from onnxlin.linearizer import Linearizer
from onnxlin.readings.region import Region
from onnxlin.readings.region.walls import curved_steps
from onnxlin.testing.draw.domains import Domain, domains
from onnxlin.testing.laws.inside import moved
from onnxlin.testing.laws.subject import Feeds, Subject
from onnxlin.testing.verdicts import NotApplicable

KINDS = ("normal", "range", "halves", "zeros", "near_kink", "sparse", "large")
"""Standard normal numbers; uniform ones in the model's own range; halves, so that ties come up;
nothing but zeros; beside a kink, on it or beyond; nine in ten zero; a hundred times as large."""

# Lengths of open axes, tried in turn until the model runs; the first axis, the batch, has 1.
LENGTHS = (3, 8, 16, 32, 64, 224, 0)
# Shapes of inputs of unknown rank.
RANKS: tuple[tuple[int | None, ...], ...] = (
    (), (None,), (1, None), (1, None, None), (1, 3, None, None),
)  # fmt: skip
# Of what was walked to a kink: just before it, on it, just after it.
PLACES = (1 - 2.0**-12, 1.0, 1 + 2.0**-12)
TRIES = 8


@dataclass(frozen=True, eq=False)
class Drawn:
    """An instance, and how it came about.

    Parameters
    ----------
    name : str
        For reports: "halves 2 (seed 0)".
    kind : str
        One of `KINDS`.
    feeds : {input name: array}
    """

    name: str
    kind: str
    feeds: dict[str, Array]


class Drawer:
    """Draws instances of one model.

    Parameters
    ----------
    subject : Subject

    Raises
    ------
    OptionError
        What is a sensible value of an input cannot be told, or no shape that was tried runs.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.graph = subject.linearizer().graph
        self.domains = domains(self.graph)
        self._before: Linearizer | None = None
        self.shapes = self._runnable()

    def __call__(self, kind: str, seed: int) -> dict[str, Array]:
        """Draw an instance: the same for the same seed.

        Raises
        ------
        NotApplicable
            There is no kink to walk to.
        OptionError
            There is no such kind.
        """
        if kind not in KINDS:
            raise OptionError(f"kind={kind!r}; expected one of {list(KINDS)}.")
        rng = np.random.default_rng([KINDS.index(kind), seed])
        if kind == "near_kink":
            return self.near_kink(self._filled("normal", rng), rng, PLACES[seed % len(PLACES)])
        return self._filled(kind, rng)

    def _filled(self, kind: str, rng: np.random.Generator) -> dict[str, Array]:
        return {
            name: filled(domain, self.shapes[name], kind, rng)
            for name, domain in self.domains.items()
        }

    def near_kink(self, feeds: Feeds, rng: np.random.Generator, place: float) -> dict[str, Array]:
        """Walk along random directions until one of them meets a kink."""
        lin = self.subject.linearizer()
        if set(lin.section.inputs) - set(lin.graph.inputs):
            raise NotApplicable("x starts inside of the model: no kink can be walked to")
        try:
            region = self._region(lin, feeds)
        except OnnxlinError as error:
            raise NotApplicable("no kink can be walked to: smooth nodes") from error
        for _ in range(TRIES):
            direction = rng.standard_normal(len(region.map.x))
            step = region.step(direction).step
            if 0 < step < np.inf:
                return moved(region.map, feeds, place * step * direction)
        raise NotApplicable("no kink lies in any direction tried: the model may be affine")

    def _region(self, lin: Linearizer, feeds: Feeds) -> Region:
        """Region of the model, or of its part before the first smooth node."""
        m = lin(feeds, [0], "reverse", np.float64)
        curved = curved_steps(m.made_from("walking to a kink").program)
        if not curved:
            return Region(m)
        before = [name for name in curved[0].node.reads if name in lin.section.traced]
        if self._before is None:
            options = self.subject.options | {"outputs": before}
            self._before = Linearizer(self.subject.model, **options)
        return Region(self._before(feeds, [0], "reverse", np.float64))

    def _runnable(self) -> dict[str, tuple[int, ...]]:
        """Find shapes of all inputs with which the model runs."""
        kinds, problem = self.graph.inputs, None
        opened = any(not _is_fixed(kind) for kind in kinds.values())
        for ranks in RANKS if any(kind.shape is None for kind in kinds.values()) else RANKS[:1]:
            for length in LENGTHS if opened else LENGTHS[:1]:
                self.shapes = shapes(kinds, length, ranks)
                try:
                    self.subject.linearizer().run(self._filled("range", np.random.default_rng(0)))
                except OnnxlinError as error:
                    problem = problem or error
                else:
                    return self.shapes
        if not opened and problem is not None:
            raise problem
        listed = ", ".join(f"{name!r}: {kind}" for name, kind in kinds.items())
        raise OptionError(
            f"The model runs at none of the lengths {list(LENGTHS)} of its open axes ({listed}): "
            f"{problem} Give --input with an .npz that holds all inputs."
        )


def instances(
    subject: Subject, count: int | None = None, seed: int = 0, kinds: Sequence[str] = KINDS
) -> Iterator[Drawn]:
    """Draw ``count`` instances, one of each kind in turn; a kind that there is none of is left out.

    Parameters
    ----------
    count : int, optional
        By default one of each kind.
    """
    drawer = Drawer(subject)
    return islice(_endless(drawer, seed, kinds), len(kinds) if count is None else count)


def _endless(drawer: Drawer, seed: int, kinds: Sequence[str]) -> Iterator[Drawn]:
    left, i = list(kinds), 0
    while left:
        kind = left[i % len(left)]
        try:
            feeds = drawer(kind, seed + i)
        except NotApplicable:
            left.remove(kind)
            continue
        yield Drawn(f"{kind} {i} (seed {seed})", kind, feeds)
        i += 1


def filled(domain: Domain, shape: tuple[int, ...], kind: str, rng: np.random.Generator) -> Array:
    """Draw one input.

    Raises
    ------
    LimitError
    """
    # An axis of length 0 makes no room for the others: NumPy multiplies those all the same.
    entries = prod(n for n in shape if n)
    limits.hold("entries", entries, f"An input of shape {shape} is asked for")
    dtype = domain.kind.dtype
    if domain.kind.is_float and not domain.whole:
        low, high = domain.low, domain.high
        values: dict[str, Any] = {
            "normal": lambda: rng.standard_normal(shape),
            "range": lambda: low + (high - low) * rng.random(shape),
            "halves": lambda: rng.integers(-4, 5, shape) / 2,
            "zeros": lambda: np.zeros(shape),
            "sparse": lambda: rng.standard_normal(shape) * (rng.random(shape) < 0.1),
            "large": lambda: 100 * rng.standard_normal(shape),
        }
        return np.asarray(values[kind](), np.float64).astype(dtype)
    if domain.choices:
        picked = rng.integers(0, len(domain.choices), shape)
        return np.asarray(np.array(domain.choices, dtype)[picked * (kind != "zeros")])
    whole = rng.integers(domain.low, domain.high, shape, dtype=np.int64)
    return np.asarray(np.full(shape, domain.low) if kind == "zeros" else whole).astype(dtype)


def shapes(
    kinds: dict[str, TensorType] | Any, length: int, ranks: tuple[int | None, ...] = ()
) -> dict[str, tuple[int, ...]]:
    """Fill in open axes: 1 for the first one of an input, ``length`` for others.

    Axes that bear one name have one length.
    """
    named: dict[str, int] = {}
    found = {}
    for name, kind in kinds.items():
        sizes = []
        for i, n in enumerate(ranks if kind.shape is None else kind.shape):
            own = n if isinstance(n, int) else (length if i else min(length, 1))
            sizes.append(named.setdefault(n, own) if isinstance(n, str) else own)
        found[name] = tuple(sizes)
    return found


def _is_fixed(kind: TensorType) -> bool:
    return kind.shape is not None and all(isinstance(n, int) for n in kind.shape)
