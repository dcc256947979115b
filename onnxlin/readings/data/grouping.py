"""Group the samples of a data set by the pattern of a model at each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.affine_map import AffineMap
from onnxlin.affine_map.layer import Layer
from onnxlin.engines.job import Progress
from onnxlin.errors import InputError, OptionError, ResidualError
from onnxlin.linearizer import Linearizer
from onnxlin.load import Model
from onnxlin.primitives import Array
from onnxlin.readings.data.ensemble import Ensemble
from onnxlin.readings.data.groups import Groups, LocalModel, largest_first
from onnxlin.readings.data.scores import read_labels
from onnxlin.section.feeds import Instance, instances
from onnxlin.texts import counted

# Under these readings of a node the numbers of x itself stand in its piece.
AT_X_ALONE = ("tangent", "frozen", "straight-through", "random")


def group(
    model: Linearizer | Ensemble | Model,
    xs: Instance,
    labels: npt.ArrayLike | None = None,
    *,
    rows: Any = None,
    engine: str = "reverse",
    dtype: npt.DTypeLike | None = None,
    progress: Progress | None = None,
) -> Groups:
    """Group samples by the pattern of the model at each: one map a group, exact on all of it.

    Parameters
    ----------
    model : Linearizer, Ensemble, or what `Linearizer` takes
    xs : array, or {input name: array}
        Samples stacked on axis 0, as for `Linearizer.map`.
    labels : integers (N,), optional
        Classes, from 0.
    rows, engine, dtype
        As in the call of a `Linearizer`. Distances, tables and scores are about these rows.
    progress : callable, optional
        Called with (done, total) samples.

    Raises
    ------
    OptionError
        A node of the model is smooth, so that each x has a map of its own.
    ResidualError
        A group's map misses F at one of its samples by more than rounding allows.
    """
    lin = model if isinstance(model, Linearizer | Ensemble) else Linearizer(model)
    total = len(instances(xs, lin.inputs if isinstance(lin, Ensemble) else lin.graph.inputs))
    if not total:
        raise InputError("xs holds no samples. Stack them on axis 0.")
    seen = Seen()
    given = None
    for i, m in enumerate(lin.map(xs, rows, engine, dtype)):
        if not i and labels is not None:
            given = read_labels(labels, total, len(m.y))
        key = m.pattern_key
        if key not in seen:
            require_regions(m)
        seen.add(key, Sighting(m.x, m.y, m.bound * m.scale), partial(_solution, m))
        if progress is not None:
            progress(i + 1, total)
    return seen.groups(given)


@dataclass(frozen=True, eq=False)
class Sighting:
    """What a sample brings along beside its map.

    Parameters
    ----------
    x, y : array (n_in,), (K,)
    allowed : array (K,)
        How far rounding may carry W x + b from y.
    """

    x: Array
    y: Array
    allowed: Array


@dataclass(frozen=True, eq=False)
class Seen:
    """The samples so far: each with x and F, and one W and b for those of one pattern."""

    solved: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    members: dict[str, list[int]] = field(default_factory=dict)
    x: list[Array] = field(default_factory=list)
    y: list[Array] = field(default_factory=list)

    def __contains__(self, key: str) -> bool:
        return key in self.solved

    def add(self, key: str, own: Sighting, solve: Callable[[], tuple[Array, Array]]) -> None:
        """Put the next sample into its group, whose map must be F there.

        Parameters
        ----------
        key : str
            The pattern.
        solve : callable
            Gives W and b; it is asked at the first sample of a group.

        Raises
        ------
        InputError, ResidualError
        """
        i = len(self.x)
        if key not in self.solved:
            self.solved[key] = solve()
        if i:
            require_rows(i, len(own.y), len(self.y[0]))
        _require_identity(own, i, *self.solved[key])
        self.members.setdefault(key, []).append(i)
        self.x.append(own.x)
        self.y.append(own.y)

    def groups(self, labels: Array | None) -> Groups:
        """All of them, once all samples are there."""
        x, y = np.stack(self.x), np.stack(self.y)
        models = [
            LocalModel.of([key], np.array(at), self.solved[key], (x, y))
            for key, at in self.members.items()
        ]
        return Groups(largest_first(models), x, y, labels)


def _solution(m: AffineMap) -> tuple[Array, Array]:
    return m.W, m.b


def require_rows(i: int, found: int, first: int) -> None:
    """Refuse a sample with more or fewer outputs than the first.

    Raises
    ------
    InputError
    """
    if found != first:
        raise InputError(
            f"Sample {i} has {found} rows, sample 0 has {first}: the size of the output depends on "
            "x. Choose outputs= that are as large at each."
        )


def require_regions(m: AffineMap) -> None:
    """Refuse a map that holds at x alone.

    Raises
    ------
    OptionError
    """
    smooth = [layer.name for layer in _varying(m) if layer.status in AT_X_ALONE]
    if smooth:
        listed = ", ".join(repr(name) for name in smooth[:5])
        raise OptionError(
            f"The model has no regions to group by: {counted(len(smooth), 'node')} ({listed}) "
            "linearised at x alone, so each x has a map of its own. End before them with outputs= "
            '(outputs="logits" for a softmax at the end).'
        )


def _varying(m: AffineMap) -> Iterator[Layer]:
    return (layer for layer in m.layers if layer.step.varies)


def _require_identity(own: Sighting, i: int, W: Array, b: Array) -> None:
    """Raise unless the group's map is F at this sample, to within the bound of rounding."""
    ours = W.astype(np.float64) @ own.x + b
    gap, allowed = np.abs(own.y - ours), own.allowed
    if not (gap <= allowed).all():
        row = int(np.argmax(gap - allowed))
        raise ResidualError(
            f"Sample {i}, row {row}: the map of its group gives {ours[row]:.9g}, F(x) = "
            f"{own.y[row]:.9g}; they differ by {gap[row]:.3g}, where rounding allows "
            f"{allowed[row]:.3g}. Please report this model."
        )
