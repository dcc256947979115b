"""Cold start: importing, loading, compiling; each in a fresh process."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.tables import ms, table

REPEATS = 5
IMPORT = """
import time
import numpy, scipy.sparse.linalg, onnx, onnxruntime
start = time.perf_counter()
# `import onnxlin` alone loads what is used only when it is used.
from onnxlin import Linearizer, compile_model, linearize
print((time.perf_counter() - start) * 1e3)
"""
FIRST = """
import sys, time
import numpy as np
import onnx, onnxruntime
from onnxlin import Linearizer
path, engine, x = sys.argv[1], sys.argv[2], np.load(sys.argv[3])
start = time.perf_counter()
lin = Linearizer(path)
loaded = time.perf_counter()
m = lin(x, rows=[0], engine=engine)
m.W, m.b
print((loaded - start) * 1e3, (time.perf_counter() - loaded) * 1e3)
"""
OPEN = """
import sys, time
import numpy as np
import onnxruntime
start = time.perf_counter()
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
loaded = time.perf_counter()
session.run(None, {"x": np.load(sys.argv[3])})
print((loaded - start) * 1e3, (time.perf_counter() - loaded) * 1e3)
"""


def child(code: str, *arguments: str) -> list[float] | str:
    """Return the numbers that a fresh process prints, or the last line of its complaint."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["?"])[-1]
    return [float(text) for text in done.stdout.split()]


def medians(code: str, *arguments: str, repeats: int = REPEATS) -> list[float] | str:
    """Column by column over fresh processes, one more beforehand to warm the disk."""
    runs = []
    for _ in range(repeats + 1):
        found = child(code, *arguments)
        if isinstance(found, str):
            return found
        runs.append(found)
    return [statistics.median(column) for column in zip(*runs[1:], strict=True)]


def cold_table(name: str, path: Path, x: Path, engines: tuple[str, ...]) -> str:
    """Times of a first map of one row, beside a first forward pass, and of the import."""
    given = {"onnxruntime forward": (OPEN, "-")}
    given |= {f"onnxlin {engine}": (FIRST, engine) for engine in engines}
    lines, reasons = [], []
    for what, (code, engine) in given.items():
        found = medians(code, str(path), engine, str(x), repeats=3)
        if isinstance(found, str):
            reasons.append(f"- {what}: {found}")
        else:
            lines.append((name, what, *map(ms, found), ms(sum(found))))
    imported = medians(IMPORT)
    told = imported if isinstance(imported, str) else f"{ms(imported[0])} ms"
    head = ("net", "what", "load ms", "first call ms", "together ms")
    about = "`from onnxlin import linearize` beyond its dependencies' imports"
    text = f"{about}: {told}\n\n{table(head, lines)}"
    return "\n\n".join([text, *reasons])
