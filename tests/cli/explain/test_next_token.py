"""A model that scores the next token: what is asked, and answered, in tokens at a position."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.small import model

# As byte-level tokenizers write them: two letters stand for the bytes of one "\xfc".
WORDS = ["<s>", "Ġthe", "Ġcapital", "Ġof", "ĠFrance", "Ġis", "ĠParis", "Paris", "ĠgrÃ¼n"]
ROOM = 4  # rows of the table that no token has
WIDTH = 6
IDS = [0, 1, 2, 3, 4, 5]
rng = np.random.default_rng(3)
TABLE = rng.normal(size=(len(WORDS) + ROOM, WIDTH)).astype(np.float32)


def decoder(last: bool = False) -> onnx.ModelProto:
    """Every position sees those before it; the head is tied to the table."""
    cut = "from = Constant<value_ints = [-1]>()  s = Gather<axis = 1>(h, from)"
    made = model(
        "g (int64[1,t] ids) => (float[1,n,v] y) <float[13,6] table, int64 one = {1}> {"
        "  e = Gather(table, ids)  a = Tanh(e)  h = CumSum(a, one)"
        f"  {cut if last else 's = Identity(h)'}"
        "  turned = Transpose(table)  y = MatMul(s, turned) }"
    )
    made.graph.initializer.append(onnx.numpy_helper.from_array(TABLE, "table"))
    return made


@pytest.fixture(params=[False, True], ids=["every", "last"])
def files(request: Any, tmp_path: Path, monkeypatch: Any) -> bool:
    monkeypatch.chdir(tmp_path)
    onnx.save(decoder(request.param), "m.onnx")
    np.save("ids.npy", np.array([IDS]))
    tokenizer = {
        "model": {"type": "BPE", "vocab": {w: i for i, w in enumerate(WORDS) if i}},
        "added_tokens": [{"id": 0, "content": "<s>"}],
    }
    Path("tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    return bool(request.param)


def scores() -> Any:
    """Of the last position."""
    return np.tanh(TABLE[IDS].astype(np.float64)).sum(axis=0) @ TABLE.T


def explain(run_json: Any, *more: str) -> Any:
    return run_json("explain", "m.onnx", "ids.npy", "--inputs", "e", "--no-files", *more)


def test_the_strongest_tokens_of_the_last_position(files, run_json) -> None:
    found = explain(run_json, "--vocabulary", "tokenizer.json")
    at = int(np.argmax(scores()))
    texts = [w.replace("\u0120", " ").replace("\u00c3\u00bc", "\u00fc") for w in WORDS]
    first = found["prediction"]["top"][0]
    name = repr(texts[at]) if at < len(texts) else f"token {at}"
    assert first["label"] == f"{name} at 5"
    assert first["F"] == pytest.approx(scores()[at], rel=1e-5)
    assert found["prediction"]["probability_is"] == "softmax"
    chance = np.exp(scores() - scores().max())
    assert first["probability"] == pytest.approx(chance[at] / chance.sum(), rel=1e-4)
    assert {row["label"].rsplit(" ", 1)[1] for row in found["rows"]} == {"5"}
    assert len(found["rows"]) == (13 if files else 5)
    tokens = {f["token"]: f["name"] for f in found["explained"][0]["features"]}
    assert tokens == {i: texts[i] for i in IDS}


@pytest.mark.parametrize(
    ("asked", "token"),
    [("Paris", 6), (" Paris", 6), ("7", 7), ("<s>", 0), ("gr\u00fcn", 8), ("12", 12)],
)
def test_a_class_is_a_token(files, run_json, asked: str, token: int) -> None:
    found = explain(run_json, "--vocabulary", "tokenizer.json", "--class", asked)
    (row,) = [e for e in found["explained"] if e["output"] % 13 == token]
    shown = next(r for r in found["rows"] if r["output"] == row["output"])
    assert shown["F"] == pytest.approx(scores()[token], rel=1e-4, abs=1e-5)
    assert shown["Wx"] == pytest.approx(
        sum(f["contribution"] for f in row["features"]), rel=1e-4, abs=1e-5
    )
    assert row["label"].endswith(" at 5")


def test_another_position(files, run_json, run) -> None:
    asked = ("--vocabulary", "tokenizer.json", "--position", "-4", "--class", "Paris")
    if files:
        code, _, error = run("explain", "m.onnx", "ids.npy", "--no-files", *asked)
        assert code
        assert "scores are at 5 to 5" in error
        return
    found = explain(run_json, *asked)
    row = found["explained"][-1]
    assert row["label"] == "' Paris' at 2"
    # Nothing behind the position counts.
    assert {f["token"] for f in row["features"]} == {0, 1, 2}
    same = explain(run_json, *asked[:2], "--position", "2", "--class", "6")
    assert same["explained"] == found["explained"]


def test_without_a_vocabulary_tokens_go_by_their_ids(files, run_json, run) -> None:
    found = explain(run_json, "--class", "6")
    assert found["explained"][-1]["label"] == "token 6 at 5"
    code, _, error = run("explain", "m.onnx", "ids.npy", "--no-files", "--class", "Paris")
    assert code
    assert "give --vocabulary" in error


def test_the_page_names_tokens(files, run_json) -> None:
    explain(run_json, "--vocabulary", "tokenizer.json", "--class", "Paris", "--html", "p.html")
    assert "' Paris' at 5" in Path("p.html").read_text("utf-8")


def test_other_outputs_have_no_positions(run, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(model("g (float[1,3] x) => (float[1,3] y) { y = Relu(x) }"), "r.onnx")
    np.save("x.npy", np.ones((1, 3), np.float32))
    code, _, error = run("explain", "r.onnx", "x.npy", "--no-files", "--position", "0")
    assert code
    assert "--position is about scores of tokens" in error
