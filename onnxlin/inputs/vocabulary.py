"""Names of tokens, out of the files that tokenizers come as."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from onnxlin.errors import InputError
from onnxlin.graph.regular import require_regular

KEY = "vocabulary"
"""Entry of a model's metadata: a JSON list."""
SPACE = "▁"  # what SentencePiece writes for a space
KINDS = (
    "tokenizer.json, vocab.json ({token: id}), a JSON list, a SentencePiece .model, or text with "
    "one token a line"
)
UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
# More ids than this no vocabulary has: a file that names one would ask for as many names.
MOST = 10_000_000


def read_vocabulary(path: str | None, metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Names of tokens by their id, as text: those of a file, else those of the model's metadata.

    An id without a token has an empty name.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    if path is not None:
        require_regular(path, "vocabulary", InputError)
        try:
            return as_text(_names(Path(path)))
        except (
            OSError,
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
            RecursionError,
        ) as error:
            raise InputError(
                f"--vocabulary {path!r} is not a readable vocabulary: {error}. Give {KINDS}."
            ) from error
    try:
        found = json.loads(metadata.get(KEY, "[]"))
    except json.JSONDecodeError:
        return ()
    return tuple(str(word) for word in found) if isinstance(found, list) else ()


def _names(path: Path) -> tuple[str, ...]:
    if path.suffix == ".model":
        return _pieces(path)
    text = path.read_text("utf-8")
    return _listed(json.loads(text)) if path.suffix == ".json" else tuple(text.splitlines())


def _pieces(path: Path) -> tuple[str, ...]:
    try:
        package = import_module("sentencepiece")
    except ImportError as error:
        raise InputError(
            f"--vocabulary {str(path)!r} is a SentencePiece file, and the package is not "
            "installed: pip install sentencepiece, or give the tokenizer.json beside it."
        ) from error
    try:
        pieces = package.SentencePieceProcessor(model_file=str(path))
    except RuntimeError as error:
        raise ValueError(error) from error
    return tuple(pieces.id_to_piece(i) for i in range(pieces.get_piece_size()))


def _listed(found: Any) -> tuple[str, ...]:
    """Names out of the JSON of a tokenizer, of a vocabulary, or of a list."""
    if isinstance(found, list):
        return tuple(map(str, found))
    if not isinstance(found, dict):
        raise TypeError("a number or a text is no vocabulary")
    if not isinstance(found.get("model"), dict):  # of a vocabulary it may be a token
        return _placed(found.items())
    # Of a Unigram model: [token, score], at its place.
    own = found["model"]["vocab"]
    listed = [(token, i) for i, (token, _) in enumerate(own)] if isinstance(own, list) else []
    added = [(token["content"], token["id"]) for token in found.get("added_tokens") or ()]
    return _placed([*(listed or own.items()), *added])


def _placed(pairs: Iterable[tuple[Any, Any]]) -> tuple[str, ...]:
    """Tokens at their ids."""
    by_id = {_id(at): str(token) for token, at in pairs}
    return tuple(by_id.get(i, "") for i in range(max(by_id, default=-1) + 1))


def _id(at: Any) -> int:
    if not isinstance(at, int) or not 0 <= at < MOST:
        raise ValueError(f"{at!r} is no id of a token")
    return at


def as_text(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Tokens as the text that they stand for: spaces are spaces, bytes are letters.

    Byte-level tokenizers (GPT-2's and its heirs) write every byte as a letter, a space as "Ġ";
    SentencePiece writes a space as "▁". Others are left as they are.
    """
    if any(token.startswith(_LETTERS[ord(" ")]) for token in tokens):
        return tuple(map(_of_bytes, tokens))
    return tuple(token.replace(SPACE, " ") for token in tokens)


def _of_bytes(token: str) -> str:
    if not set(token) <= _BYTES.keys():
        return token  # an added one, with letters that stand for no byte
    return bytes(_BYTES[letter] for letter in token).decode("utf-8", errors="replace")


def _byte_letters() -> list[str]:
    """The letter that stands for each byte: itself where it can be seen, else one past 255."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = iter(range(256, 512))
    return [chr(byte if byte in seen else next(rest)) for byte in range(256)]


_LETTERS = _byte_letters()
_BYTES = {letter: byte for byte, letter in enumerate(_LETTERS)}
