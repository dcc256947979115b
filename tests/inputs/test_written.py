"""A text becomes ids, masks, types and positions, by the tokenizer that comes with its model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from onnxlin.errors import InputError
from onnxlin.graph import TensorType
from onnxlin.inputs import read_input
from tests.cli.conftest import run, run_json  # noqa: F401
from tests.cli.explain.test_next_token import decoder

VOCAB = {"[UNK]": 0, "the": 1, "capital": 2, "of": 3, "France": 4, "is": 5}
TEXT = "the capital of France is"
IDS = [1, 2, 3, 4, 5]
INT, FLOAT = TensorProto.INT64, TensorProto.FLOAT


def _encode(text: str) -> Any:
    ids = [VOCAB.get(word, 0) for word in text.split()]
    return SimpleNamespace(ids=ids, type_ids=[7] * len(ids))


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: Any) -> Path:
    """A text, a tokenizer's file, and a package that knows no more than its vocabulary."""
    monkeypatch.chdir(tmp_path)
    Path("x.txt").write_text(f"{TEXT}\n", "utf-8")
    vocabulary = {"type": "WordLevel", "vocab": VOCAB, "unk_token": "[UNK]"}
    whole = {"version": "1.0", "model": vocabulary, "pre_tokenizer": {"type": "Whitespace"}}
    empty = ("truncation", "padding", "normalizer", "post_processor", "decoder")
    Path("tokenizer.json").write_text(
        json.dumps({**whole, "added_tokens": [], **dict.fromkeys(empty)}), "utf-8"
    )
    tokenizer = SimpleNamespace(from_file=lambda path: SimpleNamespace(encode=_encode))
    monkeypatch.setitem(sys.modules, "tokenizers", SimpleNamespace(Tokenizer=tokenizer))
    return tmp_path


def test_each_input_gets_what_its_name_says(texts: Path) -> None:
    inputs = {
        "input_ids": TensorType(INT, (1, "n")),
        "attention_mask": TensorType(FLOAT, (1, 5)),
        "token_type_ids": TensorType(TensorProto.INT32, ("n",)),
        "position_ids": TensorType(INT, None),
    }
    feeds = read_input("x.txt", inputs, tokenizer="tokenizer.json").feeds
    want = {
        "input_ids": np.array([IDS]),
        "attention_mask": np.ones((1, 5), np.float32),
        "token_type_ids": np.full(5, 7, np.int32),
        "position_ids": np.arange(5)[None],
    }
    assert feeds.keys() == want.keys()
    for name, array in want.items():
        np.testing.assert_array_equal(feeds[name], array, strict=True)


@pytest.mark.parametrize(
    ("inputs", "tokenizer", "says"),
    [
        ({"ids": (INT, (1, 9))}, "tokenizer.json", "a text of 5 tokens; the model's 'ids'"),
        ({"ids": (INT, (1, 1, 5))}, "tokenizer.json", "a text of 5 tokens; the model's 'ids'"),
        ({"a": (INT, (5,)), "b": (INT, (5,))}, "tokenizer.json", r"takes \['a', 'b'\]"),
        ({"mask": (INT, (5,))}, "tokenizer.json", "takes none"),
        ({"ids": (INT, (5,))}, None, "give the model's tokenizer.json"),
        ({"ids": (INT, (5,))}, "vocab.txt", "give the model's tokenizer.json"),
    ],
)
def test_what_does_not_fit_is_an_error(texts: Path, inputs: Any, tokenizer: Any, says: str) -> None:
    kinds = {name: TensorType(*kind) for name, kind in inputs.items()}
    with pytest.raises(InputError, match=says):
        read_input("x.txt", kinds, tokenizer=tokenizer)


def test_without_the_package_the_error_names_it(texts: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InputError, match=r"onnxlin\[text\]"):
        read_input("x.txt", {"ids": TensorType(INT, (5,))}, tokenizer="tokenizer.json")


def test_an_empty_text_and_one_that_is_none(texts: Path) -> None:
    Path("x.txt").write_text("\n", "utf-8")
    with pytest.raises(InputError, match="no tokens"):
        read_input("x.txt", {"ids": TensorType(INT, None)}, tokenizer="tokenizer.json")
    Path("x.txt").write_bytes(b"\xff")
    with pytest.raises(InputError, match="not a readable text"):
        read_input("x.txt", {"ids": TensorType(INT, None)}, tokenizer="tokenizer.json")


def test_explain_takes_a_text(texts: Path, run_json: Any) -> None:  # noqa: F811
    onnx.save(decoder(), "m.onnx")
    asked = ("--vocabulary", "tokenizer.json", "--no-files", "--inputs", "e")
    found = run_json("explain", "m.onnx", "x.txt", *asked)
    assert found["input_notes"] == ["a text of 5 tokens, by tokenizer.json"]
    names = {f["token"]: f["name"] for f in found["explained"][0]["features"]}
    assert names == dict(enumerate(TEXT.split()))


def test_the_real_package_reads_the_same(texts: Path, monkeypatch: Any) -> None:
    monkeypatch.delitem(sys.modules, "tokenizers")
    pytest.importorskip("tokenizers", reason="cuts texts into tokens")
    feeds = read_input("x.txt", {"ids": TensorType(INT, None)}, tokenizer="tokenizer.json").feeds
    np.testing.assert_array_equal(feeds["ids"], [IDS])
    Path("tokenizer.json").write_text("{}", "utf-8")
    with pytest.raises(InputError, match=r"is no tokenizer\.json"):
        read_input("x.txt", {"ids": TensorType(INT, None)}, tokenizer="tokenizer.json")
