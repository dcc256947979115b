"""Whether ``engine="auto"`` is right: its calls against those of the best engine in hindsight.

``python -m tests.benchmarks --auto``. Every engine has each file and number of rows in a fresh
process of its own, and makes one call after the other, each at another x, until it has made
`CALLS`, or its time is over. Calls that were not made are taken to last as the latest of that
engine; under "auto" it is still asked which engine answers them, since it may choose another. What
so many calls take in all is then compared. Files are those of ONNXLIN_ZOO, and some fixtures; the
first x is ``NAME.x.npy`` where that lies beside them. With ``--out`` every process is also a line
of JSON; what stands there already is not measured again, so that long runs come in pieces.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.tables import table

FIXTURES = Path(__file__).parents[2] / "fixtures"
SMALL = ("mlp5_mnist", "lenet5_mnist", "resnet_mnist", "densenet_fashion")
ENGINES = ("reverse", "compiled", "live", "cut", "forward", "explicit", "auto")
BY_COLUMNS = ("forward", "explicit")
MANY_COLUMNS = 16
"""Columns for each row, beyond which those that compute whole columns are left out."""

CALLS = (1, 10, 100)
LATEST = 3
"""The calls whose median stands for all further ones."""

LONGER, LEAST = 4, 40
"""Times the seconds of calling after which a process is stopped; seconds that it has at least."""

Seconds = Sequence[float | None]
"""Of each call; None for one that was not made."""


def calls(path: str, engine: str, rows: int, limit: float) -> dict[str, Any]:
    """Time one call after the other, in this process: seconds of each, the first with opening.

    After ``limit`` seconds W is computed no more, but a second time, and by a graph that "auto" has
    opened by then.
    """
    import onnxlin

    # Imports and first uses of NumPy's and onnxruntime's own are nobody's engine.
    digit = np.random.default_rng(0).random((1, 1, 28, 28))
    onnxlin.linearize(FIXTURES / "lenet5_mnist.onnx", digit, engine="reverse")
    other = onnxlin.Linearizer(path)
    feeds = _first(path, other)
    asked = range(min(rows, sum(value.size for value in other.run(feeds).values())))
    columns = sum(value.size for value in feeds.values())
    if engine in BY_COLUMNS and columns > MANY_COLUMNS * len(asked):
        return {"skipped": f"{columns} columns for {len(asked)} rows"}
    del other
    start = time.perf_counter()
    lin = onnxlin.Linearizer(path)
    opening = time.perf_counter() - start
    noise, found, graphs, begun = np.random.default_rng(0), list[float | None](), 0, start
    names = list[str]()
    m = None
    try:
        while len(found) < max(CALLS):
            # A call that opened a graph says nothing of those after it.
            steady = len(found) > 1 and len(set(names[-LATEST:])) == 1
            late = steady and sum(filter(None, found)) > limit
            settled = m is not None and m.engine in ("live", "cut")
            if late and (engine != "auto" or settled or graphs >= LATEST):
                break
            if late and time.perf_counter() - begun > LONGER / 2 * limit:
                break
            x = {
                name: (value + 1e-2 * noise.standard_normal(value.shape)).astype(value.dtype)
                if value.dtype.kind == "f"
                else value
                for name, value in feeds.items()
            }
            start = time.perf_counter()
            m = lin(x, asked, engine)
            graphs += m.engine == "compiled"
            names.append(m.engine)
            if late and m.engine != "compiled":
                found.append(None)
                continue
            m.W, m.b  # noqa: B018
            found.append(time.perf_counter() - start)
    except onnxlin.OnnxlinError as error:
        return {"skipped": f"{type(error).__name__}: {error}"[:160]}
    assert found[0] is not None
    assert m is not None
    found[0] += opening
    return {"seconds": found, "rows": len(asked), "last": m.engine, "why": m.plan}


def _first(path: str, lin: Any) -> dict[str, Any]:
    """The x that others are near to."""
    from onnxlin.engines.compiled.export.example import example_feeds, opened_shapes

    beside = Path(path).with_suffix(".x.npy")
    if beside.exists():
        return {next(iter(lin.section.inputs)): np.load(beside)}
    shapes = {n: [k or 8 for k in s] for n, s in opened_shapes(lin.section, 8).items()}
    return dict(example_feeds(lin.section, None, shapes))


def in_all(seconds: Seconds, count: int) -> float:
    """Return what so many calls take: those that were made, and others like the latest of them."""
    made, total = list[float](), 0.0
    for i in range(count):
        own = seconds[i] if i < len(seconds) else None
        if own is None:
            total += float(np.median(made[1:][-LATEST:] or made))
        else:
            made.append(own)
            total += own
    return total


def in_child(path: Path, engine: str, rows: int, limit: float) -> dict[str, Any]:
    """Time an engine in a fresh process."""
    what = [str(path), engine, str(rows), str(limit)]
    command, most = [sys.executable, "-m", "tests.benchmarks.auto", *what], LONGER * limit
    most = max(most, LEAST)
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=most)
    except subprocess.TimeoutExpired:
        return {"skipped": f"no answer in {most:g} s"}
    if done.returncode:
        return {"skipped": f"fails: {' '.join(done.stderr.splitlines()[-1:])[:160]}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


Asked = tuple[str, int, str]
"""A file's name, rows, and an engine."""


