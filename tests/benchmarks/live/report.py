"""Tables of what the children found, from the lines of one or several runs."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.live.child import COUNT, ONNXLIN
from tests.benchmarks.tables import ratio, table
from tests.benchmarks.timing import TOLERANCE

Record = dict[str, Any]
REASON = 160
LEGEND = """\
`median` and `min` are warm calls, W and b complete; in brackets: one first call, where another did
not end within the limit. `floor` is onnxruntime's forward pass over as many images as rows, in
batches, in turn with the contender and in the same process. `x floor` is the median over the
floor's median, `min / min` the same of the shortest calls. `x limit` is `x floor` over the live
share: 1 would be an engine that multiplies what is live as fast as a forward pass multiplies
everything. `peak` is above what imports leave, the larger of the first call's and later ones'.
`gap` is how far W v is from the first contender's for a seeded v, relative to its largest entry."""


@dataclass(frozen=True)
class Line:
    """Everything about one contender for one network and number of rows, of all passes."""

    net: str
    rows: int
    contender: str
    records: tuple[Record, ...]

    def all(self, key: str) -> list[float]:
        """What the passes found, put together."""
        found: list[float] = []
        for record in self.records:
            value = record.get(key)
            found += value if isinstance(value, list) else [] if value is None else [value]
        return found

    @property
    def first(self) -> bool:
        """Whether there are first calls only."""
        return not self.all("warm")

    @property
    def calls(self) -> list[float]:
        """Milliseconds of warm calls, else of first ones."""
        return self.all("warm") or [1e3 * s for s in self.all("cold")]

    @property
    def said(self) -> list[str]:
        """Why it was not measured, or not for longer."""
        kinds = ("skipped", "note")
        return [record[kind] for record in self.records for kind in kinds if kind in record]


def lines(records: Iterable[Record]) -> list[Line]:
    """Put records of the same contender, network and rows together, in order."""
    found: dict[tuple[str, int, str], list[Record]] = {}
    for record in records:
        if "contender" in record:
            key = record["net"], record["rows"], record["contender"]
            found.setdefault(key, []).append(record)
    return [Line(*key, tuple(records)) for key, records in found.items()]


def read(paths: Iterable[Path]) -> list[Record]:
    """Read the lines of several runs."""
    return [
        json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines() if line
    ]


def shares(found: Iterable[Line]) -> dict[tuple[str, int], float]:
    """The live share of each network and number of rows."""
    return {
        (line.net, line.rows): line.all("share")[-1]
        for line in found
        if line.contender == COUNT and line.all("share")
    }


def s(value: float | None) -> str:
    """Three digits that count, of milliseconds, in seconds."""
    return "-" if value is None else f"{value / 1e3:#.3g}".rstrip(".")


def times(found: Sequence[Line]) -> str:
    """The main table."""
    head = ("net", "rows", "live share", "contender", "median s", "min s", "floor s", "x floor",
            "min / min", "x limit", "peak MiB", "gap", "calls")  # fmt: skip
    share, start = shares(found), references(found)
    best = best_torch(found)
    rows = []
    for line in found:
        if line.contender == COUNT or not line.calls:
            continue
        part = share.get((line.net, line.rows))
        name = f"**{line.contender}**" if line in best else line.contender
        asked = (line.net, str(line.rows), "-" if part is None else f"{part:.1%}", name)
        rows.append((*asked, *figures(line, part), gap(line, start), str(len(line.calls))))
    return table(head, rows)


def figures(line: Line, part: float | None) -> tuple[str, ...]:
    """Times, ratios and memory of one contender."""
    floor = line.all("floor")
    middle, least = statistics.median(line.calls), min(line.calls)
    below = statistics.median(floor) if floor else None
    limit = below * part if below and part else None
    peaks = [max(line.all(key), default=0.0) for key in ("peak_first", "peak_later")]
    told = f"({s(middle)})" if line.first else s(middle)
    return (
        told, s(least), s(below), ratio(middle, below), ratio(least, min(floor, default=None)),
        ratio(middle, limit), f"{max(peaks):.0f}" if max(peaks) else "-",
    )  # fmt: skip


