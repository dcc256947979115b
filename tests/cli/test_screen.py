"""Text for people, JSON for programs."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.cli.labels import Labels
from onnxlin.cli.screen import Progress, Screen


def test_numbers_that_json_does_not_know_become_null(capsys) -> None:
    Screen(json=True).document({"a": [float("nan"), 1.5], "b": (float("inf"),)})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.5], "b": [None]}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_rich_tables(monkeypatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    screen = Screen(json=False)
    screen.heading("[bold]head")
    screen.table(["a", "b"], [["[red]node[0]", 1.5]])
    screen.table(["wide"] * 20, [[1.5] * 20])
    screen.verdict(False, "[x]")
    screen.verdict(True, "fine")
    written = sys.stdout.getvalue()
    for words in ("[bold]head", "[red]node[0]", "1.5", "FAIL", "[x]", "PASS"):
        assert words in written


def test_a_terminal_without_rich_gets_plain_text(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setitem(sys.modules, "rich.console", None)
    Screen(json=False).table(["a"], [[None], [2]])
    assert sys.stdout.getvalue() == "  a\n  -\n  2\n"


def test_progress_shows_on_a_terminal_after_a_second(monkeypatch) -> None:
    for stream, waited, expected in [
        (Terminal(), 2.0, True), (Terminal(), 0.5, False), (io.StringIO(), 2.0, False),
    ]:  # fmt: skip
        monkeypatch.setattr(sys, "stderr", stream)
        with Progress("rows") as progress:
            monkeypatch.setattr(progress, "_start", progress._start - waited)
            progress(0, 4)
            progress(1, 4)
        assert ("rows: 1 of 4, 6 s left" in stream.getvalue()) == expected
        assert bool(stream.getvalue()) == expected


def test_progress_begins_anew_where_less_is_done(monkeypatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    now = iter(range(0, 100, 2))
    monkeypatch.setattr("onnxlin.cli.screen.time.monotonic", lambda: float(next(now)))
    with Progress("rows", "bounds") as progress:
        for done in (2, 4, 1, 4, 0):
            progress(done, 4)
    lines = [line.split(",")[0] for line in stream.getvalue().split("\r\033[K")]
    assert lines == ["", "rows: 2 of 4", "rows: 4 of 4", "bounds: 1 of 4", "bounds: 4 of 4",
                     "bounds: 0 of 4", ""]  # fmt: skip


def test_labels_of_several_outputs() -> None:
    labels = Labels({"a": (1, 2), "b": (), "c": (2, 2)})
    assert [labels[i] for i in range(7)] == [
        "a[0,0]", "a[0,1]", "b", "c[0,0]", "c[0,1]", "c[1,0]", "c[1,1]",
    ]  # fmt: skip
    with pytest.raises(IndexError):
        labels[7]
    assert Labels({"a": (1, 1000, 1, 1)})[999] == "999"


def test_class_names_that_do_not_fit_are_left_aside(fixtures) -> None:
    model = onnx.load(fixtures / "lenet5_mnist.onnx")
    for text in ("{", '["one"]', "3"):
        for entry in model.metadata_props:
            if entry.key == "classes":
                entry.value = text
        lin = onnxlin.Linearizer(model)
        assert Labels.of(lin, {"y": np.zeros((1, 10))}).classes == ()
