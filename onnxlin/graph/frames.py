"""Frames of pandas and polars, told by the names of their classes: neither is imported for that."""

from __future__ import annotations

from typing import Any

PACKAGES = ("pandas", "polars")


def is_frame(x: Any) -> bool:
    """Whether this is a DataFrame of pandas or polars."""
    return _is(x, "DataFrame")


def is_series(x: Any) -> bool:
    """Whether this is a Series of pandas: a row of a frame, with the names of its columns.

    One of polars is a column and has no names.
    """
    return _is(x, "Series") and _root(type(x)) == "pandas"


def names_of(frame: Any) -> tuple[str, ...]:
    """Names of a frame's columns."""
    return tuple(str(name) for name in frame.columns)


def _is(x: Any, name: str) -> bool:
    return any(kind.__name__ == name and _root(kind) in PACKAGES for kind in type(x).__mro__)


def _root(kind: type) -> str:
    return kind.__module__.partition(".")[0]
