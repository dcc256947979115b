"""What the benchmarks' numbers rest on: the comparison, the turns and the tables."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

import onnxlin
from tests.benchmarks import tables, timing
from tests.benchmarks.auto import in_all
from tests.benchmarks.contenders import both, check_residual
from tests.benchmarks.memory import memory_table
from tests.benchmarks.tables import COMPILED, FLOOR, FORWARD, JACREV, Race
from tests.benchmarks.timing import DepartureError, Times, departure, require_close, take_turns
from tests.small import X, mlp

W = np.array([[1.0, -4.0], [0.5, 2.0]], np.float32)
VJP = "torch.func vjp + vmap"


def race(**medians: float) -> Race:
    names = {"forward": FORWARD, "floor": FLOOR, "compiled": COMPILED, "vjp": VJP, "rev": JACREV}
    times = {names[key]: Times([ms, ms / 2, 9 * ms]) for key, ms in medians.items()}
    return Race("net", 10, 0, times, {COMPILED: 1e-6}, {"JAX": "no | such\nthing"})


def test_departure_is_relative_to_the_largest_entry() -> None:
    off = W.copy()
    off[1, 0] += 0.002
    assert departure(W, W) == 0
    assert departure(off, W) == pytest.approx(0.002 / 4, rel=1e-3)
    assert require_close(off, W) <= timing.TOLERANCE


@pytest.mark.parametrize(
    "found",
    [W + np.float32(0.01), W.T, W.astype(np.float64), W[:1], W * np.float32(np.nan), -W, W * 0],
    ids=["off", "turned", "float64", "row", "nan", "sign", "zero"],
)
def test_wrong_results_are_not_timed(found: np.ndarray) -> None:
    with pytest.raises(DepartureError, match="departs by"):
        require_close(found, W)


def test_a_reference_of_zeros_proves_nothing() -> None:
    with pytest.raises(DepartureError, match="nothing can be compared"):
        require_close(W * 0, W * 0)


def test_a_map_that_misses_its_model_is_not_timed() -> None:
    m = onnxlin.linearize(mlp(), X)
    assert both(m) is m.W
    check_residual(m, thoroughly=True)
    m.y += 0.1 * m.scale
    with pytest.raises(DepartureError, match="misses F"):
        check_residual(m, thoroughly=False)


def test_turns_alternate_and_leave_out_the_first_call() -> None:
    calls: list[str] = []
    slow = timing.BLOCK / 2

    def job(name: str) -> None:
        calls.append(name)
        time.sleep(slow)

    times = take_turns({n: lambda n=n: job(n) for n in "ab"}, rounds=2, pause=0)
    assert [name for name, _ in itertools.groupby(calls)] == ["a", "b", "a", "b"]
    for name, found in times.items():
        assert len(found.calls) == calls.count(name) - 2
        assert min(found.calls) >= slow * 1e3


def test_figures() -> None:
    done = race(forward=1.0, floor=8.0, compiled=10.0, vjp=40.0, rev=50.0)
    assert done.best_torch == VJP
    line = tables.summary([done]).splitlines()[-1]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:7] == ["net", "10", "1.00", "8.00", "10.0", "40.0", VJP]
    assert cells[7:] == ["10.00", "4.00", "-", "1.25"]
    least = tables.summary([done], tables.minimum).splitlines()[-1]
    assert least.split("|")[3].strip() == "0.50"


def test_what_did_not_run_is_a_dash() -> None:
    line = tables.summary([race(forward=1.0, vjp=4.0)]).splitlines()[-1]
    assert line == f"| net | 10 | 1.00 | 1.00 | - | 4.00 | {VJP} | - | - | - | - |"


def test_times_table() -> None:
    text = tables.times_table([race(forward=1.0, floor=8.0, compiled=10.0, vjp=40.0)])
    assert f"| net | 10 | {COMPILED} | 10.0 | 5.00 - 90.0 | 1.25 | 4.00 |" in text.splitlines()
    assert {line.count("|") for line in text.splitlines()} == {8}


def test_tables_are_well_formed() -> None:
    assert tables.table(["a"], [["x | y\nz"]]).splitlines()[-1] == "| x \\| y z |"
    with pytest.raises(ValueError, match="2 cells"):
        tables.table(["a", "b"], [["only one"]])


def test_reasons_are_told_once() -> None:
    done = race(forward=1.0)
    assert tables.notes_list([done, done]) == "- JAX (net 10, net 10): no | such thing"


def test_machine_is_described() -> None:
    text = tables.machine(3)
    assert "3 threads" in text
    assert f"numpy {np.__version__}" in text


def test_memory_table_leaves_out_what_did_not_run() -> None:
    sizes = {"W": 1.0, "first": 2.0, "again": None}
    text = memory_table([("net", 1, "a", sizes), ("net", 1, "b", {"skipped": "why"})])
    assert text.splitlines()[2:] == ["| net | 1 | a | 1.0 | 2.0 | - |"]


def test_calls_that_were_not_made_take_as_long_as_the_latest() -> None:
    seconds = [1.0, 0.5, None, None, 2.0, 0.1, 0.1]  # the fifth opens a graph
    assert in_all(seconds, 1) == 1
    assert in_all(seconds, 4) == pytest.approx(1 + 3 * 0.5)
    assert in_all(seconds, 10) == pytest.approx(1 + 3 * 0.5 + 2 + 5 * 0.1)
    assert in_all([3.0], 10) == 30