def known(out: Path | None) -> dict[Asked, dict[str, Any]]:
    """What stands in a file of lines of JSON."""
    if out is None or not out.exists():
        return {}
    lines = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    return {(one["net"], one["asked"], one["engine"]): one for one in lines}


def measured(
    paths: Iterable[Path],
    counts: Sequence[int],
    limit: float,
    tell: Callable[[str], None],
    out: Path | None = None,
) -> Iterator[tuple[str, int, dict[str, dict[str, Any]]]]:
    """Every file for every number of rows by every engine."""
    there = known(out)
    for path in paths:
        for rows in counts:
            found = {}
            for engine in ENGINES:
                key = path.stem, rows, engine
                if key not in there:
                    there[key] = in_child(path, engine, rows, limit)
                    if out is not None:
                        about = {"net": path.stem, "asked": rows, "engine": engine}
                        with out.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(about | there[key]) + "\n")
                    tell(f"{path.stem}, {rows} rows, {engine}: {_said(there[key])}")
                found[engine] = there[key]
            have = max((own["rows"] for own in found.values() if "rows" in own), default=rows)
            yield path.stem, have, found
            if have < rows:
                break


def _said(found: dict[str, Any]) -> str:
    if "skipped" in found:
        return str(found["skipped"])
    return ", ".join(f"{in_all(found['seconds'], n):.3g} s" for n in CALLS)


def judged(results: Iterable[tuple[str, int, dict[str, dict[str, Any]]]]) -> str:
    """A line for each file, number of rows and number of calls, and how far auto is off."""
    head = ("net", "rows", "calls", "best", "its s", "auto's s", "auto / best", "auto ends with")
    lines, ratios, made, whole = [], dict[int, list[tuple[float, float]]](), 0, 0
    for net, rows, found in results:
        timed = {name: own["seconds"] for name, own in found.items() if "seconds" in own}
        auto = timed.pop("auto", None)
        if auto is None or not timed:
            continue
        made += sum(s is not None for s in auto)
        whole += max(CALLS)
        for count in CALLS:
            best = min(timed, key=lambda name: in_all(timed[name], count))
            least, own = in_all(timed[best], count), in_all(auto, count)
            ratios.setdefault(count, []).append((own, least))
            numbers = (f"{least:.3g}", f"{own:.3g}", f"{own / least:.2f}")
            lines.append((net, str(rows), str(count), best, *numbers, found["auto"]["last"]))
    said = [
        f"{count} calls: in all {sum(a for a, _ in pairs) / sum(b for _, b in pairs):.2f} times "
        f"the best in hindsight; at most {max(a / b for a, b in pairs):.2f}; within 1.3: "
        f"{sum(a <= 1.3 * b for a, b in pairs)} of {len(pairs)}."
        for count, pairs in ratios.items()
    ]
    said.append(f"Of auto's {whole} calls {made} were made; others are taken from the latest.")
    return "\n\n".join([table(head, lines), *said])


def auto(
    counts: Sequence[int], names: Sequence[str], limit: float, out: Path | None = None
) -> None:
    """Print the table; ``names`` are parts of names of files, all if there are none."""
    zoo = Path(os.environ.get("ONNXLIN_ZOO", "nowhere"))
    paths = [FIXTURES / f"{name}.onnx" for name in SMALL] + sorted(zoo.glob("*.onnx"))
    chosen = [path for path in paths if not names or any(part in path.stem for part in names)]
    tell = lambda text: print(text, file=sys.stderr, flush=True)
    print(judged(measured(chosen, counts, limit, tell, out)))


if __name__ == "__main__":
    print(json.dumps(calls(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))))
