"""Two answers that are to be the same to the bit, field by field."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from google.protobuf.message import Message

from onnxlin import AffineMap

# What is said of a map when it is asked; the last ones need its program.
FACTS = ("x", "y", "W", "b", "Wx", "residual", "scale", "mode", "rounding", "engine", "dtype")
PROVED = ("bound", "verdicts", "composition_residual", "composition_bound", "pattern_key", "notes")


def assert_alike(a: Any, b: Any, where: str = "") -> None:
    """Fail at the first field in which two answers differ."""
    for place, one, other in _pairs(a, b, where, set()):
        assert type(one) is type(other), (place, type(one), type(other))
        if isinstance(one, np.ndarray | np.generic):
            assert one.dtype == other.dtype, place
            np.testing.assert_array_equal(one, other, err_msg=place)
        elif isinstance(one, float):
            np.testing.assert_equal(one, other, err_msg=place)
        else:
            assert one == other, place


def _pairs(  # noqa: PLR0912  # one kind of thing after the other
    a: Any, b: Any, where: str, seen: set[int]
) -> Iterator[tuple[str, Any, Any]]:
    """Everything in two things that can be held against each other."""
    if id(a) in seen:
        return
    kept = not isinstance(a, str | bytes | int | float | np.generic | enum.Enum | type(None))
    seen |= {id(a)} if kept else set()
    if isinstance(a, AffineMap):
        for name in FACTS if a.detached else (*FACTS, *PROVED):
            yield from _pairs(getattr(a, name), getattr(b, name), f"{where}.{name}", seen)
        yield from _pairs(dict(a.bias_by_node), dict(b.bias_by_node), f"{where}.bias", seen)
    elif sp.issparse(a) or isinstance(a, sp.sparray):
        yield from _pairs(a.toarray(), b.toarray(), where, seen)
    elif is_dataclass(a):
        yield where, type(a).__name__, type(b).__name__
        for field in fields(a):
            both = getattr(a, field.name), getattr(b, field.name)
            yield from _pairs(*both, f"{where}.{field.name}", seen)
    elif isinstance(a, Mapping):
        yield f"{where} keys", list(a), list(b)
        for key in a:
            yield from _pairs(a[key], b[key], f"{where}[{key!r}]", seen)
    elif isinstance(a, set | frozenset | Message | np.ndarray | np.dtype | type):
        yield where, a, b
    elif isinstance(a, list | tuple):
        yield f"{where} length", len(a), len(b)
        for i, (one, other) in enumerate(zip(a, b, strict=True)):
            yield from _pairs(one, other, f"{where}[{i}]", seen)
    elif callable(a):  # made on demand; what it makes is asked where it is public
        yield where, True, callable(b)
    elif kept:  # an object of its own: what it holds
        yield where, type(a), type(b)
        public = {n: v for n, v in vars(a).items() if not n.startswith("_")}
        for name, value in public.items():
            yield from _pairs(value, getattr(b, name), f"{where}.{name}", seen)
    else:
        yield where, a, b
