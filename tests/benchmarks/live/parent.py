"""Start the children one after the other, each within a limit of time, and gather what they say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from tests.benchmarks.live.cases import Files, Spec
from tests.benchmarks.live.child import COUNT, Task
from tests.benchmarks.live.torch_ways import ways

Record = dict[str, Any]
MANY_COLUMNS = 16
"""Columns for each row, beyond which sweeping columns forwards is left out."""


@dataclass(frozen=True)
class Plan:
    """How often, and by whom, everything is measured.

    Parameters
    ----------
    engines : tuple of str
    task : Task
        With the settings that are the same for all.
    passes : int
        Fresh processes for each contender, in turn with those of the others.
    torch : bool
    """

    engines: tuple[str, ...]
    task: Task
    passes: int
    torch: bool


def answers(task: Task) -> Record:
    """Run one child; gather its lines, until the limit or its end."""
    command = [sys.executable, "-m", "tests.benchmarks.live.child", json.dumps(asdict(task))]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    stopped = False
    try:
        out, err = child.communicate(timeout=task.limit)
    except subprocess.TimeoutExpired:
        stopped = True
        end(child)
        out, err = child.communicate()
    finally:
        end(child)
    found = merged(out)
    if stopped:
        found["note"] = f"stopped after {task.limit:g} s"
    elif child.returncode:
        last = (err.strip().splitlines() or [f"ended by {child.returncode}"])[-1]
        found["note" if "cold" in found else "skipped"] = f"fails: {last}"
    return found


def end(child: subprocess.Popen[str]) -> None:
    """End a child and what it started, if it goes on."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)


def merged(out: str) -> Record:
    """Put lines of JSON together, later ones first; a last line that was cut off is left out."""
    found: Record = {}
    for line in out.splitlines():
        try:
            found |= json.loads(line)
        except json.JSONDecodeError:
            continue
    return found


def contenders(plan: Plan, rows: int, columns: int) -> tuple[list[str], dict[str, str]]:
    """Who is measured for so many rows, and who is not and why."""
    names, notes = [], {}
    for name in plan.engines:
        if name == "forward" and columns > MANY_COLUMNS * rows:
            notes[name] = f"{columns} columns are too many for {rows} rows"
        else:
            names.append(name)
    found, why = ways(rows) if plan.torch else ([], "not asked for")
    if why:
        notes["torch"] = why
    return names + found, notes


def measured(
    plan: Plan, spec: Spec, files: Files, rows: int, tell: Callable[[str], None]
) -> Iterator[Record]:
    """Measure one network for so many rows: the count, then everybody, in turn."""
    task = replace(plan.task, rows=rows, one=str(files.one), many=str(files.many), x=str(files.x))
    about = {"net": spec.text, "rows": rows}
    tell(f"{spec.text}, {rows} rows: counting ...")
    counted = answers(replace(task, contender=COUNT))
    yield about | {"contender": COUNT} | counted
    names, notes = contenders(plan, rows, counted.get("columns", 0))
    for name, why in notes.items():
        yield about | {"contender": name, "skipped": why}
    dropped = set[str]()
    for number in range(plan.passes):
        for name in names:
            if name in dropped:
                continue
            tell(f"{spec.text}, {rows} rows: {name}, pass {number + 1} of {plan.passes} ...")
            found = answers(replace(task, contender=name))
            if "skipped" in found or "cold" not in found:
                dropped.add(name)  # it would not do better the next time
            yield about | {"contender": name, "pass": number} | found
