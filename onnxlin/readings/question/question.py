"""One row of a model at one x: what attributions answer and judges ask about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from scipy import ndimage

from onnxlin.affine_map import AffineMap
from onnxlin.engines.seeds import make_seeds
from onnxlin.errors import InputError, OptionError, RowsError
from onnxlin.graph import Array
from onnxlin.graph.picture import Geometry, guess_geometry
from onnxlin.linearizer import Linearizer
from onnxlin.readings.checks import row_names
from onnxlin.readings.question.cut import cut
from onnxlin.readings.question.runs import Runs
from onnxlin.readings.row.contributions import Baseline, flat_baseline
from onnxlin.section.feeds import Instance
from onnxlin.section.numbers import as_array, flat

# Of the longest side: 16 pixels of a photo of 224, 2 of a digit.
BLUR = 1 / 14
Reference = Baseline | str
"""A baseline x0: "zero", "mean", "blur", one number, an array, or {input name: array}."""


class Question:
    """One output of a model at x, which attributions explain and judges ask about.

    Parameters
    ----------
    lin : Linearizer
        Where it starts at hidden tensors, the model is cut there, and all that does not depend on
        them is held as it is at x.
    x : instance
    row : int, combination (n_out,), or None
        The output asked about; None takes the largest.
    geometry : Geometry, optional
        Where channels, rows and columns lie if x is one picture; by default its shape tells.

    Attributes
    ----------
    lin : Linearizer
        Runs from the tensors that are linearised.
    m : AffineMap
        The map at x of that one row, in float64.
    """

    def __init__(
        self,
        lin: Linearizer,
        x: Instance,
        row: Any = None,
        *,
        geometry: Geometry | None = None,
    ) -> None:
        own, self.feeds = cut(lin, lin.feeds(x))
        # Maps near x are held against that at x, by whoever asks.
        self.lin = own.steady(1)
        self.rows = _one_row(self.lin, self.feeds, row)
        self.m: AffineMap = self.lin(self.feeds, self.rows, dtype=np.float64)
        self.x: Array = self.m.x
        self.geometry = geometry or self._guessed()
        if self.geometry is not None and prod(self.geometry.shape) != len(self.x):
            raise InputError(
                f"geometry is that of a picture of {self.geometry}; x has {len(self.x)} entries. "
                "Leave it out, or give that of the tensor that is linearised."
            )
        self.y = float(self.m.y[0])

    def __repr__(self) -> str:
        return f"<Question about row {self.name} of {len(self.x)} features, F(x) = {self.y:.6g}>"

    @cached_property
    def name(self) -> str:
        """The row: the index of the output, or "combination 0"."""
        return row_names(self.m, make_seeds(None, 1))[0]

    def _guessed(self) -> Geometry | None:
        shapes = list(self.m.shapes[0].values())
        return guess_geometry(shapes[0]) if len(shapes) == 1 else None

    @cached_property
    def runs(self) -> Runs:
        """The model, ready for many x'."""
        return Runs(self.lin, self.feeds)

    def outputs(self, xs: Iterable[Array]) -> Array:
        """All outputs at flat inputs: ``N times (n_in,) -> (N, n_out)``."""
        shapes = self.m.shapes[0]
        return self.runs(self.fed(flat("x", x, shapes)) for x in xs)

    def F(self, xs: Iterable[Array]) -> Array:  # noqa: N802  # the function's own name
        """The row at flat inputs, as onnxruntime computes it: ``N times (n_in,) -> (N,)``."""
        found: Array = self.m.rows.apply(self.outputs(xs).T)[0]
        return found

    def gradients(self, xs: Array) -> Array:
        """The row of W at flat inputs: ``(N, n_in) -> (N, n_in)``, many at once where it pays.

        In the model's own precision.
        """
        fed = [self.fed(x) for x in xs]
        stacks = {name: np.stack([each[name] for each in fed]) for name in fed[0]} if fed else {}
        maps = self.lin.map(stacks, self.rows) if fed else ()
        found = [m.W[0].astype(np.float64) for m in maps]
        return np.array(found).reshape(len(found), len(self.x))

    def fed(self, flat: Array) -> dict[str, Array]:
        """Cut flat features into the model's inputs, in its own precision; others as they were."""
        cast = {
            name: flat[at].reshape(self.m.inputs[name].shape).astype(self.feeds[name].dtype)
            for name, at in self.m.columns_of.items()
        }
        return {**self.feeds, **cast}

    def reference(self, x0: Reference) -> Array:
        """Read a baseline: ``(n_in,)``, in numbers that the model's own precision has.

        Parameters
        ----------
        x0 : "zero", "mean", "blur", number, array or {input name: array}
            "mean" is that of each channel of a picture, else of each input; "blur" is a Gaussian
            whose sigma is 1/14 of the longest side, over a picture or along the last axis.
        """
        if not isinstance(x0, str):
            start = flat_baseline(self.m, x0)
        elif x0 == "zero":
            start = np.zeros(len(self.x))
        elif x0 in ("mean", "blur"):
            start = self._of_x(_mean if x0 == "mean" else _blur)
        else:
            raise OptionError(
                f'baseline={x0!r}; expected "zero", "mean", "blur", a number or an array.'
            )
        return self.flat(self.fed(start))

    def _of_x(self, change: Any) -> Array:
        if self.geometry is not None:
            picture = self.geometry.to_picture(self.x)
            return self.geometry.to_tensor(np.moveaxis(change(picture, 2), 0, -1)).ravel()
        parts = [change(value.astype(np.float64), 1) for value in self.m.inputs.values()]
        return np.concatenate([part.ravel() for part in parts])

    def flat(self, feeds: Mapping[str, Array]) -> Array:
        """Take the linearised inputs from feeds: ``(n_in,)``, float64."""
        parts = [np.asarray(feeds[name], np.float64).ravel() for name in self.m.inputs]
        return np.concatenate(parts)


def _mean(value: Array, axes: int) -> Array:
    last = tuple(range(value.ndim - axes, value.ndim)) if axes == 2 else None
    return np.broadcast_to(value.mean(axis=last, keepdims=True), value.shape)


def _blur(value: Array, axes: int) -> Array:
    if value.ndim < axes:
        return value
    sizes = value.shape[value.ndim - axes :]
    widths = [0.0] * (value.ndim - axes) + [BLUR * max(sizes)] * axes
    found: Array = ndimage.gaussian_filter(value, widths, mode="nearest")
    return found


def _one_row(lin: Linearizer, feeds: Mapping[str, Array], row: Any) -> Array:
    """Read ``row`` as what `Linearizer` takes for one row."""
    y = np.concatenate([np.ravel(value).astype(np.float64) for value in lin.run(feeds).values()])
    if row is None:
        if not y.size:
            raise RowsError("The model has no outputs at this x, so there is no row to ask about.")
        return np.array([int(y.argmax())])
    found = as_array("row", row)
    asked = found.reshape(1, -1) if found.ndim == 1 and found.size != 1 else np.atleast_1d(found)
    if len(make_seeds(asked, len(y))) != 1:
        raise RowsError(f"row={row!r}: a question is about one row; give one index.")
    return asked


def name_of(x0: Reference) -> str:
    """Name a baseline in a report."""
    if isinstance(x0, str):
        return x0
    if isinstance(x0, Mapping) or np.ndim(x0):
        return "given"
    return f"{float(np.asarray(x0)):g}"
