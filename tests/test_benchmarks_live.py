"""How ``--live`` measures and tells: children within a limit of time, and the tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.benchmarks.live import about, command, report, surgery, torch_ways, wheels
from tests.benchmarks.live.child import COUNT, Task
from tests.benchmarks.live.parent import Plan as Turns
from tests.benchmarks.live.parent import answers, contenders, merged

Array = np.ndarray[Any, Any]
TASK = Task("", "", "", "live", 3, 2, 1, 2, 120.0, 0.2)


@pytest.fixture
def task(tmp_path: Path, fixtures: Path) -> Task:
    lenet = surgery.cut(onnx.load(fixtures / "lenet5_mnist.onnx"), "logits")
    names = [str(tmp_path / name) for name in ("one.onnx", "many.onnx", "x.npy")]
    onnx.save(surgery.opened(lenet, 1), names[0])
    onnx.save(surgery.opened(lenet, "N"), names[1])
    np.save(names[2], np.random.default_rng(0).random((1, 1, 28, 28), dtype=np.float32))
    return replace(TASK, **dict(zip(("one", "many", "x"), names, strict=True)))


def test_children_measure_and_count(task: Task) -> None:
    live, reverse = (answers(replace(task, contender=name)) for name in ("live", "reverse"))
    for found in (live, reverse):
        assert "note" not in found
        assert "skipped" not in found
        assert min(*found["warm"], *found["floor"], found["cold"], found["linearizer"]) > 0
        assert found["images"] == task.rows
        assert found["residual"] < 1e-3
    np.testing.assert_allclose(live["sketch"], reverse["sketch"], rtol=1e-3, atol=1e-4)
    counted = answers(replace(task, contender=COUNT))
    assert counted["columns"] == 784
    assert counted["share"] == counted["live"] / counted["dense"] < 1


def test_children_are_stopped_and_what_they_found_is_kept(task: Task) -> None:
    found = answers(replace(task, rounds=10**6, limit=8.0, floor_seconds=1e-3))
    assert found["cold"] > 0
    # It stops by itself before the limit, or is stopped at it.
    late = answers(replace(task, limit=0.01))
    assert late == {"note": "stopped after 0.01 s"}


def test_children_that_fail_say_why(task: Task) -> None:
    found = answers(replace(task, one="nowhere.onnx"))
    assert "nowhere.onnx" in found["skipped"]


def test_a_line_that_was_cut_off_is_left_out() -> None:
    assert merged('{"a": 1, "b": 2}\n{"a": 3}\n{"b": [4') == {"a": 3, "b": 2}


def test_forward_is_left_out_where_columns_are_many() -> None:
    turns = Turns(("live", "forward"), TASK, 1, False)
    names, notes = contenders(turns, 10, 150528)
    assert names == ["live"]
    assert notes["forward"] == "150528 columns are too many for 10 rows"
    assert contenders(turns, 100, 784)[0] == ["live", "forward"]


def test_torch_is_left_out_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns(("live",), TASK, 1, True)
    monkeypatch.setattr(torch_ways, "find_spec", lambda name: None)
    assert contenders(turns, 10, 784) == (["live"], {"torch": "torch and onnx2torch not installed"})
    monkeypatch.setattr(torch_ways, "find_spec", lambda name: name)
    assert contenders(turns, 10, 784) == (["live", *torch_ways.WAYS], {})
    names, notes = contenders(turns, 1000, 784)
    assert names == ["live", torch_ways.ONE_BY_ONE]
    assert notes["torch"] == "others hold 1000 rows of every tensor at once"


def test_what_is_asked_wrongly_or_cannot_be_had_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv(wheels.VARIABLE, raising=False)
    for arguments, text in (
        (["--nets", "vgg17"], "'vgg17' is not NAME"),
        (["--engines", "dead"], "no engines: dead; there are live"),
        (["--grow", "colour"], "no scans: colour"),
        (["--fetch"], "--fetch needs --wheels FOLDER"),
    ):
        with pytest.raises(SystemExit, match=text):
            command.main(arguments)
    out = tmp_path / "out.jsonl"
    command.main(["--nets", "vgg16,alexnet:5", "--rows", "9", "--out", str(out)])
    told = capsys.readouterr().out
    assert "- all (alexnet:5 9): it has 5 rows; say alexnet:9" in told
    assert f"- all (vgg16 9): {wheels.FILES['vgg16']} is not below any folder given" in told
    assert told.strip() == report.whole(report.read([out]))


# Tables


def records() -> list[dict[str, Any]]:
    one = {"net": "net", "rows": 10}
    warm = {"warm": [40.0, 60.0, 50.0], "floor": [200.0, 100.0, 150.0], "sketch": [1.0, -2.0]}
    more = {"imports": 0.5, "linearizer": 0.25, "cold": 2.25, "peak_first": 80.0}
    return [
        {"machine": "a machine"},
        one | {"contender": COUNT, "share": 0.25},
        one | {"contender": "live", "peak_later": 90.0, "pass": 0} | warm | more,
        one | {"contender": "live", "pass": 1, "warm": [45.0], "floor": [150.0]},
        one | {"contender": "reverse", "sketch": [1.0, -2.1], "floor": [150.0]} | more,
        one | {"contender": "explicit", "skipped": "too | large"},
        one | {"contender": "torch slow", "warm": [900.0], "floor": [150.0]},
        one | {"contender": "torch fast", "warm": [800.0], "floor": [150.0]},
    ]


def cells(text: str, contender: str) -> list[str]:
    found = [line for line in text.splitlines() if f"| {contender} |" in line]
    return [cell.strip() for cell in found[0].strip("|").split("|")]


def test_times_are_put_together_over_the_passes() -> None:
    text = report.times(report.lines(records()))
    asked = ["net", "10", "25.0%", "live"]
    figures = ["0.0475", "0.0400", "0.150", "0.32", "0.40", "1.27", "90", "0e+00", "4"]
    assert cells(text, "live") == asked + figures


def test_a_first_call_stands_in_brackets_and_departures_are_marked() -> None:
    found = cells(report.times(report.lines(records())), "reverse")
    assert found[4:9] == ["(2.25)", "2.25", "0.150", "15.00", "15.00"]
    assert found[11] == "5e-02 DEPARTS"


def test_everybody_at_a_glance() -> None:
    head, _, line = report.glance(report.lines(records())).splitlines()
    assert head == "| net | rows | live share | live | reverse | torch slow | torch fast |"
    assert line == "| net | 10 | 25.0% | 0.32 | (15.00) | 6.00 | 5.33 |"


def test_the_best_of_torch_is_marked() -> None:
    text = report.times(report.lines(records()))
    assert cells(text, "**torch fast**")[4] == "0.800"
    assert cells(text, "torch slow")[4] == "0.900"


def test_first_calls() -> None:
    text = report.cold(report.lines(records()))
    assert cells(text, "reverse")[3:] == ["0.500", "0.250", "2.25", "3.00", "20.00"]


def test_runs_are_put_together(tmp_path: Path) -> None:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path, part in zip(paths, (records()[:4], records()[4:]), strict=True):
        path.write_text("".join(json.dumps(record) + "\n" for record in part), "utf-8")
    assert report.whole(report.read(paths)) == report.whole(records())
    assert "- explicit (net 10): too | large" in report.whole(records())


def test_the_machine_names_its_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(about.CHOSEN, raising=False)
    assert about.kernels() in about.described(1)
    assert "Warning" not in about.described(1)
    monkeypatch.setenv(about.CHOSEN, "Haswell")
    assert "OPENBLAS_CORETYPE=Haswell is set" in about.described(1)
