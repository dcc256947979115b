"""The tables, in Markdown."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tests.benchmarks.timing import Times

FORWARD = "onnxruntime forward, one image"
FLOOR = "floor: onnxruntime forward, as many images as rows"
COMPILED = "onnxlin compiled"
JACREV = "torch.func jacrev"
PACKAGES = ("numpy", "scipy", "onnx", "onnxruntime", "torch", "torchvision", "jax", "onnx2torch")
REASON = 160
"""Letters of a reason that are printed."""


Figure = Callable[[Times], float]


def median(times: Times) -> float:
    """What counts."""
    return times.median


def minimum(times: Times) -> float:
    """What the neighbours on a shared machine disturb least."""
    return times.minimum


@dataclass(frozen=True)
class Race:
    """Times of everything that ran for one network and number of rows."""

    net: str
    rows: int
    batch: int
    times: Mapping[str, Times]
    gaps: Mapping[str, float]
    notes: Mapping[str, str]

    def ms(self, name: str | None, figure: Figure = median) -> float | None:
        """Milliseconds; None for what was not timed."""
        return figure(self.times[name]) if name in self.times else None

    @property
    def floor(self) -> str:
        """Name of the forward pass over as many images as rows: for one row, over one."""
        return FLOOR if FLOOR in self.times else FORWARD

    @property
    def best_torch(self) -> str | None:
        """Name of torch's fastest way."""
        ways = [name for name in self.times if "torch" in name]
        return min(ways, key=lambda name: self.times[name].median, default=None)

    @property
    def asked(self) -> str:
        return f"{self.batch} x {self.rows}" if self.batch else str(self.rows)


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table.

    Raises
    ------
    ValueError
        A line has another number of cells than the head.
    """
    rows = [head, ["---"] * len(head), *lines]
    if any(len(row) != len(head) for row in rows):
        raise ValueError(f"every line must have the {len(head)} cells of the head")
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def ms(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def ratio(above: float | None, below: float | None) -> str:
    """``above / below``; a dash where one of them is missing."""
    return "-" if above is None or below is None else f"{above / below:.2f}"


def times_table(races: Iterable[Race]) -> str:
    """One line for everything that was timed."""
    head = ("net", "rows", "contender", "median ms", "min - max", "x floor", "vs best torch")
    return table(head, [line for race in races for line in _lines(race)])


def _lines(race: Race) -> list[tuple[str, ...]]:
    torch, floor = race.ms(race.best_torch), race.ms(race.floor)
    lines = []
    for name, times in race.times.items():
        low, high = times.spread
        middle = times.median
        ends = (ratio(middle, floor), ratio(torch, middle))
        spread = f"{ms(low)} - {ms(high)}"
        lines.append((race.net, race.asked, name, ms(middle), spread, *ends))
    return lines


def notes_list(races: Iterable[Race]) -> str:
    """Say who was not timed and why, each reason once."""
    where: dict[tuple[str, str], list[str]] = {}
    for race in races:
        for name, reason in race.notes.items():
            where.setdefault((name, _short(reason)), []).append(f"{race.net} {race.asked}")
    return "\n".join(
        f"- {name} ({', '.join(nets)}): {reason}" for (name, reason), nets in where.items()
    )


def _short(reason: str) -> str:
    return " ".join(reason.split())[:REASON]


def gaps_list(races: Iterable[Race]) -> str:
    """Name the largest departure of each contender that was timed."""
    worst: dict[str, tuple[float, str]] = {}
    for race in races:
        for name, gap in race.gaps.items():
            worst[name] = max(worst.get(name, (0.0, "")), (gap, f"{race.net} {race.asked}"))
    return "\n".join(f"- {name}: {gap:.1e} ({at})" for name, (gap, at) in worst.items())


def summary(races: Iterable[Race], figure: Figure = median) -> str:
    """The figures that the compiled engine is to reach."""
    head = (
        "net", "rows", "forward ms", "floor ms", "compiled ms", "best torch ms", "which",
        "compiled / forward", "best torch / compiled", "vmap(jacrev) / compiled",
        "compiled / floor",
    )  # fmt: skip
    return table(head, [_figures(race, figure) for race in races])


def _figures(race: Race, figure: Figure) -> tuple[str, ...]:
    names = (FORWARD, race.floor, COMPILED, race.best_torch)
    forward, floor, compiled, torch = (race.ms(name, figure) for name in names)
    found = (ms(forward), ms(floor), ms(compiled), ms(torch), race.best_torch or "-")
    jacrev = ratio(race.ms(JACREV, figure), compiled) if race.batch else "-"
    ratios = (ratio(compiled, forward), ratio(torch, compiled), jacrev)
    return (race.net, race.asked, *found, *ratios, ratio(compiled, floor))


def machine(threads: int) -> str:
    """One line: date, cores, processor, versions, threads."""
    versions = ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name)))
    # Who else works on it: one process alone loads it no more than its threads.
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return (
        f"{datetime.date.today()}, {os.cpu_count()} cores, {processor()}, {platform.machine()}, "
        f"Python {platform.python_version()}, {versions}; {threads} threads for everybody"
        f"{'' if threads == os.cpu_count() else ' but onnxlin and JAX, which take all cores'}; "
        f"load before the start {load:.1f}."
    )


def processor() -> str:
    """The name that the processor gives itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
