"""The page: a map and its readings in one HTML file (docs/readings/page.md)."""

from onnxlin.page.assemble import Subject, document
from onnxlin.page.render import render, write
from onnxlin.readings.row.parts import Part, parts, read_vocabulary

__all__ = ["Part", "Subject", "document", "parts", "read_vocabulary", "render", "write"]
