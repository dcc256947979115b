"""The page: a map and its readings in one HTML file (docs/readings/page.md)."""

from onnxlin.inputs.vocabulary import read_vocabulary
from onnxlin.page.assemble import Explained, document
from onnxlin.page.computing.live import live
from onnxlin.page.render import render, write
from onnxlin.readings.row.parts import Part, parts

__all__ = [
    "Explained",
    "Part",
    "Subject",
    "document",
    "live",
    "parts",
    "read_vocabulary",
    "render",
    "write",
]

Subject = Explained
"""The name that `Explained` had: a subject is what laws are held against."""
