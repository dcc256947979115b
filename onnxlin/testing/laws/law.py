"""A law: its name, what it says, and how it is held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnxlin.testing.laws.subject import Feeds, Subject


@dataclass(frozen=True)
class Law:
    """Something that must be true of the map of any model at any x.

    Parameters
    ----------
    name : str
        For the command line, test ids and reports.
    about : str
        The law in one sentence.
    check : callable
        ``check(subject, feeds, mode)`` returns nothing where the law holds and raises `LawError`
        or `NotApplicable` where it does not, or cannot be told. ``mode`` is the reading of smooth
        operators, "tangent" or "frozen"; ``feeds`` are what `Subject.feeds` returns.
    """

    name: str
    about: str
    check: Callable[[Subject, Feeds, str], None]
