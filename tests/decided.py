"""How many rows of how many maps are decided: ``python -m tests.decided`` prints the table.

Of the zoo (``ONNXLIN_ZOO``) and of the specification's cases, in both readings and both precisions.
"Before" counts what the worst case of every rounding decides by itself, with underflow charged for
every entry, whether a row reaches it or not: the bound that stood here first.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import onnxlin
from onnxlin import AffineMap, Linearizer
from onnxlin.affine_map import Verdict
from onnxlin.engines.reverse import charge
from onnxlin.program.rates import smallest
from onnxlin.program.roundoff import charges
from tests.corpus import MOST_ENTRIES, _array, cases
from tests.proofs import instance

ROWS = 32
MODES, DTYPES = ("tangent", "frozen"), (np.float32, np.float64)


@dataclass
class Count:
    """Rows of maps of one kind."""

    maps: int = 0
    rows: int = 0
    before: int = 0
    now: int = 0
    fail: int = 0

    def add(self, m: AffineMap) -> None:
        """Count one map."""
        verdicts = m.verdicts
        self.maps += 1
        self.rows += len(verdicts)
        self.before += int((m.error <= m.output_size)[_worst(m) <= m.output_size].sum())
        self.now += sum(verdict is Verdict.PASS for verdict in verdicts)
        self.fail += sum(verdict is Verdict.FAIL for verdict in verdicts)


def _worst(m: AffineMap) -> Any:
    """Return the worst case of every rounding: (n_rows,)."""
    origin = m.made_from("the survey")
    program, values = origin.program, origin.values
    found = charge(origin.job, charges(program, values, native=True))[0]
    under = sum(
        float(np.abs(np.nan_to_num(values[name].astype(np.float64), posinf=0, neginf=0)).sum())
        * op.fan_out
        for step in program.steps
        for name, op in step.terms
    )
    return found + smallest(program.dtype) * (under + len(program.steps))


def zoo(folder: str) -> Iterator[tuple[str, AffineMap]]:
    """Maps of the models of a folder."""
    for path in sorted(Path(folder).rglob("*.onnx")):
        model = onnx.load(path)
        x = instance(model, seed=0)
        for mode in MODES:
            lin = Linearizer(model, mode=mode)
            count = sum(y.size for y in lin.run(x).values())
            rows = np.unique(np.linspace(0, count - 1, min(count, ROWS)).astype(int))
            for dtype in DTYPES:
                yield path.stem, lin(x, rows, "reverse", dtype)


def specification() -> Iterator[tuple[str, AffineMap]]:
    """Maps of the specification's cases, by all their float inputs together."""
    for case in cases():
        names = [info.name for info in case.model.graph.input]
        for given, _ in case.data_sets:
            x = dict(zip(names, map(_array, given), strict=False))
            for mode in MODES:
                for dtype in DTYPES:
                    try:
                        m = Linearizer(case.model, mode=mode)(x, engine="reverse", dtype=dtype)
                        m.made_from("the survey")
                    except (onnxlin.OnnxlinError, ValueError, AttributeError):
                        continue  # no float inputs, no rule, no kernel: tests/corpus.py counts them
                    if 0 < len(m.rows) * len(m.x) <= MOST_ENTRIES:
                        yield case.name, m


def survey(maps: Iterator[tuple[str, AffineMap]], counts: dict[str, Count]) -> None:
    """Count maps by their precision, and name on stderr those that are not all decided."""
    for name, m in maps:
        counts.setdefault(str(m.dtype), Count()).add(m)
        if m.verdict is not Verdict.PASS:
            left = sum(verdict is not Verdict.PASS for verdict in m.verdicts)
            said = f"{name} {m.mode} {m.dtype}: {m.verdict} for {left} of {len(m.rows)} rows"
            print(said, file=sys.stderr, flush=True)


def table(found: dict[str, dict[str, Count]]) -> str:
    """Write the counts as Markdown."""
    lines = ["| models | W in | maps | rows | decided before | decided now | past the bound |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for what, counts in found.items():
        for dtype, n in counts.items():
            before, now = (f"{each / n.rows:.2%}" for each in (n.before, n.now))
            cells = what, dtype, f"{n.maps:,}", f"{n.rows:,}", before, now, str(n.fail)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    found: dict[str, dict[str, Count]] = {}
    if folder := os.environ.get("ONNXLIN_ZOO", ""):
        survey(zoo(folder), found.setdefault("zoo", {}))
    survey(specification(), found.setdefault("specification", {}))
    print(table(found))


if __name__ == "__main__":
    main()
