"""What ``memory=`` counts against what is taken, on files: each in a process of its own.

Needs no torch: the files are those of the folder ONNXLIN_ZOO.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import onnxlin
from onnxlin.engines.compiled.export.example import example_feeds, opened_shapes
from tests.benchmarks.memory import forget_peak, peak_kib
from tests.benchmarks.tables import table

FIXTURE = Path(__file__).parents[2] / "fixtures" / "lenet5_mnist.onnx"
SIZE = 8
"""Length of an axis that a model leaves open."""

AT_LEAST = 20 * 2**20
"""Estimates below this are mostly of Python's own objects, and are left out of the summary."""


def measure_file(path: str, engine: str, rows: str) -> dict[str, Any]:
    """MiB above what imports and a small first map leave."""
    digit = np.random.default_rng(0).random((1, 1, 28, 28))
    onnxlin.linearize(os.fspath(FIXTURE), digit, engine=engine)
    gc.collect()
    forget_peak()
    before = peak_kib()
    try:
        lin = onnxlin.Linearizer(path)
        open_to = {n: [k or SIZE for k in s] for n, s in opened_shapes(lin.section, SIZE).items()}
        feeds = example_feeds(lin.section, None, open_to)
        asked = None if rows == "all" else list(range(int(rows)))
        m = lin(feeds, asked, engine)
        size, needed = m.W.nbytes, m.memory_needed
        first = peak_kib() - before
        del m
        forget_peak()
        lin(feeds, asked, engine).W  # noqa: B018
    except onnxlin.OnnxlinError as error:
        return {"skipped": f"{type(error).__name__}: {error}"[:120]}
    later = peak_kib() - before
    return {
        "W": size / 2**20,
        "estimate": (needed or 0) / 2**20,
        "first": first / 2**10,
        "later": later / 2**10,
    }


def in_child(path: Path, engine: str, rows: str) -> dict[str, Any]:
    """Measure in a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks", "--file", str(path), engine, rows]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return {"skipped": "no answer in 120 s"}
    if done.returncode:
        return {"skipped": f"fails: {' '.join(done.stderr.splitlines()[-1:])[:120]}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(
    paths: Iterable[Path], engines: Iterable[str], counts: Iterable[str]
) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Every file by every engine for every number of rows."""
    for path in paths:
        for engine in engines:
            for rows in counts:
                yield path.stem, engine, rows, in_child(path, engine, rows)


def zoo_memory(folder: Path, engines: list[str], counts: list[str], nets: list[str]) -> None:
    """Print the table, and how many estimates are within 20 %."""
    paths = [p for p in sorted(folder.glob("**/*.onnx")) if not nets or p.stem in nets]
    found = []
    for line in measured(paths, engines, counts):
        print(*line, file=sys.stderr, flush=True)
        found.append(line)
    done = [(*line, sizes) for *line, sizes in found if "skipped" not in sizes]
    keys = ("W", "estimate", "first", "later")
    lines = [
        (net, engine, rows, *(f"{s[key]:.1f}" for key in keys), f"{s['later'] / s['estimate']:.2f}")
        for net, engine, rows, s in done
    ]
    head = ("net", "engine", "rows", "W MiB", "estimate MiB", "first call MiB", "later calls MiB")
    print(table((*head, "later / estimate"), lines))
    large = [s for *_, s in done if s["estimate"] * 2**20 >= AT_LEAST]
    near = [s for s in large if 1 / 1.2 <= s["later"] / s["estimate"] <= 1.2]
    print(f"\nWithin 20 %: {len(near)} of {len(large)} estimates of 20 MiB and more.\n")
    for net, engine, rows, sizes in found:
        if "skipped" in sizes:
            print(f"- {engine} ({net} {rows}): {sizes['skipped']}")
