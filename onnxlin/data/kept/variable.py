"""An array of the store, and what all samples of a run have in common."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Variable:
    """One array of the store, along the samples.

    Parameters
    ----------
    name : str
    dims : tuple of str
        Beside ``sample``.
    shape : tuple of int
        Of one sample.
    dtype : str
    about : str
        What it is, in words.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    about: str

    @property
    def fill(self) -> float | int:
        """What stands at a sample that has failed, and at one that is not done yet."""
        return {"f": float("nan"), "u": 0}.get(self.dtype[0], -1)


@dataclass(frozen=True)
class Layout:
    """What the maps of a run have in common, found at its first sample that can be used.

    Parameters
    ----------
    outputs : int
        All that the model has.
    rows : tuple of int or None
        Outputs whose rows are kept; None for one of each sample's own.
    dims, shape : tuple
        Of x: ``feature``, or ``channel, row, column`` in the order that they have in the model.
    kind : str
        dtype of W as it is computed.
    nodes : tuple of str
        Those that bring in a bias, in the order of the ledger.
    engine : str
    together : bool
        Whether many samples are computed at once.
    """

    outputs: int
    rows: tuple[int, ...] | None
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    kind: str
    nodes: tuple[str, ...]
    engine: str
    together: bool

    @property
    def many(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Dimension of the rows that are kept, and how many; nothing where each has one."""
        return ((), ()) if self.rows is None else (("output",), (len(self.rows),))

    @property
    def count(self) -> int:
        """Rows kept of each sample."""
        return 1 if self.rows is None else len(self.rows)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return asdict(self)

    @classmethod
    def of_dict(cls, data: dict[str, Any]) -> Layout:
        """Make it of what `as_dict` gave, from JSON."""
        plain: dict[str, Any] = {field.name: data[field.name] for field in fields(cls)}
        made: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in plain.items()
        }
        return cls(**made)
