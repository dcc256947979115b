"""Attributions of a whole data set from elsewhere, held against the exact contributions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from onnxlin.data.kept.audit import ALIKE, SUMS
from onnxlin.data.over import AT_ONCE, gone_over, opened
from onnxlin.data.planned import planned
from onnxlin.data.task import Task
from onnxlin.data.way import Way, confining, threads_of
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.load import Model


@dataclass(frozen=True)
class Spread:
    """A quantity over all samples that have it.

    Parameters
    ----------
    count : int
    mean, lowest, highest : float
        NaN where there is none.
    """

    count: int
    mean: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Audited:
    """What the audits of all samples come to.

    Parameters
    ----------
    count, failed : int
        Samples, and those that have no map or whose map does not fit.
    agreement : {quantity: Spread}
        See `onnxlin.readings.audit.agreement.Agreement`.
    adds_up : {"F(x)" or "W x": int}
        Samples whose map adds up to it, within rounding.
    residual : float
        The largest.
    errors : tuple of (int, str)
        The first samples that have failed, and why.
    """

    count: int
    failed: int
    agreement: dict[str, Spread]
    adds_up: dict[str, int]
    residual: float
    errors: tuple[tuple[int, str], ...]


def audit(
    model: Model | Linearizer,
    data: Any,
    maps: str | os.PathLike[str],
    rows: Any = "predicted",
    *,
    engine: str = "auto",
    **way: Unpack[Way],
) -> Audited:
    """Hold an attribution of every sample against its exact contributions.

    Parameters
    ----------
    model : Linearizer, or what it takes
    data : path, paths, arrays, a data set, or Source
        See `onnxlin.data.open_source`.
    maps : path
        An ``.npy`` with a map for each sample, along axis 0.
    rows : {"predicted", "labels"} or (int,)
        The output that each map explains: the largest, that of the label, or one for all.
    engine : str
    way : see `Way`
        A store is that of ``onnxlin.data.run(..., what="audit")``.

    Raises
    ------
    OptionError, InputError
    """
    lin, source, count = opened(model, data, way)
    threads = threads_of(lin, way)
    options: dict[str, Any] = {"maps": os.fspath(maps)}
    options |= {} if threads is None else {"threads": threads}
    with confining(lin, way):
        task = planned(
            lin,
            source,
            what=("audit",),
            rows=rows,
            chunk=way.get("chunk") or min(AT_ONCE, count),
            dtype=None,
            limit=count,
            engine=engine,
            options=options,
        )
    adding = _Adding()
    failures = gone_over(task, way, adding)
    return adding.whole(failures)


class _Adding:
    """Adds up what is found of chunks."""

    def __init__(self) -> None:
        self._alike = {name: [0.0, 0.0, np.inf, -np.inf] for name in ALIKE}
        self._adds_up = dict.fromkeys(SUMS, 0)
        self._count = self._failed = 0
        self._residual = 0.0

    def __call__(self, _task: Task, _at: slice, arrays: Mapping[str, Array]) -> None:
        """Add a chunk."""
        good = arrays["failed"] == 0
        self._count += len(good)
        self._failed += int((~good).sum())
        residual = arrays["residual"].reshape(len(good), -1)
        self._residual = max(self._residual, float(residual[good].max(initial=0.0)))
        for name, held in self._alike.items():
            values = arrays[f"audit_{name}"]
            values = values[good & np.isfinite(values)]
            held[0] += len(values)
            held[1] += float(values.sum())
            held[2] = min(held[2], float(values.min(initial=np.inf)))
            held[3] = max(held[3], float(values.max(initial=-np.inf)))
        for what, short in SUMS.items():
            self._adds_up[what] += int((arrays[f"audit_sums_to_{short}"][good] == 1).sum())

    def whole(self, failures: list[tuple[int, str]]) -> Audited:
        """All of it."""
        nothing = Spread(0, np.nan, np.nan, np.nan)
        spreads = {
            name: Spread(int(n), total / n, low, high) if n else nothing
            for name, (n, total, low, high) in self._alike.items()
        }
        return Audited(
            self._count, self._failed, spreads, self._adds_up, self._residual, tuple(failures)
        )
