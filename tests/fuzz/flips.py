"""Byte by byte: any file as a row of bytes that arrive wrong."""

from __future__ import annotations

import random

# Ends of numbers, lengths past every end, and the start of an archive.
MARKS = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff" * 4 + b"\x0f",
    b"\xff" * 9 + b"\x01",
    b"PK\3\4",
)


def flip(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Change a file in one to four ways.

    Parameters
    ----------
    data, other : bytes
        The file, and another one from which pieces may come.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(WAYS)(data, other, rng)
    return data


def _bit(data: bytes, other: bytes, rng: random.Random) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _byte(data: bytes, other: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _cut(data: bytes, other: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _without(data: bytes, other: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.choice((1, 2, 4, 16, 64)) :]


def _twice(data: bytes, other: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    end = start + rng.choice((1, 2, 4, 16, 64, 256))
    return data[:end] + data[start:]


def _spliced(data: bytes, other: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _planted(data: bytes, other: bytes, rng: random.Random) -> bytes:
    at, mark = rng.randrange(len(data) + 1), rng.choice(MARKS)
    return data[:at] + mark + data[at + rng.choice((0, len(mark))) :]


WAYS = (_bit, _bit, _byte, _byte, _cut, _without, _twice, _spliced, _planted)
