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
    parser.add_argument("--workers", default="2", help="of --memory")
    parser.add_argument("--out", type=Path, help="append every look as a line of JSON")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    given = options(arguments)
    if given.memory:
        from tests.benchmarks.data.memory import curves

        counts = [int(count) for count in given.memory.split(",")]
        curves(given.digits, counts, int(given.workers), given.out)
