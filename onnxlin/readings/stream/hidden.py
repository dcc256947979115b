"""The map from a hidden tensor of a convolutional net, as a picture: ``F = W_h h + b_h``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from onnxlin.affine_map import AffineMap, Verdict
from onnxlin.affine_map.verdict import judge
from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.readings.checks import chosen, row_names
from onnxlin.readings.stream.grids import ALL, Grid, choose_grids
from onnxlin.readings.stream.sweep import Cut, Fold, Sweep, proved


@dataclass(frozen=True, eq=False)
class HiddenMap:
    """``values[k].sum() + rest[k] = F(x)`` row by row, from one hidden tensor h on.

    Parameters
    ----------
    tensor : str
        h, ``(1, channels, h, w)`` or ``(1, h, w, channels)``.
    grid : (int, int)
        h, w: places down and across.
    channels : int
    values : array (K, h, w)
        What each place brings: ``W_h h`` added up over the channels.
    rest : array (K,)
        ``b_h``: biases behind the tensor. At x it is b.
    y : array (K,)
        F(x) as onnxruntime computed it.
    scale, error_bound : array (K,)
        What adds up to a row, ``|W_h| |h| + sum of |bias contributions|``, and what rounding alone
        may put between F(x) and that sum, in units of the outputs.
    output_size : array (K,)
        See `onnxlin.AffineMap.output_size`.
    rows : tuple of str (K)
        Names of the rows.
    """

    tensor: str
    grid: tuple[int, int]
    channels: int
    values: Array
    rest: Array
    y: Array
    scale: Array
    error_bound: Array
    output_size: Array
    rows: tuple[str, ...]

    @property
    def Wh(self) -> Array:  # noqa: N802
        """``W_h h``, added up over all places, ``(K,)``."""
        found: Array = self.values.sum(axis=(1, 2))
        return found

    @property
    def error(self) -> Array:
        """``|F(x) - (W_h h + b_h)|``, in units of the outputs, ``(K,)``."""
        found: Array = np.abs(self.y - (self.Wh + self.rest))
        return found

    @property
    def residual(self) -> Array:
        """The same relative to `scale`."""
        return self.error / self.scale

    @property
    def bound(self) -> Array:
        """`error_bound` relative to `scale`: what rounding alone may make of `residual`."""
        return self.error_bound / self.scale

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What is decided of every row: see `onnxlin.Verdict`."""
        return tuple(judge(self.error, self.error_bound, self.output_size))

    def over(self, height: int, width: int) -> Array:
        """The value of the place that lies over each pixel of a picture, ``(K, height, width)``.

        Nearest, without any smoothing. Values are repeated: they no longer add up to W_h h.
        """
        return repeated(self.values, height, width)


def repeated(values: Array, height: int, width: int) -> Array:
    """Repeat the values of a grid, ``(..., h, w) -> (..., height, width)``, by nearest.

    Raises
    ------
    OptionError
        The grid is finer: some of its places would be lost.
    """
    h, w = values.shape[-2:]
    if h > height or w > width:
        raise OptionError(f"A grid of {h} x {w} is finer than a picture of {height} x {width}.")
    down, across = np.arange(height) * h // height, np.arange(width) * w // width
    found: Array = values[..., down[:, None], across]
    return found


def hidden_maps(
    m: AffineMap, rows: Any = None, tensors: str | Sequence[str] | None = None
) -> tuple[HiddenMap, ...]:
    """Read a map at hidden tensors that have places of a picture, each as a coarse picture.

    A map can be cut where every path from x to the outputs goes through one tensor h: it is then
    that of h, ``F = W_h h + b_h``. Added up over the channels ``W_h h`` is a picture as coarse as
    h. All tensors come out of one adjoint sweep.

    Parameters
    ----------
    m : AffineMap
    rows : positions (K,) or combinations (K, rows of m), optional
        Of the rows of m; by default all.
    tensors : str or sequence of str, optional
        Names; "last" for the activation of the last convolution, before places are pooled away;
        "all" (the default) for every tensor where the map can be cut, x among them.

    Returns
    -------
    tuple of HiddenMap
        In the order of the model. Exact at x, in the reading of the map.

    Raises
    ------
    OptionError
        There is no such tensor, or some path goes around it.
    RowsError, DetachedError
    ResidualError
        A sum misses F(x) by more than rounding allows.

    Source: gradient times activation, added up over channels: HiResCAM, Draelos and Carin, 2020,
    arXiv 2011.08891, there without biases.
    """
    asked = [ALL] if tensors is None else [tensors] if isinstance(tensors, str) else tensors
    if not isinstance(asked, list | tuple) or not all(isinstance(name, str) for name in asked):
        raise OptionError(f"tensors={tensors!r}; expected names of tensors, 'last' or 'all'.")
    program = m.made_from("hidden_maps()").program
    grids = choose_grids(program, asked)
    seeds, folds = chosen(m, rows), {grid.tensor: _fold(grid) for grid in grids}
    if not grids:
        return ()
    swept = Sweep(m, seeds, folds, inputs=any(name in program.inputs for name in folds))
    swept.run()
    cuts = [_cut(swept, grid, folds[grid.tensor]) for grid in grids]
    names = [repr(grid.tensor) for grid in grids]
    entries = max(prod(grid.size) * grid.channels for grid in grids)
    proof = proved(m, seeds, cuts, names, entries)
    return tuple(
        HiddenMap(
            grid.tensor, grid.size, grid.channels, cut.values, cut.rest, proof.y, scale, bound,
            proof.output_size, row_names(m, seeds),
        )
        for grid, cut, scale, bound in zip(
            grids, cuts, proof.scale, proof.error_bound, strict=True
        )
    )  # fmt: skip


def listed(found: HiddenMap) -> dict[str, Any]:
    """Return a map as plain data: what the command prints and the page draws."""
    return {
        "tensor": found.tensor,
        "grid": list(found.grid),
        "channels": found.channels,
        "values": found.values.tolist(),
        "rest": found.rest.tolist(),
        "y": found.y.tolist(),
        "error": found.error.tolist(),
        "error_bound": found.error_bound.tolist(),
        "verdicts": [str(verdict) for verdict in found.verdicts],
    }


def _fold(grid: Grid) -> Fold:
    def fold(each: Array) -> Array:
        # An axis of rows and one of 1 stand before the others.
        found: Array = each.sum(axis=grid.axis + 1)[:, 0]
        return found

    return fold


def _cut(swept: Sweep, grid: Grid, fold: Fold) -> Cut:
    """What was found at a tensor; nothing but biases where no row reaches it."""
    if grid.tensor in swept.program.inputs:
        shape = swept.program.inputs[grid.tensor]
        return swept.at_inputs(lambda each: fold(each.reshape(len(each), *shape)))
    return swept.cuts.get(grid.tensor) or swept.behind(grid.size)
