"""Print tables of times, ratios and memory: ``python -m tests.benchmarks``.

The networks and most contenders need the extra ``bench``; ``--zoo`` and
``--readings`` do not. What the live engine costs has options of its own: ``--live --help``.
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

import numpy as np

from tests.benchmarks.contenders import ENGINES, Work
from tests.benchmarks.tables import gaps_list, machine, minimum, notes_list, summary, times_table

BATCH, BATCH_ROWS = 256, 10
COLD_NET = "resnet50"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--nets", help="names, separated by commas; by default all")
    parser.add_argument("--rows", default="1,10,50", help="numbers of rows, by commas")
    parser.add_argument("--only", default="", help="parts of names of contenders, by commas")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every contender")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every contender")
    parser.add_argument("--cache", type=Path, help="keep the exported networks in this folder")
    parser.add_argument("--no-batch", action="store_true", help="leave out the batches")
    parser.add_argument("--memory", action="store_true", help="peak memory instead of times")
    parser.add_argument("--cold", action="store_true", help="import, load and compile instead")
    parser.add_argument("--zoo", action="store_true", help="files of ONNXLIN_ZOO instead")
    parser.add_argument("--readings", action="store_true", help="what is asked of a map instead")
    parser.add_argument("--live", action="store_true", help="the live engine: see --live --help")
    parser.add_argument("--data", action="store_true", help="whole data sets: see --data --help")
    parser.add_argument("--transformers", type=Path, help="a folder of fixtures/large.py")
    parser.add_argument("--auto", action="store_true", help="whether auto picks what is best")
    parser.add_argument("--seconds", type=float, default=60, help="of calls, for --auto")
    parser.add_argument("--out", type=Path, help="lines of JSON that --auto goes on with")
    parser.add_argument("--whole", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--engines", default="compiled,reverse", help="of --memory --zoo")
    parser.add_argument("--file", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--one", nargs=3, metavar=("NET", "CONTENDER", "ROWS"))
    return parser.parse_args()


@contextlib.contextmanager
def folder(given: argparse.Namespace) -> Iterator[Path]:
    """Where the exported networks lie."""
    if given.cache:
        given.cache.mkdir(parents=True, exist_ok=True)
        yield given.cache
        return
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def works(given: argparse.Namespace, at: Path) -> list[list[Work]]:
    """Everything that is timed: one list for every table."""
    from tests.benchmarks.export import Case, write_all
    from tests.benchmarks.nets import NETS

    cases = [Case(name, at) for name in (given.nets.split(",") if given.nets else NETS)]
    for case in cases:
        write_all(case)
    found = [
        [Work(case, rows, threads=given.threads) for case in cases if rows <= case.net.outputs]
        for rows in map(int, given.rows.split(","))
    ]
    if not given.no_batch:
        small = [case for case in cases if case.net.small]
        found.append([Work(case, BATCH_ROWS, BATCH, given.threads) for case in small])
    return [table for table in found if table]


def times(given: argparse.Namespace, at: Path) -> None:
    from tests.benchmarks.race import chosen, race

    makers = chosen([part for part in given.only.split(",") if part])
    print(machine(given.threads), flush=True)
    races = []
    for tables in works(given, at):
        done = [race(work, makers, given.rounds) for work in tables]
        print(f"\n{times_table(done)}", flush=True)
        races += done
    print(f"\nFigures, of medians:\n\n{summary(races)}")
    print(f"\nThe same of the shortest calls:\n\n{summary(races, minimum)}")
    print(f"\nLargest departures from torch autograd:\n\n{gaps_list(races)}")
    print(f"\nNot timed:\n\n{notes_list(races)}")


def memory(given: argparse.Namespace, at: Path) -> None:
    from tests.benchmarks.memory import in_child, memory_table
    from tests.benchmarks.race import chosen

    found = []
    for work in (w for tables in works(given, at) for w in tables if not w.batch):
        for name in chosen([part for part in given.only.split(",") if part]):
            print(f"{work.case.name}, {work.rows} rows, {name} ...", file=sys.stderr, flush=True)
            extra = ["--cache", str(at), "--threads", str(given.threads)]
            sizes = in_child([*extra, "--one", work.case.name, name, str(work.rows)])
            found.append((work.case.name, work.rows, name, sizes))
    print(machine(given.threads), memory_table(found), sep="\n\n")
    for net, rows, name, sizes in found:
        if "skipped" in sizes:
            print(f"- {name} ({net} {rows}): {sizes['skipped'][:160]}")


def one(given: argparse.Namespace, at: Path) -> None:
    """Measure the memory of one contender in this process."""
    from tests.benchmarks.export import Case
    from tests.benchmarks.memory import measure
    from tests.benchmarks.race import all_contenders

    net, name, rows = given.one
    work = Work(Case(net, at), int(rows), threads=given.threads, check=False)
    print(json.dumps(measure(work, all_contenders()[name])))


def cold(given: argparse.Namespace, at: Path) -> None:
    from tests.benchmarks.cold import cold_table
    from tests.benchmarks.export import Case

    case = Case(given.nets or COLD_NET, at)
    np.save(at / "x.npy", case.x)
    print(
        machine(given.threads), cold_table(case.name, case.path, at / "x.npy", ENGINES), sep="\n\n"
    )


def main() -> None:
    if "--live" in sys.argv:
        from tests.benchmarks.live.command import main as live

        live([argument for argument in sys.argv[1:] if argument != "--live"])
        return
    if "--data" in sys.argv:
        from tests.benchmarks.data.command import main as data

        data([argument for argument in sys.argv[1:] if argument != "--data"])
        return
    given = options()
    if given.readings:
        from tests.benchmarks.readings import readings_table

        print(machine(given.threads), readings_table(given.rounds, given.threads), sep="\n\n")
        return
    if given.file:
        from tests.benchmarks.zoo_memory import measure_file

        print(json.dumps(measure_file(*given.file)))
        return
    if given.memory and given.zoo:
        from tests.benchmarks.zoo_memory import zoo_memory

        nets = given.nets.split(",") if given.nets else []
        models = Path(os.environ.get("ONNXLIN_ZOO", "nowhere"))
        zoo_memory(models, given.engines.split(","), given.rows.split(","), nets)
        return
    if given.auto:
        from tests.benchmarks.auto import auto

        print(f"{machine(given.threads)}\n")
        names = given.nets.split(",") if given.nets else []
        auto([int(rows) for rows in given.rows.split(",")], names, given.seconds, given.out)
        return
    if given.transformers:
        from tests.benchmarks.transformers import transformers

        print(f"{machine(given.threads)}\n")
        names = given.nets.split(",") if given.nets else []
        transformers(given.transformers, names, given.rounds, given.threads)
        return
    if given.whole or given.zoo:
        from tests.benchmarks.zoo import whole_squeezenet, zoo

        if given.whole:
            whole_squeezenet()
            return
        print(f"{machine(given.threads)}\n")
        zoo(given.rounds, given.threads)
        return
    try:
        import torch
    except ImportError:
        sys.exit(
            "The networks need the extra 'bench' (pip install onnxlin[bench]); --zoo does not."
        )
    torch.set_num_threads(given.threads)
    action = one if given.one else memory if given.memory else cold if given.cold else times
    with folder(given) as at:
        action(given, at)


if __name__ == "__main__":
    main()
