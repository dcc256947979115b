"""From a document to one HTML file that needs nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from onnxlin.files import folder_of
from onnxlin.files import write as write_file
from onnxlin.texts import in_html

SCRIPTS = (
    "base.js",
    "heat.js",
    "picture.js",
    "hidden.js",
    "series.js",
    "tokens.js",
    "depths.js",
    "bars.js",
    "rows.js",
    "facts.js",
    "flips.js",
    "nodes.js",
    "views.js",
    "page.js",
)


def render(document: dict[str, Any]) -> str:
    """Write a document as HTML: style, script and data stand in the text itself."""
    title = f"{document['model']} on {document['source']}"
    parts = {
        "title": in_html(title),
        "style": asset("page.css"),
        "data": embedded(document),
        "script": "\n".join(asset(name) for name in SCRIPTS),
    }
    return filled(asset("page.html"), parts)


def filled(text: str, parts: Mapping[str, str]) -> str:
    """Put the parts where a text names them in double braces."""
    # Cut at the marks first: what goes in may hold marks of its own.
    pieces = [part for mark in text.split("{{") for part in mark.split("}}")]
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def embedded(document: dict[str, Any]) -> str:
    """Write JSON that may stand in a script element whatever names it holds."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    # "<" is all that can end the element or begin a comment in it.
    return text.replace("<", "\\u003c")


def write(path: str | os.PathLike[str], document: dict[str, Any]) -> None:
    """Write a document as an HTML file.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    another = "Give --html another name."
    folder_of(path, another)
    write_file(path, render(document).encode(), another)


def asset(*name: str) -> str:
    """Read a file of `assets`."""
    return files("onnxlin.page").joinpath("assets", *name).read_text("utf-8")
