"""``python -m tests.benchmarks --data``: what a run over a data set costs as it grows.

Memory over up to a million samples, maps a second and bytes a sample by what is kept, and a
scheduler with up to 1,000 workers whose tasks only sleep.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks --data")
    parser.add_argument("--memory", help="numbers of samples, by commas: memory over such runs")
    parser.add_argument("--digits", type=Path, help=".csv[.gz] of MNIST with labels; else fixtures")
    parser.add_argument("--workers", default="2", help="of --memory; of --sleep, by commas")
    parser.add_argument("--sleep", type=float, help="seconds of a task: a scheduler's overhead")
    parser.add_argument("--tasks", type=int, default=10, help="of each worker, for --sleep")
    parser.add_argument("--kept", help="nets, by commas: maps a second and bytes of each --what")
    parser.add_argument("--stored", help="nets, by commas: maps a second kept, and forgotten")
    parser.add_argument("--samples", type=int, default=64, help="of --kept and --stored")
    parser.add_argument("--out", type=Path, help="append every look as a line of JSON")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    given = options(arguments)
    if given.memory:
        from tests.benchmarks.data.memory import curves

        counts = [int(count) for count in given.memory.split(",")]
        curves(given.digits, counts, int(given.workers), given.out)
    if given.sleep:
        from tests.benchmarks.data.scheduler import scheduler_table

        workers = [int(count) for count in given.workers.split(",")]
        scheduler_table(workers, given.sleep, given.tasks)
    if given.kept:
        from tests.benchmarks.data.kept import kept_table

        kept_table(given.kept.split(","), given.samples)
    if given.stored:
        from tests.benchmarks.data.kept_or_not import stored_table

        workers = [int(count) for count in given.workers.split(",")]
        stored_table(given.stored.split(","), workers, given.samples, given.digits)