def glance(found: Sequence[Line]) -> str:
    """Medians over the floor's: one line for a network and number of rows, a column for each."""
    names = list(dict.fromkeys(line.contender for line in found if line.calls))
    share = shares(found)
    cells: dict[tuple[str, int], dict[str, str]] = {}
    for line in found:
        if line.calls:
            ratio_of = figures(line, None)[3]
            told = f"({ratio_of})" if line.first else ratio_of
            cells.setdefault((line.net, line.rows), {})[line.contender] = told
    rows = []
    for (net, count), by_name in cells.items():
        part = share.get((net, count))
        asked = (net, str(count), "-" if part is None else f"{part:.1%}")
        rows.append((*asked, *(by_name.get(name, "-") for name in names)))
    return table(("net", "rows", "live share", *names), rows)


def best_torch(found: Iterable[Line]) -> list[Line]:
    """Torch's fastest way for each network and number of rows."""
    best: dict[tuple[str, int], Line] = {}
    for line in found:
        key = line.net, line.rows
        if "torch" in line.contender and line.calls:
            other = best.get(key, line)
            best[key] = min(other, line, key=lambda each: statistics.median(each.calls))
    return list(best.values())


def references(found: Iterable[Line]) -> dict[tuple[str, int], list[float]]:
    """What is compared with: the sketch of the first contender that has one."""
    start: dict[tuple[str, int], list[float]] = {}
    for line in found:
        for record in line.records:
            if "sketch" in record:
                start.setdefault((line.net, line.rows), record["sketch"])
    return start


def gap(line: Line, start: dict[tuple[str, int], list[float]]) -> str:
    """The largest departure of any pass; marked where the maps are not the same."""
    reference = np.array(start.get((line.net, line.rows), [0.0]))
    gaps = [
        np.abs(np.array(record["sketch"]) - reference).max() / np.abs(reference).max()
        for record in line.records
        if "sketch" in record
    ]
    if not gaps:
        return "-"
    wrong = not max(gaps) <= TOLERANCE or not max(line.all("residual"), default=0) <= TOLERANCE
    return f"{max(gaps):.0e}{' DEPARTS' if wrong else ''}"


def cold(found: Sequence[Line]) -> str:
    """First calls in fresh processes."""
    head = ("net", "rows", "contender", "imports s", "Linearizer s", "first call s", "together s",
            "x floor")  # fmt: skip
    rows = []
    for line in found:
        parts = [line.all(key) for key in ("imports", "linearizer", "cold")]
        if line.contender not in ONNXLIN or not all(parts):
            continue
        middles = [1e3 * statistics.median(part) for part in parts]
        floor = line.all("floor")
        below = statistics.median(floor) if floor else None
        whole = sum(middles)
        asked = (line.net, str(line.rows), line.contender)
        rows.append((*asked, *map(s, middles), s(whole), ratio(whole, below)))
    return table(head, rows)


def notes(found: Iterable[Line]) -> str:
    """Who was not measured, or not for longer, each reason once."""
    where: dict[tuple[str, str], list[str]] = {}
    for line in found:
        for reason in dict.fromkeys(line.said):
            short = " ".join(reason.split())[:REASON]
            where.setdefault((line.contender, short), []).append(f"{line.net} {line.rows}")
    told = [f"- {name} ({', '.join(at)}): {why}" for (name, why), at in where.items()]
    return "\n".join(told) or "- nothing"


def whole(records: Sequence[Record]) -> str:
    """Everything that is printed about some records."""
    found = lines(records)
    machines = dict.fromkeys(record["machine"] for record in records if "machine" in record)
    tables = {
        "x floor, at a glance": glance(found),
        "Warm": times(found),
        "Cold, each in a fresh process": cold(found),
        "Not measured, or not for longer": notes(found),
    }
    parts = [*machines, LEGEND, *(f"{name}:\n\n{text}" for name, text in tables.items())]
    return "\n\n".join(parts)
