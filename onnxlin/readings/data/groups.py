"""A data set seen by its regions: samples that share one map, and a table of these maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from onnxlin.errors import InputError
from onnxlin.primitives import Array
from onnxlin.readings.data.merging import Merging, merged
from onnxlin.readings.data.scores import Scores, score
from onnxlin.section.numbers import real
from onnxlin.section.options import whole


@dataclass(frozen=True, eq=False)
class LocalModel:
    """One map and the samples that it serves.

    Parameters
    ----------
    keys : tuple of str
        The patterns (`AffineMap.pattern_key`): one, or several after merging.
    members : integer array (n,)
        Positions of the samples in the data set.
    W, b : array (K, n_in), (K,)
    center : array (n_in,)
        Mean of the samples.
    response : array (K,)
        Mean of F over the samples.
    """

    keys: tuple[str, ...]
    members: Array
    W: Array
    b: Array
    center: Array
    response: Array

    @classmethod
    def of(
        cls,
        keys: Sequence[str],
        members: Array,
        solution: tuple[Array, Array],
        data: tuple[Array, Array],
    ) -> LocalModel:
        """Make one of W and b, and of x and y of the whole data set."""
        x, y = (part[members].mean(axis=0) for part in data)
        return cls(tuple(keys), members, *solution, x, y)

    def __len__(self) -> int:
        return len(self.members)

    def __call__(self, x: Array) -> Array:
        """``W x + b`` of flattened inputs: ``(..., n_in) -> (..., K)``, float64."""
        x = real("x", x)
        if x.shape[-1:] != self.W.shape[1:]:
            raise InputError(
                f"x has the shape {x.shape}; the map takes {self.W.shape[1]} entries on its last "
                "axis: flatten each sample."
            )
        found: Array = x @ self.W.astype(np.float64).T + self.b
        return found


@dataclass(frozen=True, eq=False)
class Groups:
    """A data set cut into groups of samples that share one map.

    Parameters
    ----------
    models : tuple of LocalModel
        Largest first.
    x, y : array (N, n_in), (N, K)
        The samples as the model saw them, flattened, and F at each.
    labels : array (N,) or None
    exact : bool
        Whether each map is the model on its samples; False after merging.
    """

    models: tuple[LocalModel, ...]
    x: Array
    y: Array
    labels: Array | None
    exact: bool = True

    def __len__(self) -> int:
        return len(self.models)

    @property
    def sizes(self) -> list[int]:
        """Samples of each group, largest first."""
        return [len(model) for model in self.models]

    @cached_property
    def member(self) -> Array:
        """Which group each sample is in: ``(N,)``."""
        found = np.zeros(len(self.x), dtype=np.int64)
        for i, model in enumerate(self.models):
            found[model.members] = i
        return found

    @cached_property
    def distinct(self) -> int:
        """How many different W and b there are.

        Fewer than groups where patterns differ in units that no output depends on.
        """
        # + 0.0 makes one of the two zeros.
        return len({((m.W + 0.0).tobytes(), (m.b + 0.0).tobytes()) for m in self.models})

    @property
    def error(self) -> Array:
        """``|F(x) - (W x + b)|`` with the map of each sample's group, largest row: ``(N,)``."""
        found = np.zeros(len(self.x))
        for model in self.models:
            gap = np.abs(self.y[model.members] - model(self.x[model.members]))
            found[model.members] = gap.max(axis=1, initial=0.0)
        return found

    @property
    def scores(self) -> Scores | None:
        """Of the groups' maps on the whole data set; None without labels."""
        if self.labels is None:
            return None
        served = np.zeros_like(self.y)
        for model in self.models:
            served[model.members] = model(self.x[model.members])
        return score(served, self.labels)

    def table(self, count: int | None = None) -> list[dict[str, Any]]:
        """Plain numbers of the largest groups, ready for JSON.

        ``accuracy`` and ``auc`` are those of a group's map on its own samples, the same with
        ``_everywhere`` those of this one map on the whole data set.
        """
        most = None if count is None else whole("count", count)
        return [self._row(model) for model in self.models[:most]]

    def _row(self, model: LocalModel) -> dict[str, Any]:
        row: dict[str, Any] = {
            "samples": len(model),
            "patterns": len(model.keys),
            "key": model.keys[0],
            "response": model.response.tolist(),
            "center": model.center.tolist(),
            "W": model.W.tolist(),
            "b": model.b.tolist(),
        }
        if self.labels is None:
            return row
        own = self.labels[model.members]
        here = score(model(self.x[model.members]), own)
        there = score(model(self.x), self.labels)
        return row | {
            "label_mean": float(own.mean()),
            "label_deviation": float(own.std(ddof=1)) if len(own) > 1 else None,
            "accuracy": here.accuracy,
            "auc": here.auc,
            "accuracy_everywhere": there.accuracy,
            "auc_everywhere": there.auc,
        }

    def merge(
        self,
        count: int = 1,
        *,
        tolerance: float = np.inf,
        neighbours: int = 5,
        metric: str = "predictions",
        refit: bool = False,
    ) -> Groups:
        """Merge groups that are neighbours and have maps that are alike.

        The two neighbours that cost least are merged, again and again. What comes out is no longer
        the model: see `error`.

        Parameters
        ----------
        count : int
            Groups to end with. There are more if no chain of neighbours joins them, or the
            tolerance forbids.
        tolerance : float
            Largest root mean square, over the samples of both, that a merge may add.
        neighbours : int
            Groups are neighbours if the center of one is among so many nearest of the other's.
        metric : {"predictions", "coefficients"}
            What is squared: ``F(x) - (W x + b)`` at the samples, or the departure of the maps
            themselves, all entries of W and b, from the common one.
        refit : bool
            Fit each common map to F on its samples by least squares, nearest to the mean of the
            maps, instead of taking this mean itself.

        Raises
        ------
        OptionError
        """
        how = Merging(count, tolerance, neighbours, metric, refit)
        maps = [np.column_stack([model.W, model.b]) for model in self.models]
        parts = merged(maps, [m.members for m in self.models], self.x, self.y, how)
        models = [
            LocalModel.of(
                [key for i in part.groups for key in self.models[i].keys],
                np.sort(part.members),
                (part.map[:, :-1], part.map[:, -1]),
                (self.x, self.y),
            )
            for part in parts
        ]
        return Groups(largest_first(models), self.x, self.y, self.labels, exact=False)


def largest_first(models: list[LocalModel]) -> tuple[LocalModel, ...]:
    """Sort local models by their number of samples."""
    return tuple(sorted(models, key=len, reverse=True))
