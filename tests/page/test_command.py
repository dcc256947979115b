"""``onnxlin explain --html``, and the names of tokens in what explain prints and draws."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import onnxlin
from onnxlin.affine_map import AffineMap
from onnxlin.page.pack import unpack
from tests.cli.conftest import digit, run, run_json  # noqa: F401
from tests.page import subjects

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def document(path: str) -> dict:
    """The JSON of a written page."""
    text = Path(path).read_text("utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_the_page_is_listed_with_the_files(run_json, run, digit) -> None:  # noqa: F811
    found = run_json("explain", *digit, "--html", "made/report.html")
    assert found["files"][-1] == str(Path("made/report.html"))
    assert len(found["files"]) == 3
    page = document("made/report.html")
    for told, row in zip(page["rows"], found["rows"], strict=True):
        assert {key: told[key] for key in row} == row
    assert page["residual"] == found["residual"]
    assert page["kinks"] == found["kinks"]
    assert (page["model"], page["source"]) == ("lenet5_mnist.onnx", "digit_7.png")
    assert "wrote report.html" in run("explain", *digit, "--html", "report.html")[1]


def test_without_files_the_page_is_written_when_it_is_asked_for(run_json, digit) -> None:  # noqa: F811
    assert run_json("explain", *digit, "--no-files")["files"] == []
    found = run_json("explain", *digit, "--no-files", "--html", "report.html")
    assert found["files"] == ["report.html"]
    assert sorted(path.name for path in Path().iterdir()) == ["report.html"]


def test_classes_asked_for_are_on_the_page(run_json, tmp_path) -> None:  # noqa: F811
    pair = subjects.photo(tmp_path, 32)
    run_json("explain", pair.model, pair.source, "--class", "7", "--no-files", "--html", "p.html")
    page = document("p.html")
    assert 7 in [row["output"] for row in page["rows"]]
    assert len(page["places"]) == 6


def test_a_page_against_a_baseline_adds_up_to_f(run_json, digit, fixtures) -> None:  # noqa: F811
    x0 = str(fixtures / "digit_1.png")
    run_json("explain", *digit, "--no-files", "--baseline", x0, "--html", "p.html")
    page = document("p.html")
    assert (page["what"], page["baseline"]) == ("W (x - x0)", x0)
    rows = {row["position"]: row for row in page["rows"]}
    for place, one in zip(page["places"], page["classes"], strict=True):
        total = unpack(one["values"]).astype(np.float64).sum() + one["rest"] + rows[place]["b"]
        assert total == pytest.approx(rows[place]["F"], abs=1e-4)
        assert one["rest"] != 0


def test_a_map_that_is_not_the_model_has_a_page_that_says_so(run, digit, monkeypatch) -> None:  # noqa: F811
    right = AffineMap.b.func
    monkeypatch.setattr(AffineMap, "b", property(lambda m: right(m) + 1))
    code, out, _ = run("explain", *digit, "--no-files", "--html", "p.html")
    assert code == 4
    assert "wrote p.html" in out
    assert document("p.html")["places"] == []


def test_the_page_never_replaces_what_was_given(run, digit) -> None:  # noqa: F811
    Path("x.png").write_bytes(Path(digit[1]).read_bytes())
    code, _, err = run("explain", digit[0], "x.png", "--no-files", "--html", "x.png")
    assert code == 1
    assert "--html 'x.png' is a file that was given. Name another." in err
    code, _, err = run("explain", *digit, "--no-files", "--html", "x.png/p.html")
    assert code == 1
    assert "Give --html another name." in err


def test_sweeps_are_handed_on(run_json, digit) -> None:  # noqa: F811
    run_json("explain", *digit, "--no-files", "--html", "p.html", "--sweeps", "1")
    region = document("p.html")["region"]
    assert region["sweeps"] == 1


def test_tokens_are_named_in_text_json_and_picture(run, run_json, tmp_path, monkeypatch) -> None:  # noqa: F811
    pair = subjects.tokens(tmp_path)
    drawn = []
    monkeypatch.setattr("onnxlin.plot.bars", lambda values, names, **_: drawn.append(names))
    found = run_json("explain", pair.model, pair.source)
    m = onnxlin.linearize(pair.model, np.load(pair.source))
    first = int(np.argmax(m.y))
    sums = (m.W[first].astype(np.float64) * m.x).reshape(6, 3).sum(axis=1)
    listed = found["explained"][0]["features"]
    assert [f["token"] for f in listed] == np.argsort(-np.abs(sums)).tolist()
    assert [f["contribution"] for f in listed] == sums[[f["token"] for f in listed]].tolist()
    assert {f["name"] for f in listed} == {"a", "not", "good", "</script>", "film", "<b>"}
    assert drawn == [["0: a", "1: not", "2: good", "3: </script>", "4: film", "5: <b>"]]
    out = run("explain", pair.model, pair.source, "--no-files")[1]
    assert "What raises or lowers 1 positive most: tokens" in out
    assert re.search(r"at +token +W x +of F\(x\)", out)


def test_a_vocabulary_comes_from_a_file(run_json, tmp_path) -> None:  # noqa: F811
    pair = subjects.tokens(tmp_path, vocabulary=False)
    Path("words.txt").write_text("\n".join(f"word{i}" for i in range(8)))
    found = run_json("explain", pair.model, pair.source, "--no-files", "--vocabulary", "words.txt")
    names = {f["name"] for f in found["explained"][0]["features"]}
    assert names == {f"word{i}" for i in (1, 6, 2, 5, 4, 7)}


@pytest.mark.parametrize(
    ("kind", "looked_at"),
    [("digit", "picture"), ("table", "table"), ("series", "series"), ("tokens", "tokens")],
)
def test_the_file_holds_what_the_library_says(pages, kind, looked_at) -> None:
    written = pages(kind)
    page, m = document(str(written.path)), written.m
    (part,) = page["parts"]
    assert part["kind"] == looked_at
    np.testing.assert_array_equal(unpack(part["x"]), m.x.astype(np.float32))
    assert [row["F"] for row in page["rows"]] == m.y.tolist()
    for place, one in zip(page["places"], page["classes"], strict=True):
        np.testing.assert_array_equal(unpack(one["values"]), m.contributions[place])
    if kind == "series":
        assert (part["channels"], part["time"], part["last"]) == (2, 40, False)
    if kind == "digit":
        assert unpack(part["pixels"]).shape == (28, 28, 1)


def test_a_page_needs_neither_matplotlib_nor_pillow(run_json, tmp_path, monkeypatch) -> None:  # noqa: F811
    pair = subjects.series(tmp_path)
    for name in ("matplotlib", "PIL", "PIL.Image", "rich"):
        monkeypatch.setitem(sys.modules, name, None)
    found = run_json("explain", pair.model, pair.source, "--no-files", "--html", "p.html")
    assert found["files"] == ["p.html"]
