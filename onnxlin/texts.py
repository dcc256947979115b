"""Names of strangers, made visible: what a model is called must not steer whoever reads of it.

A name in a model is any text: escape sequences that a terminal obeys, marks that turn the order of
letters around, letters of no width, line ends that forge a line of the report, markup. What is
shown to people goes through one of these functions first. Programs get names as they are, in JSON,
which has escapes of its own.
"""

from __future__ import annotations

import re
from bisect import bisect_right

__all__ = ["counted", "in_dot", "in_html", "in_markdown", "shown", "shown_lines", "typed"]

# Printable to Python, yet nothing is to be seen of them (Default_Ignorable_Code_Point of Unicode's
# DerivedCoreProperties.txt; those of category Cf are not printable to begin with), and the braille
# pattern without dots. First and last of each range.
_UNSEEN = (
    (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800),
    (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF),
)  # fmt: skip
_STARTS = tuple(first for first, _ in _UNSEEN)
_ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&])")
_LAST = 0x10FFFF


def shown(text: str) -> str:
    r"""Write a text so that it stands on one line and does nothing: ``\x1b``, ``\u202e``.

    Control characters, line ends, marks of direction, letters of no width, spaces other than the
    plain one and halves of surrogates become escapes; letters of every script stay. What is shown
    already stays as it is.
    """
    if text.isprintable() and text.isascii():
        return text
    return "".join(letter if _is_seen(letter) else _escaped(letter) for letter in text)


def shown_lines(text: str) -> str:
    """Write a text of several lines: the same, but for its line ends."""
    return "\n".join(map(shown, text.split("\n")))


def typed(text: str) -> str:
    r"""Read a name as it was shown: ``\x1b`` is that character, and ``\x5c`` a backslash."""
    return _ESCAPE.sub(lambda found: _letter(found[0]), text)


def counted(count: int, noun: str) -> str:
    """Write a number of things: ``1 unit``, ``1,234 units``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def in_html(text: str) -> str:
    """Write a text for HTML, between tags or in a quoted attribute."""
    return shown(text).translate(_HTML)


def in_dot(text: str) -> str:
    r"""Write a text for a quoted label of Graphviz: there ``\`` escapes, and ``&`` is an entity."""
    marks = str.maketrans({"\\": "\\\\", '"': '\\"', "&": "&amp;"})
    return shown(text).translate(marks)


def in_markdown(text: str) -> str:
    """Write a text for a line or a cell of Markdown, as letters and nothing else."""
    return _MARKDOWN.sub(r"\\\1", shown(text))


def _is_seen(letter: str) -> bool:
    if not letter.isprintable():
        return False
    place = bisect_right(_STARTS, ord(letter)) - 1
    return place < 0 or ord(letter) > _UNSEEN[place][1]


def _escaped(letter: str) -> str:
    number = ord(letter)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _letter(escape: str) -> str:
    number = int(escape[2:], 16)
    return chr(number) if number <= _LAST else escape
