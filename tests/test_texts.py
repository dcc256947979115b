"""What is shown of a name does nothing, and says which name it is."""

from __future__ import annotations

import html
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onnxlin.texts import in_dot, in_html, in_markdown, shown, shown_lines, typed
from tests.hostile import NAME, RAW

anything = st.text(st.characters(codec=None)) | st.text(st.sampled_from(RAW + "ab\\x1"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conv1/weight:0", "conv1/weight:0"), ("Käse, чай, 茶, \u0301", "Käse, чай, 茶, \u0301"),
        ("\x1b[31m", r"\x1b[31m"), ("a\nb", r"a\x0ab"), ("\u202e", r"\u202e"), ("\xa0", r"\xa0"),
        ("\ud800", r"\ud800"), ("\U000e0001", r"\U000e0001"), ("\ufe0f", r"\ufe0f"),
        ("C:\\models\\new", "C:\\models\\new"),
    ],
)  # fmt: skip
def test_examples(text: str, expected: str) -> None:
    assert shown(text) == expected
    assert typed(expected) == text


@given(anything)
@example(NAME)
def test_what_is_shown_is_one_line_of_letters(text: str) -> None:
    found = shown(text)
    assert found.isprintable()
    assert not set(found) & set(RAW)
    assert not any(
        unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in found
    )
    assert shown(found) == found
    assert shown_lines(text).split("\n") == [shown(line) for line in text.split("\n")]


@given(anything.map(lambda text: text.replace("\\", "")))
def test_what_is_shown_can_be_typed(text: str) -> None:
    """So two names look alike only where one holds the letters of an escape."""
    assert typed(shown(text)) == text


@given(anything)
def test_a_backslash_can_be_typed(text: str) -> None:
    assert typed(shown(text.replace("\\", "\\x5c"))) == text


@given(anything)
@example("<b>&amp;\"'")
def test_html_is_text(text: str) -> None:
    found = in_html(text)
    assert not set(found) & set("<>\"'")
    assert html.unescape(found) == shown(text)


@given(anything)
def test_a_label_of_dot_does_not_end(text: str) -> None:
    assert re.fullmatch(r'(?:[^"\\]|\\["\\])*', in_dot(text))


@given(anything)
@example("|a`b`<b>*c*[d](e)\n# f")
def test_markdown_is_text(text: str) -> None:
    found = in_markdown(text)
    bare = re.sub(r"\\.", "", found)
    assert not set(bare) & set("\\`*_{}[]<>()#+!|~$&\n")
    assert re.sub(r"\\(.)", r"\1", found) == shown(text)


@pytest.mark.parametrize("text", [r"\Uffffffff", r"\x1", r"\u12", "\\"])
def test_what_is_no_escape_stays(text: str) -> None:
    assert typed(text) == text
