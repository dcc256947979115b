"""How far the work on a model has come: told to the parent, which reports it if the work dies."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["STAGES", "listen", "reached"]

STAGES = {
    "starting": "while its interpreter started",
    "reading": "while the model was read",
    "typing": "while onnx inferred types and shapes",
    "loading": "while onnxruntime loaded the model",
    "running": "while onnxruntime ran the model",
    "working": "in onnxlin's own work on the model",
}
"""Stage -> how a report says it."""

_told: list[Callable[[str], None]] = []


def listen(tell: Callable[[str], None]) -> None:
    """Have every stage told from now on, in this process."""
    _told.append(tell)


def reached(stage: str) -> None:
    """Say that a stage begins: one of `STAGES`. Nobody listens outside of a sandbox."""
    for tell in _told:
        tell(stage)
