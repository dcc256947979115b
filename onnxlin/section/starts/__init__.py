"""Where a map starts if the caller leaves that open: floats, and what whole numbers look up."""

from onnxlin.section.starts.caches import caches, presents
from onnxlin.section.starts.floats import first_floats, last_floats, nearest_floats
from onnxlin.section.starts.notes import held_note, passed_note, tokens_note
from onnxlin.section.starts.tokens import CACHES, KINDS, Starts, find_starts

__all__ = [
    "CACHES",
    "KINDS",
    "Starts",
    "caches",
    "find_starts",
    "first_floats",
    "held_note",
    "last_floats",
    "nearest_floats",
    "passed_note",
    "presents",
    "tokens_note",
]
