"""Names of tokens, out of every kind of file that a tokenizer comes as."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxlin.errors import InputError
from onnxlin.inputs.vocabulary import as_text, read_vocabulary

BPE = {
    "model": {"type": "BPE", "vocab": {"a": 0, "\u0120b": 1, "\u010a": 2}},
    "added_tokens": [{"id": 4, "content": "<|end|>"}],
}
UNIGRAM = {"model": {"type": "Unigram", "vocab": [["<s>", 0], ["\u2581the", -1.5], ["re", -2]]}}
FILES = {
    "tokenizer.json": (json.dumps(BPE), ("a", " b", "\n", "", "<|end|>")),
    "unigram.json": (json.dumps(UNIGRAM), ("<s>", " the", "re")),
    "vocab.json": (json.dumps({"two": 2, "zero": 0}), ("zero", "", "two")),
    "a token of that name.json": (json.dumps({"model": 0, "vocab": 1}), ("model", "vocab")),
    "list.json": (json.dumps(["a", "b"]), ("a", "b")),
    "vocab.txt": ("[PAD]\nthe\n##ing\n", ("[PAD]", "the", "##ing")),
}


@pytest.mark.parametrize("name", FILES)
def test_each_kind_of_file(name: str, tmp_path: Path) -> None:
    text, names = FILES[name]
    path = tmp_path / name
    path.write_text(text, "utf-8")
    assert read_vocabulary(str(path), {}) == names


BAD = {
    "number.json": "7",
    "text.json": '{"a": "b"}',
    "negative.json": '{"a": -1}',
    "huge.json": '{"a": 99999999999}',
    "broken.json": "{",
    "deep.json": "[" * 100_000,
    "model.json": '{"model": {}}',
    "none.json": '{"model": {"vocab": 3}}',
    "tokens.json": '{"model": {"vocab": {}}, "added_tokens": [{"content": "a"}]}',
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_an_error_that_says_what_to_give(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(BAD[name], "utf-8")
    with pytest.raises(InputError, match=r"not a readable vocabulary.*Give tokenizer.json"):
        read_vocabulary(str(path), {})


def _letters(text: str) -> str:
    """What byte-level tokenizers write, made as their authors describe it."""
    plain = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    others = [b for b in range(256) if b not in plain]
    letter = {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(others)}
    return "".join(letter[b] for b in text.encode("utf-8"))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_bytes_become_the_text_again(texts: list[str]) -> None:
    assert as_text((_letters(" a"), *map(_letters, texts))) == (" a", *texts)


def test_half_a_letter_is_shown_as_one_that_cannot_be_read() -> None:
    assert as_text((_letters(" a"), _letters("\u00fc")[:1])) == (" a", "\ufffd")


def test_a_sentencepiece_file_by_its_package(monkeypatch: Any, tmp_path: Path) -> None:
    path = tmp_path / "spiece.model"
    path.write_bytes(b"")
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(InputError, match="pip install sentencepiece"):
        read_vocabulary(str(path), {})
    pieces = ["<unk>", "\u2581a"]
    stub = SimpleNamespace(
        SentencePieceProcessor=lambda model_file: SimpleNamespace(
            get_piece_size=lambda: len(pieces), id_to_piece=pieces.__getitem__
        )
    )
    monkeypatch.setitem(sys.modules, "sentencepiece", stub)
    assert read_vocabulary(str(path), {}) == ("<unk>", " a")
