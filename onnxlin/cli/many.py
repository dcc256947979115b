"""``onnxlin check`` of several models: each judged, a summary that gives reasons."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from onnxlin.cli.screen import Cell, Screen
from onnxlin.errors import ModelError, OnnxlinError

FAILED, OBSTACLES = 1, 3
"""Exit codes: a model cannot be used; nodes of one stand in the way."""
ENDINGS = (".onnx",)


def found(paths: Sequence[str]) -> list[str]:
    """Put the models below a folder in its place, in the order of their names.

    Raises
    ------
    ModelError
        There are none.
    """
    listed: list[str] = []
    for path in paths:
        if os.path.isdir(path):  # False for what is no name of a file
            below = sorted(str(p) for p in Path(path).rglob("*") if p.suffix.lower() in ENDINGS)
            if not below:
                raise ModelError(f"The folder {path!r} holds no {ENDINGS[0]} files. Name a file.")
            listed += below
        else:
            listed.append(path)
    return list(dict.fromkeys(listed))


def of(options: Any, model: str) -> Any:
    """The same options for one of the models."""
    return argparse.Namespace(**{**vars(options), "model": model})


def judged(answer: Callable[[Any], dict[str, Any]], options: Any) -> dict[str, Any]:
    """Check one model; an error about it is an answer, and the others are checked all the same."""
    try:
        return answer(options)
    except OnnxlinError as error:
        return {"model": options.model, "ok": False, "error": str(error)}


def summary(results: Mapping[str, dict[str, Any]], screen: Screen) -> int:
    """Print a line for each model, and the reasons of those that do not pass."""
    reasons = {path: _reason(result) for path, result in results.items()}
    failed = {path: reason for path, reason in reasons.items() if reason}
    screen.document({"ok": not failed, "models": list(results.values())})
    screen.table(["model", "nodes", "compiles", "verdict"], [
        [path, len(result.get("nodes", ())) or None, _compiles(result),
         "FAIL" if reasons[path] else "PASS"]
        for path, result in results.items()
    ])  # fmt: skip
    for path, reason in failed.items():
        screen.line(f"{path}: {reason}")
    screen.line()
    passed = len(results) - len(failed)
    screen.verdict(not failed, f"{passed} of {len(results)} models can be linearised")
    if any("error" in result for result in results.values()):
        return FAILED
    return OBSTACLES if failed else 0


def _compiles(result: Mapping[str, Any]) -> Cell:
    return {True: "yes", False: "no"}.get(result.get("compiles"), "-")  # type: ignore[arg-type]


def _reason(result: Mapping[str, Any]) -> str:
    """Why a model does not pass; "" if it does."""
    if result.get("error"):
        return str(result["error"])
    if result.get("refused"):
        return str(result["refused"]).replace("\n", " ")
    stand = [node for node in result["nodes"] if node.get("obstacle")]
    if stand:
        first, more = stand[0], len(stand) - 1
        beside = f" and {more} more node{'s' * (more > 1)}" if more else ""
        return (
            f"{first['op_type']} at node {first['name']!r}{beside}: {first['obstacle']} "
            f"Fix: {first['fix']}."
        )
    return str(result.get("empty") or "")
