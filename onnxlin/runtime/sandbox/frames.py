"""How parent and child talk: JSON heads and raw bytes; never a pickle, as the child is not trusted.

A frame is the length of its head (8 bytes, big-endian), the head (JSON, with the lengths of the
blobs under "blobs"), and the blobs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, BinaryIO

Frame = tuple[dict[str, Any], list[bytes]]

LARGEST_HEAD, LARGEST_BLOB = 2**28, 2**40
"""Bytes of JSON, and of one blob, that are read from the other side at most."""


def send(stream: BinaryIO, head: dict[str, Any], blobs: Sequence[bytes | memoryview] = ()) -> None:
    """Write a frame."""
    text = json.dumps({**head, "blobs": [len(blob) for blob in blobs]}).encode()
    stream.write(len(text).to_bytes(8, "big") + text)
    for blob in blobs:
        stream.write(blob)
    stream.flush()


def receive(stream: BinaryIO) -> Frame | None:
    """Read a frame; None at the end of the stream, and where what comes is none."""
    size = int.from_bytes(stream.read(8), "big")
    if not 0 < size <= LARGEST_HEAD:
        return None
    try:
        head = json.loads(stream.read(size))
        sizes = [int(n) for n in head.pop("blobs")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not all(0 <= n <= LARGEST_BLOB for n in sizes):
        return None
    blobs = [stream.read(n) for n in sizes]
    return (head, blobs) if [len(blob) for blob in blobs] == sizes else None
