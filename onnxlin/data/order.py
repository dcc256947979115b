"""What a run is asked: the model, how it is read, which rows, and what is kept of each map."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

WHAT = ("contributions", "ledger", "region", "audit", "W")
"""What may be kept of a map, beside F(x), the rows that were taken, b and the residual."""

PREDICTED, LABELS, ALL = "predicted", "labels", "all"


@dataclass(frozen=True)
class Order:
    """What is to be done with each sample, in words that a file can hold.

    Parameters
    ----------
    model : str
        `Linearizer.digest`: the model, its ends and how they are read.
    data : str
        `Source.digest`.
    count : int
        Samples.
    what : tuple of str
        Of `WHAT`.
    rows : str or tuple of int
        "predicted" (the largest output of each sample), "labels" (that of its label), "all", or
        outputs by number.
    chunk : int
        Samples that are written at once.
    dtype : str or None
        Of what is stored; None for that of W.
    engine : str
    options : dict
        Further options of what is kept, such as a map to audit; JSON.
    """

    model: str
    data: str
    count: int
    what: tuple[str, ...]
    rows: str | tuple[int, ...]
    chunk: int
    dtype: str | None = None
    engine: str = "auto"
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def digest(self) -> str:
        """Name of all this: two runs with one digest make the same store, to the bit."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def changed(self, other: Order) -> list[str]:
        """Names of the parts in which another order differs."""
        mine, its = asdict(self), asdict(other)
        return [name for name in mine if mine[name] != its[name]]

    def slices(self) -> list[slice]:
        """The chunks."""
        starts = range(0, self.count, self.chunk)
        return [slice(start, min(start + self.chunk, self.count)) for start in starts]
