"""What a model or a file may ask for: limits on strangers' files, each of which a caller can raise.

A file of a kilobyte can ask for a billion nodes, an endless loop or terabytes. Every place that
reads what a file asks for holds it to these numbers first, and refuses with `LimitError`, which
names the limit and how to raise it. They hold for the whole process, all of its threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

from onnxlin.errors import LimitError, OptionError

__all__ = ["ENDLESS", "Limits", "current", "hold", "raised"]


@dataclass(frozen=True)
class Limits:
    """The limits; all are counts of what the name says.

    ``file_bytes`` is of a model's file with what lies beside it, ``nodes`` after inlining, with the
    nodes of subgraphs, ``nesting`` counts subgraphs inside of each other and functions that call
    each other, ``name_bytes`` is of one name, ``trips`` of a Loop or Scan that is taken apart or
    run, ``entries`` of one tensor that a run makes, ``pixels`` of one picture, ``unpacked_bytes``
    of all arrays of an ``.npz``.
    """

    file_bytes: int = 64 * 2**30
    nodes: int = 2_000_000
    nesting: int = 64
    name_bytes: int = 16_384
    trips: int = 1_000_000
    entries: int = 2**30
    pixels: int = 2**28
    unpacked_bytes: int = 64 * 2**30


ENDLESS = 2**63
"""Counts go up to here: beyond, they say no more, and are too long to print."""

_now = Limits()


def current() -> Limits:
    """Return the limits that hold now."""
    return _now


@contextmanager
def raised(**limits: int) -> Iterator[Limits]:
    """Set limits for the length of a ``with`` block, in the whole process.

    Parameters
    ----------
    limits
        Fields of `Limits`; those not named stay.

    Raises
    ------
    OptionError
        A name is none of them, or a number is negative.
    """
    global _now  # noqa: PLW0603  # one set for all threads, as documented
    known = [field.name for field in fields(Limits)]
    for name, value in limits.items():
        if name not in known:
            raise OptionError(f"There is no limit {name!r}; there are: {', '.join(known)}.")
        if not isinstance(value, int) or value < 0:
            raise OptionError(f"limit {name}={value!r}; expected a whole number from 0 on.")
    before = _now
    _now = replace(_now, **limits)
    try:
        yield _now
    finally:
        _now = before


def hold(limit: str, found: int, what: str) -> None:
    """Refuse what passes a limit.

    Parameters
    ----------
    limit : a field of `Limits`
    found : int
        What the file asks for.
    what : str
        What asks for it, as the start of a sentence: "Loop 'l' asks for 2^60 rounds".

    Raises
    ------
    LimitError
    """
    allowed = getattr(_now, limit)
    if found > allowed:
        error = LimitError(
            f"{what}; the limit is {allowed:,} ({limit}). If you trust the file: "
            f"`with onnxlin.limits.raised({limit}={found}):`, or --limit {limit}={found} on the "
            "command line."
        )
        error.limit = limit
        raise error
