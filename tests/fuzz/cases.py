"""Regression cases: every kind of fault that was found, as small as it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.fuzz.broken import Broken

FOLDER = Path(__file__).parent / "cases"
ROOT = Path(__file__).parents[2]


def write(folder: Path, found: Broken, entries: list[str], key: str, **about: Any) -> Path:
    """Write a case; it is named after the kind of its fault, and knows nothing of the machine."""
    name = "".join(c if c.isalnum() else "_" for c in key)[:120]
    said = {n: v.replace(f"{ROOT}/", "") if isinstance(v, str) else v for n, v in about.items()}
    held = {**found.as_json(), "entries": entries, "key": key, "found": said}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(held, indent=1) + "\n")
    return path


def read(path: Path) -> tuple[Broken, list[str], str]:
    """Return the input, its entry points, and the kind of its fault."""
    held = json.loads(path.read_text())
    return Broken.from_json(held), list(held["entries"]), str(held["key"])
