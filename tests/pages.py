"""What the pages of README.md and docs/ say that can be run."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, *languages: str) -> list[str]:
    """The page's fenced blocks in any of these languages, in order."""
    found = FENCE.findall(page.read_text("utf-8"))
    return [text for language, text in found if language in languages]


def sections(page: Path, level: int) -> dict[str, str]:
    """``{heading: text below it}`` for the headings of one level, up to the next heading."""
    marks = "#" * level
    parts = re.split(rf"^{marks} (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    texts = (re.split(r"^#{1,6} ", text, flags=re.MULTILINE)[0] for text in parts[2::2])
    return dict(zip(parts[1::2], texts, strict=True))
