"""Make a broken input small: fields, entries of lists and bytes go while the fault stays.

Delta debugging (Zeller and Hildebrandt, IEEE TSE 28(2), 2002), over messages where the bytes are a
model's, else over bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError, Message

from tests.fuzz.broken import Broken

Fails = Callable[[Broken], bool]


def shrink(broken: Broken, fails: Fails, *, seconds: float = 15.0, calls: int = 400) -> Broken:
    """Return the smallest input that was found to fail in the same way."""
    search = _Search(fails, broken, time.monotonic() + seconds, calls)
    if broken.kind == "model":
        try:
            proto = onnx.ModelProto.FromString(broken.data)
        except (DecodeError, ValueError):
            return _cut(search)
        _thin(search, proto)
        return _lighter(search)
    return _cut(search)


class _Search:
    def __init__(self, fails: Fails, best: Broken, end: float, calls: int) -> None:
        self.fails, self.best, self.end, self.left = fails, best, end, calls

    @property
    def spent(self) -> bool:
        return self.left <= 0 or time.monotonic() > self.end

    def keeps(self, data: bytes) -> bool:
        """Whether the fault stays with these bytes, which are the best then."""
        if self.spent or len(data) >= len(self.best.data):
            return False
        self.left -= 1
        candidate = replace(self.best, data=data)
        if not self.fails(candidate):
            return False
        self.best = candidate
        return True


def _thin(search: _Search, proto: onnx.ModelProto) -> None:
    """Clear one field or entry after another, the large ones first, until none can go."""
    going = True
    while going and not search.spent:
        going = False
        places = sorted(_places(proto), key=lambda place: -place[0])
        for _, path in places:
            tried = onnx.ModelProto()
            tried.CopyFrom(proto)
            if _clear(tried, path) and search.keeps(tried.SerializePartialToString()):
                proto, going = tried, True
            if search.spent:
                return


Step = tuple[str, int | None]


def _places(
    message: Message, above: tuple[Step, ...] = ()
) -> Iterator[tuple[int, tuple[Step, ...]]]:
    """Sizes of, and ways to, every field and entry that is there."""
    for field, value in message.ListFields():
        if not field.is_repeated:
            yield _size(value), (*above, (field.name, None))
            if isinstance(value, Message):
                yield from _places(value, (*above, (field.name, None)))
            continue
        if len(value) > 1:
            yield sum(_size(v) for v in value), (*above, (field.name, None))
        for i, entry in enumerate(value):
            if i > 30:
                break
            yield _size(entry), (*above, (field.name, i))
            if isinstance(entry, Message):
                yield from _places(entry, (*above, (field.name, i)))


def _size(value: Any) -> int:
    if isinstance(value, Message):
        return value.ByteSize()
    return len(value) if isinstance(value, str | bytes) else 1


def _clear(message: Any, path: tuple[Step, ...]) -> bool:
    """Clear what a way leads to; False where it has gone."""
    for name, i in path[:-1]:
        message = getattr(message, name)
        if i is not None:
            if i >= len(message):
                return False
            message = message[i]
    name, i = path[-1]
    if i is None:
        message.ClearField(name)
        return True
    held = getattr(message, name)
    if i >= len(held):
        return False
    del held[i]
    return True


def _lighter(search: _Search) -> Broken:
    """Leave out arrays of x that do not matter, or their numbers."""
    for name in list(search.best.x):
        left = {n: v for n, v in search.best.x.items() if n != name}
        zeros = {**search.best.x, name: np.zeros_like(search.best.x[name])}
        for x in (left, zeros):
            candidate = replace(search.best, x=x)
            if not search.spent and search.fails(candidate):
                search.best = candidate
                break
    return search.best


def _cut(search: _Search) -> Broken:
    """Leave out runs of bytes, long ones first."""
    size = len(search.best.data) // 2
    while size and not search.spent:
        start = 0
        while start < len(search.best.data) and not search.spent:
            data = search.best.data
            if not search.keeps(data[:start] + data[start + size :]):
                start += size
        size //= 2
    return search.best
