"""What a child does to itself before it touches a model: limits, no core dumps, no orphanhood."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import time
from types import ModuleType

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows: the parent's clock alone
    resource = None

# prctl(2)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
SIGKILL = 9

THREAD = 80 * 2**20
"""Addresses that one thread reserves, mostly untouched: a stack, and an arena of the allocator."""


def die_with_parent() -> None:
    """Be killed when the parent ends, however it ends.

    One that has ended by now has closed the pipe of calls, which ends this process as well.
    """
    told = sys.platform == "linux" and _prctl(PR_SET_PDEATHSIG, SIGKILL)
    if not told and os.name == "posix":
        threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def leave_no_core() -> None:
    """Write no core dump, neither to a file nor into a program of the system's."""
    if resource is not None:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _prctl(PR_SET_DUMPABLE, 0)


def hold_memory(more: int) -> None:
    """Let this process take so many bytes more than it has now, where the system can hold it to it.

    On Linux that is what it may write to (RLIMIT_DATA, which counts no untouched arena of the
    allocator, but threads' stacks), and, so that nothing is had by other ways, addresses with room
    for those. Other systems have addresses alone, and some do not hold them to it.
    """
    if resource is None:
        return
    data, addresses = _sizes()
    threads = THREAD * (os.cpu_count() or 1)
    if data:
        _set(resource, "RLIMIT_DATA", data + more)
    _set(resource, "RLIMIT_AS", addresses + more + threads + 2**30)


def hold_processor(seconds: float) -> None:
    """Let this process compute so long from now on, on all processors together.

    The parent's clock ends it sooner; this holds where the parent is stopped.
    """
    if resource is None:
        return
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used + seconds * (os.cpu_count() or 1)) + 2
    if hard in (-1, resource.RLIM_INFINITY) or soft < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _set(limits: ModuleType, name: str, size: int) -> None:
    which = getattr(limits, name, None)
    if which is None:
        return
    _, hard = limits.getrlimit(which)
    if hard not in (-1, limits.RLIM_INFINITY):
        size = min(size, hard)
    with contextlib.suppress(OSError, ValueError):
        limits.setrlimit(which, (size, size))


def _sizes() -> tuple[int, int]:
    """Bytes of data and of addresses of this process now; 0 where the system does not say."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as lines:
            found = dict(line.split(":", 1) for line in lines if line.startswith("Vm"))
        return tuple(int(found[name].split()[0]) * 1024 for name in ("VmData", "VmSize"))  # type: ignore[return-value]
    except (OSError, KeyError, ValueError, IndexError):
        return 0, 0


def _prctl(option: int, value: int) -> bool:
    """Ask the kernel; whether it has agreed."""
    try:
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (OSError, AttributeError):  # another C library
        return False
