"""Look for the nearest input of another decision: what is found is a bound from above, no proof."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap
from onnxlin.engines.job import Progress
from onnxlin.errors import OptionError, RowsError
from onnxlin.linearizer import Linearizer
from onnxlin.primitives import Array
from onnxlin.readings.question.cut import cut
from onnxlin.readings.region.radius import require_norm, steepest
from onnxlin.section import STAIRCASE
from onnxlin.section.cut import begun_at
from onnxlin.section.feeds import Instance
from onnxlin.section.section import STRAIGHT

STEPS = 16
# How often the way to another decision is halved: numbers of float32 end there.
HALVINGS = 24
# A step goes a little beyond where the map says that two rows draw level.
BEYOND = 1.02
DIRECTIONS = 16
# Lengths of random steps, in units of |x|.
REACHES = 2.0 ** np.arange(-6, 3)


@dataclass(frozen=True, eq=False)
class Found:
    """An input at which another row of the model is the largest, as a run of it says.

    Parameters
    ----------
    norm : {"l1", "l2", "linf"}
    distance : float
        From x, in that norm. A nearer one may exist.
    row : int
        The row that is the largest there.
    x : array (n_in,)
        In the model's own numbers.
    y : array (K,)
        F of the rows there, of that run.
    """

    norm: str
    distance: float
    row: int
    x: Array
    y: Array


def find_change(
    lin: Linearizer,
    x: Instance,
    rows: Any = None,
    norm: str = "l2",
    *,
    steps: int = STEPS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Found | None:
    """Search for a near input at which another row is the largest, by runs of the model itself.

    From x the map's own step to the nearest rival is taken, again and again with the map of where
    it leads; then x is projected on where the two rows draw level, with the map found there. In
    quantised graphs, where W = 0, the maps are those of the straight-through reading. If that leads
    nowhere, random directions are tried. Each way that ends at another decision is halved until its
    two ends are neighbours.
    Source: Moosavi-Dezfooli, Fawzi, Frossard, "DeepFool", CVPR 2016.

    Parameters
    ----------
    lin : Linearizer
    x : instance
    rows : None, indices or combinations
        Among which one is the largest: two at least.
    norm : {"l1", "l2", "linf"}
    steps : int
        Maps to compute, for each of the two parts.
    seed : int
        Of random directions.
    progress : callable, optional
        Called with (maps computed, at most).

    Returns
    -------
    Found or None
        None if every run had the decision of x. x' may lie outside of what inputs mean (pixels
        below 0): nothing but the model is asked.
    """
    require_norm(norm)
    if steps < 1:
        raise OptionError(f"steps={steps}; expected at least 1.")
    search = _Search(lin, x, rows, norm, steps=steps, progress=progress)
    for target in search.ways():
        search.shorten(target)
    if search.best is None:
        for target in search.blind(np.random.default_rng(seed)):
            search.shorten(target)
    search.refine()
    return search.best


class _Search:
    """One search, and the best that it has found."""

    def __init__(
        self,
        lin: Linearizer,
        x: Instance,
        rows: Any,
        norm: str,
        *,
        steps: int,
        progress: Progress | None,
    ) -> None:
        own, self.feeds = cut(lin, lin.feeds(x))
        self.lin = own.steady(1 + 2 * steps)
        self.rows, self.norm, self.steps, self.progress = rows, norm, steps, progress
        self.start: AffineMap = self.lin(self.feeds, rows, dtype=np.float64)
        if len(self.start.rows) < 2:
            count = len(self.start.rows)
            raise RowsError(f"There is {count} row; a decision needs two. Ask for more rows=.")
        self.order = require_norm(norm)
        self.top = int(self.start.y.argmax())
        self.best: Found | None = None
        self.guide = self.lin
        self._maps = 0

    def ways(self) -> Iterator[Array]:
        """Where the maps' own steps lead, up to the first other decision."""
        m = self.start
        if self._step(m) is None and self.lin.rounding == STAIRCASE:
            self.guide = self._straight()
            m = self._map(m.x)
        for _ in range(self.steps):
            step = self._step(m)
            if step is None:
                return
            target = self._rounded(m.x + BEYOND * step)
            if self._row(target) != self.top:
                yield target
                return
            if np.array_equal(target, m.x):
                return
            m = self._map(target)

    def _straight(self) -> Linearizer:
        """The same model, rounding counted as the identity: its maps move where steps are flat."""
        section, graph = self.lin.section, self.lin.graph
        model, _ = begun_at(graph, self.feeds, section.inputs, section.outputs)
        how: dict[str, Any] = {"inputs": section.inputs, "outputs": section.outputs}
        how |= {"memory": self.lin.memory, "providers": self.lin.providers}
        made = Linearizer(model, mode=self.lin.mode, rounding=STRAIGHT, **how)
        return made.steady(2 * self.steps)

    def blind(self, rng: np.random.Generator) -> Iterator[Array]:
        """Random steps, longer and longer, up to the first length that changes the decision."""
        x = self.start.x
        size = float(np.linalg.norm(x)) or 1.0
        directions = rng.standard_normal((DIRECTIONS, x.size))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        for reach in REACHES:
            targets = [self._rounded(x + reach * size * each) for each in directions]
            hits = [target for target in targets if self._row(target) != self.top]
            yield from hits
            if hits:
                return

    def refine(self) -> None:
        """Project x on where the rows draw level, as the map at the best input has it."""
        for _ in range(self.steps):
            if self.best is None:
                return
            before = self.best.distance
            step = self._step(self._map(self.best.x), self.best.row)
            if step is None:
                return
            self.shorten(self._rounded(self.start.x + BEYOND * step))
            if not self.best.distance < before * (1 - 1e-3):
                return

    def shorten(self, target: Array) -> None:
        """Halve the way to an input of another decision; keep what is nearer than the best."""
        x = self.start.x
        if self._row(target) == self.top:
            return
        low, high = 0.0, 1.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if self._row(self._rounded(x + middle * (target - x))) == self.top:
                low = middle
            else:
                high = middle
        found = self._rounded(x + high * (target - x))
        order = {"l1": 1, "l2": 2, "linf": np.inf}[self.norm]
        distance = float(np.linalg.norm(found - x, ord=order))
        if self.best is None or distance < self.best.distance:
            self.best = Found(self.norm, distance, self._row(found), found, self._values(found))

    def _step(self, m: AffineMap, rival: int | None = None) -> Array | None:
        """From where a map stands, or from x, to where it says that a rival draws level."""
        W = m.W.astype(np.float64)
        base = m.x if rival is None else self.start.x
        f = W @ base + m.b
        slopes = W - W[self.top]
        sizes = np.linalg.norm(slopes, ord=self.order, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            gaps = np.where(sizes > 0, np.maximum(f[self.top] - f, 0) / sizes, np.inf)
        at = int(gaps.argmin()) if rival is None else rival
        if not np.isfinite(gaps[at]):
            return None
        return gaps[at] * steepest(slopes[at], self.norm)

    def _map(self, flat: Array) -> AffineMap:
        self._maps += 1
        if self.progress is not None:
            self.progress(self._maps, 2 * self.steps)
        fed = {name: v for name, v in self._fed(flat).items() if name in self.guide.graph.inputs}
        return self.guide(fed, self.rows, dtype=np.float64)

    def _row(self, flat: Array) -> int:
        """Which row is the largest, as the model runs; the one of x where it is level with it."""
        found = self._values(flat)
        return self.top if found[self.top] >= found.max() else int(found.argmax())

    def _values(self, flat: Array) -> Array:
        """F of the rows, as the model runs."""
        outputs = self.lin.run(self._fed(flat)).values()
        y = np.concatenate([np.ravel(value).astype(np.float64) for value in outputs])
        found: Array = self.start.rows.apply(y[:, None])[:, 0]
        return found

    def _fed(self, flat: Array) -> dict[str, Array]:
        own = self.start
        cast = {
            name: flat[at].reshape(own.inputs[name].shape).astype(self.feeds[name].dtype)
            for name, at in own.columns_of.items()
        }
        return {**self.feeds, **cast}

    def _rounded(self, flat: Array) -> Array:
        """In the model's own numbers."""
        fed = self._fed(flat)
        parts = [fed[name].ravel().astype(np.float64) for name in self.start.inputs]
        return np.concatenate(parts)
