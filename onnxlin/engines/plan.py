"""Choose an engine from the sizes and the memory, and say why."""

from __future__ import annotations

import os
import re
import time
from functools import lru_cache

from onnxlin.engines import explicit, reverse
from onnxlin.engines.explicit import estimate
from onnxlin.engines.forward import forward
from onnxlin.engines.job import Engine
from onnxlin.errors import OptionError
from onnxlin.program import LinearProgram

ENGINES: dict[str, Engine] = {
    "explicit": explicit.explicit,
    "reverse": reverse.reverse,
    "forward": forward,
}
"""Engines by name that interpret a program; "live" will stand here."""

NAMES = (*ENGINES, "compiled")
"""Every engine; `onnxlin.compiled` has no program to interpret, it has become a graph."""

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def plan(program: LinearProgram, rows: int, engine: str) -> tuple[str, str]:
    """Return the engine's name and the reason: ``engine="auto"`` compares the sweeps needed."""
    if engine != "auto":
        return require_engine(engine), "asked for"
    columns = program.columns
    need = f"explicit would take about {estimate(program, rows) / 2**20:,.0f} MiB"
    if rows <= columns:
        return "reverse", f"{rows} rows are no more than {columns} columns; {need}"
    return "forward", f"{columns} columns are fewer than {rows} rows; {need}"


# What one multiplication, one node of a sweep and one node to compile take on a common processor,
# in seconds: rough, but repeatable, which a clock would not be.
A_PRODUCT, A_STEP, A_NODE = 2e-11, 5e-5, 1.5e-3


def seconds(program: LinearProgram, rows: int) -> tuple[float, float]:
    """Estimate a reverse sweep of so many rows, and compiling the program."""
    steps = len(program.steps)
    return A_STEP * steps + A_PRODUCT * rows * program.nnz, A_NODE * steps


def require_engine(engine: str) -> str:
    """Return the name if there is such an engine, or "auto"."""
    if engine not in {*NAMES, "auto"}:
        raise OptionError(f"engine={engine!r}; expected one of {['auto', *NAMES]}.")
    return engine


def memory_budget(memory: int | float | str | None) -> int:
    """Read the ``memory`` option: bytes, or text such as "4GiB"; None is half of what is free."""
    if memory is None:
        return _free(int(time.monotonic() / RECENT)) // 2
    match = re.fullmatch(r"\s*([\d.]+)\s*([KMGT]?)(?:i?B)?\s*", str(memory), re.IGNORECASE)
    try:
        size = float(match[1]) * UNITS[match[2].upper()] if match else 0.0
    except ValueError:
        size = 0.0
    if size < 1:
        raise OptionError(f"memory={memory!r}; expected bytes, or text such as '4GiB'.")
    return int(size)


# Asking the system takes as long as the rest of a small map's call.
RECENT = 0.5
"""Seconds for which an answer about free memory holds."""


@lru_cache(maxsize=1)
def _free(_moment: int) -> int:
    """Memory that can be had without swapping; 8 GiB are assumed where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found = next(line for line in lines if line.startswith("MemAvailable"))
            return int(found.split()[1]) * 1024
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30
