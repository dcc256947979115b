"""What proves a map: its residuals, what rounding may make of them, and what that decides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from onnxlin.affine_map.bounds import Bounds, cancelling, doubt, hold, proof_bytes
from onnxlin.affine_map.origin import Origin
from onnxlin.affine_map.sides import fallen
from onnxlin.affine_map.verdict import Doubt, Verdict, judge, together
from onnxlin.affine_map.wide import by_rows
from onnxlin.engines.confined import confined
from onnxlin.engines.cuts import narrowest
from onnxlin.engines.seeds import Seeds
from onnxlin.primitives import Array
from onnxlin.program import Known
from onnxlin.program.departure import first_departure
from onnxlin.program.rates import smallest, unit_roundoff
from onnxlin.section.feeds import flattened

# Where W x + b is nothing at all, the residual is relative to the size at which the absolute
# rounding of float32's smallest numbers becomes a relative one.
TINY = smallest(np.dtype(np.float32)) / unit_roundoff(np.dtype(np.float32))

# So near to 0 is 0, beside what cancels.
DIGITS = 1e-12
# A row that is small beside the others is proved in units of this part of the largest.
PART = 0.1


class Proved(ABC):
    """The part of an `onnxlin.AffineMap` that says how exactly it is the model at x."""

    outputs: dict[str, Array]
    rows: Seeds
    engine: str
    notes: tuple[str, ...]

    def __init__(self, bound: Array | None, own: Callable[[], Mapping[str, Array]] | None) -> None:
        self._own = own
        # Bounds against the run and of composing, in units of the outputs, once they are known.
        self._bound_of_run = self._bound_of_composing = bound

    @property
    @abstractmethod
    def x(self) -> Array:
        """The inputs, flattened."""

    @property
    @abstractmethod
    def y(self) -> Array:
        """F(x), for the rows asked."""

    @property
    @abstractmethod
    def W(self) -> Array:  # noqa: N802
        """The matrix."""

    @property
    @abstractmethod
    def b(self) -> Array:
        """The bias."""

    @property
    @abstractmethod
    def Wx(self) -> Array:  # noqa: N802
        """W x in float64."""

    @property
    @abstractmethod
    def bias_by_node(self) -> Mapping[str, Array]:
        """Shares of b."""

    @property
    @abstractmethod
    def detached(self) -> bool:
        """Whether there is no program."""

    @abstractmethod
    def made_from(self, what: str) -> Origin:
        """Return what the map was made from."""

    @cached_property
    def own_outputs(self) -> Mapping[str, Array]:
        """F(x) of the model's own run, without optimisers; `outputs` are a graph's if compiled."""
        return self._own() if self._own else self.outputs

    def own_run(self, *, now: bool) -> Callable[[], Mapping[str, Array]] | None:
        """What makes `own_outputs` of a map like this one: made already if known, or ``now``."""
        if self._own is not None and (now or "own_outputs" in vars(self)):
            return Known(self.own_outputs)
        return self._own

    @cached_property
    def own_y(self) -> Array:
        """The same for the rows asked, ``(n_rows,)``: what `residual` and `verify` are against."""
        return self.rows.apply(flattened(self.own_outputs)) if self._own else self.y

    @cached_property
    def scale(self) -> Array:
        """``|W| |x| + sum of |bias contributions|``: what the residual is relative to."""
        return self._added_up + TINY

    @cached_property
    def _added_up(self) -> Array:
        found: Array = by_rows(self.W, lambda W: np.abs(W) @ np.abs(self.x))
        return found + sum(np.abs(share) for share in self.bias_by_node.values())

    @property
    def error(self) -> Array:
        """``|F(x) - (W x + b)|`` against onnxruntime's F(x), in its units, ``(n_rows,)``."""
        found: Array = np.abs(self.own_y - (self.Wx + self.b))
        return found

    @property
    def residual(self) -> Array:
        """``|F(x) - (W x + b)| / scale`` against onnxruntime's F(x), float64, ``(n_rows,)``."""
        return self.error / self.scale

    @property
    def composition_residual(self) -> Array:
        """The same against the program's own forward pass in float64: the composing alone."""
        return self._composition_error / self.scale

    @cached_property
    def _composition_error(self) -> Array:
        program = self.made_from("composition_residual").program
        own = self.rows.apply(program.output(program.forward(self.x, program.outputs)))
        found: Array = np.abs(own - (self.Wx + self.b))
        return found

    @property
    def error_bound(self) -> Array:
        """What rounding alone may make of `error`, in units of the outputs, ``(n_rows,)``.

        The worst case of every rounding, or what is likely of independent ones where that decides
        and the worst case does not, or where rows are many (docs/exactness.md).
        """
        if self._bound_of_run is None:
            origin = self.made_from("bound")
            with confined(origin.job.threads):
                self._bound_of_run = self._bounds("bound").of_run(self.error, self.own_y)
            self.notes += fallen(self.W, self.rows, origin) if self._own else ()
        return self._bound_of_run

    @property
    def bound(self) -> Array:
        """`error_bound` relative to `scale`: what rounding alone may make of `residual`."""
        return self.error_bound / self.scale

    @property
    def composition_bound(self) -> Array:
        """What rounding alone may make of `composition_residual`."""
        if self._bound_of_composing is None:
            bounds = self._bounds("composition_bound")
            self._bound_of_composing = bounds.of_composing(self._composition_error)
        return self._bound_of_composing / self.scale

    @cached_property
    def output_size(self) -> Array:
        """Size of F that an error in each row is held against, in its units, ``(n_rows,)``.

        ``|F|`` of the row, or a tenth of the largest in the output tensor that it belongs to where
        that is more; of a combination a tenth of the largest that it combines, each times its
        factor. What is smaller than numbers that underflow spoil counts as so large. Where a tensor
        is 0 throughout, and W x + b is 0 as well to 12 digits of what cancels in it, as in x - x,
        its size is that of what cancels.
        """
        found, zero = self._plain_size
        if not zero.any() or self.detached:
            return found
        # Only where the bound asks for it: it takes a sweep.
        rows = np.flatnonzero(zero & ~(self.error_bound <= found))
        cancels = cancelling(self.made_from("output_size"), rows) if rows.size else np.zeros(0)
        alike = self.error[rows] <= DIGITS * cancels
        whole = found.copy()
        whole[rows] = np.where(alike, np.maximum(found[rows], cancels), found[rows])
        return whole

    @cached_property
    def _plain_size(self) -> tuple[Array, Array]:
        """Sizes by F alone, and of which rows the whole tensor is 0."""
        largest = self._of_outputs([_size_of(value) for value in self.outputs.values()])
        least = self._of_outputs([_least_size(value.dtype) for value in self.outputs.values()])
        return np.maximum(np.maximum(np.abs(self.y), PART * largest), least), largest == 0

    def _of_outputs(self, each: list[float]) -> Array:
        """Bring one number for every output tensor to the rows; of combinations the largest."""
        counts = [value.size for value in self.outputs.values()]
        whole = np.repeat(np.array(each, dtype=np.float64), counts)
        if self.rows.matrix is None:
            return self.rows.apply(whole)
        found: Array = (np.abs(self.rows.matrix) * whole).max(axis=1, initial=0.0)
        return found

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What is decided of every row: see `Verdict`."""
        # Numbers that underflow spoil are nothing in the map's precision, of whatever size F is.
        nothing = smallest(self.W.dtype) / unit_roundoff(self.W.dtype)
        return tuple(judge(self.error, self.error_bound, np.maximum(self.output_size, nothing)))

    @property
    def verdict(self) -> Verdict:
        """What is decided of all rows: FAIL if one fails, PASS if every one passes."""
        return together(self.verdicts)

    def doubt(self, row: int) -> Doubt | None:
        """Name the node whose roundings are the largest part of the bound of a row."""
        return doubt(self.made_from("doubt()"), row)

    def first_departure(self) -> str | None:
        """Describe the first node whose piece misses its traced output; None if none does."""
        origin = self.made_from("first_departure()")
        return first_departure(origin.program, origin.values)

    @property
    def known_bound(self) -> Array | None:
        """`error_bound` if it is there already: it takes work of its own."""
        return self._bound_of_run

    def _bounds(self, what: str) -> Bounds:
        if "_made_bounds" not in vars(self):
            # Summing W x over the columns is rounded in float64 as well.
            summing = len(self.x) * float(np.finfo(np.float64).eps) * self._added_up
            size, origin = self._plain_size[0], self.made_from(what)
            hold(origin, proof_bytes(origin.program))
            cut = narrowest(origin.program, origin.job.seeds) if self.engine == "cut" else None
            self._made_bounds = Bounds(
                origin, size, self.scale, summing, anew=self._own is not None, cut=cut
            )
        return self._made_bounds


def _size_of(value: Array) -> float:
    return float(np.abs(value.astype(np.float64)).max(initial=0.0))


def _least_size(dtype: np.dtype[Any]) -> float:
    own = np.dtype(np.float64 if dtype == np.float64 else np.float32)
    return smallest(own) / unit_roundoff(own)
