"""What is linearised: the part of a graph between two ends, what is fed to it, and its run."""

from onnxlin.section.gates import GATES, HALVES, HELD, Gates
from onnxlin.section.section import (
    MODES,
    ROUNDINGS,
    STAIRCASE,
    STRAIGHT,
    Section,
    make_section,
    require_mode,
    require_rounding,
)

__all__ = [
    "GATES",
    "HALVES",
    "HELD",
    "MODES",
    "ROUNDINGS",
    "STAIRCASE",
    "STRAIGHT",
    "Gates",
    "Section",
    "make_section",
    "require_mode",
    "require_rounding",
]
