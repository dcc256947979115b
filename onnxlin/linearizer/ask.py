"""What one call of a `Linearizer` asks for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxlin.engines.compiled import Loop
from onnxlin.engines.job import Progress
from onnxlin.engines.seeds import how_many, is_single
from onnxlin.graph import Array
from onnxlin.section.feeds import read_dtype


@dataclass(frozen=True, eq=False)
class Ask:
    """One x, and how W is to be computed there.

    Parameters
    ----------
    feeds : {input name: array}
        x, in the model's own types.
    rows : indices (K,), combinations (K, n_out) or None
        As the caller gave them.
    engine : {"auto", "explicit", "reverse", "forward", "live", "cut", "compiled"}
    dtype : float32, float64 or None
        Of W; None takes what `Ready.dtype` says of the model.
    progress : callable, optional
    save : path, optional
        Of the file into which W is computed.
    loop : Loop, optional
        That the call is part of.
    """

    feeds: Mapping[str, Array]
    rows: Any
    engine: str
    dtype: np.dtype[Any] | None
    progress: Progress | None = None
    save: str | os.PathLike[str] | None = None
    loop: Loop | None = None

    @property
    def single(self) -> bool:
        """Whether one row is asked for."""
        return is_single(self.rows)

    @property
    def kind(self) -> tuple[Any, ...]:
        """What an engine is chosen by, but for x: known before the model is run."""
        return self.engine, self.dtype, asked_of(self.feeds, how_many(self.rows, 0))

    @property
    def settled(self) -> str | None:
        """What has answered a call of this kind in the same loop; None where nothing has."""
        return None if self.loop is None else self.loop.engines.get(self.kind)


def asked_dtype(dtype: npt.DTypeLike | None) -> np.dtype[Any] | None:
    """Read the ``dtype`` argument of a call.

    Raises
    ------
    OptionError
    """
    return None if dtype is None else read_dtype(dtype)


def asked_of(feeds: Mapping[str, Array], rows: int) -> tuple[Any, ...]:
    """Name what a cut depends on but for the pattern at x: shapes, and how many rows."""
    return rows, *((name, value.shape) for name, value in feeds.items())
