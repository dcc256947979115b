"""Amounts of memory as people write them."""

from __future__ import annotations

import re

from onnxlin.errors import OptionError

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def size(memory: int | float | str) -> int:
    """Read an amount of memory: bytes, or text such as "4GiB"."""
    match = re.fullmatch(r"\s*([\d.]+)\s*([KMGT]?)(?:i?B)?\s*", str(memory), re.IGNORECASE)
    try:
        found = float(match[1]) * UNITS[match[2].upper()] if match else 0.0
    except ValueError:
        found = 0.0
    if found < 1:
        raise OptionError(f"memory={memory!r}; expected bytes, or text such as '4GiB'.")
    return int(found)
