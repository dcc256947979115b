"""A long run: inputs by number, counts by verdict, one record for each kind of fault; resumable."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onnxlin.runtime.sandbox import Sandbox
from tests.fuzz import broken as making
from tests.fuzz import cases, samples, subjects
from tests.fuzz.pool import Worker, again
from tests.fuzz.shrink import shrink
from tests.fuzz.verdicts import FAULTS, HANG, NATIVE, counted

SANDBOX = Sandbox(memory="1GiB", time=30)
SAVED = 20.0
"""Seconds after which the counts are written again."""


@dataclass
class Statistics:
    """What has been tried so far.

    Parameters
    ----------
    seed, next : int
        Inputs are ``(seed, 0), (seed, 1), ...``; ``next`` is the first that nobody has taken.
    counts : {verdict: inputs}
    entries : {"entry verdict": attempts}
    faults : {kind: how often}
    seconds : float
        Of the workers, added up.
    """

    seed: int
    next: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    entries: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def inputs(self) -> int:
        """How many there were."""
        return sum(self.counts.values())

    def save(self, path: Path) -> None:
        """Write it beside its name, then under it."""
        beside = path.with_suffix(".part")
        beside.write_text(json.dumps(vars(self), indent=1))
        os.replace(beside, path)

    @staticmethod
    def load(path: Path, seed: int) -> Statistics:
        """Read what an earlier run has left; none, and of another seed, begins anew."""
        if not path.exists():
            return Statistics(seed)
        held = json.loads(path.read_text())
        if held["seed"] != seed:
            return Statistics(seed)
        counters = {name: Counter(held[name]) for name in ("counts", "entries", "faults")}
        return Statistics(held["seed"], held["next"], **counters, seconds=held["seconds"])

    def __str__(self) -> str:
        lines = [f"{self.inputs:,} inputs, {self.seconds:,.0f} s of workers"]
        lines += [f"  {count:>9,}  {name}" for name, count in self.counts.most_common()]
        if self.faults:
            lines.append("faults, by kind:")
            lines += [f"  {count:>9,}  {key}" for key, count in self.faults.most_common()]
        return "\n".join(lines)


class Campaign:
    """Workers that share the numbers of inputs.

    Parameters
    ----------
    folder : path
        Subjects, statistics, and a record of each kind of fault, stay there.
    seed : int
    all_cases : bool
        Whether the specification's cases are among the subjects: they take 20 s to make.
    """

    def __init__(self, folder: Path, seed: int, *, all_cases: bool = True) -> None:
        self.folder, self.subjects = folder, folder / "subjects"
        (folder / "found").mkdir(parents=True, exist_ok=True)
        if not (self.subjects / "files").exists():
            subjects.lay(self.subjects, all_cases=all_cases)
            samples.lay(self.subjects)
        self.path = folder / "statistics.json"
        self.done = Statistics.load(self.path, seed)
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._saved = time.monotonic()

    def run(
        self, *, inputs: int, seconds: float, workers: int = 1, shrinking: bool = True
    ) -> Statistics:
        """Try further inputs, until there have been so many now or the time has passed."""
        end, last = time.monotonic() + seconds, self.done.next + inputs
        threads = [
            threading.Thread(target=self._work, args=(end, last, shrinking)) for _ in range(workers)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:  # Ctrl-C: each worker ends with the input that it has
            self._stopping.set()
            for thread in threads:
                thread.join()
            self.done.save(self.path)
        return self.done

    def _work(self, end: float, last: int, shrinking: bool) -> None:
        with Worker(self.subjects, SANDBOX) as worker:
            while time.monotonic() < end and not self._stopping.is_set():
                with self._lock:
                    index = self.done.next
                    if index >= last:
                        return
                    self.done.next += 1
                found = worker.attempt(seed=self.done.seed, index=index)
                for verdict in self._noted(found):
                    self._record(worker, index, verdict, shrinking)

    def _noted(self, found: dict[str, Any]) -> list[dict[str, Any]]:
        """Count an input; return the verdicts that are the first of their kind."""
        with self._lock:
            done, new = self.done, []
            done.counts[counted(found["verdicts"])] += 1
            done.seconds += found["seconds"]
            for verdict in found["verdicts"]:
                done.entries[f"{verdict['entry']} {verdict['verdict']}"] += 1
                if verdict["verdict"] in (*FAULTS, NATIVE):
                    if not done.faults[verdict["key"]]:
                        new.append(verdict)
                    done.faults[verdict["key"]] += 1
            if time.monotonic() - self._saved > SAVED:
                done.save(self.path)
                self._saved = time.monotonic()
            return new

    def _record(self, worker: Worker, index: int, verdict: dict[str, Any], shrinking: bool) -> None:
        """Write the first input of a kind of fault, made small, as a regression case."""
        found = making.make(self.subjects, self.done.seed, index)
        names = [verdict["entry"]]
        if verdict["entry"] not in _entries(found.kind):  # the worker died: which one was it?
            names = next(
                ([n] for n in _chosen(found) if same(verdict["key"], again(worker, found, [n]))), []
            )
        if names and shrinking:
            found = shrink(found, lambda one: same(verdict["key"], again(worker, one, names)))
        by = {"seed": self.done.seed, "index": index, "text": verdict["text"]}
        cases.write(self.folder / "found", found, names, verdict["key"], **by)


def same(key: str, found: set[str]) -> bool:
    """Whether a kind of fault is among those found; a hang is seldom met at the same place."""
    if HANG in key.split():
        return any(HANG in other.split() for other in found)
    return key in found


def _entries(kind: str) -> list[str]:
    from tests.fuzz.entries import ENTRIES

    return list(ENTRIES[kind])


def _chosen(found: making.Broken) -> list[str]:
    from tests.fuzz.entries import chosen

    return chosen(found)
