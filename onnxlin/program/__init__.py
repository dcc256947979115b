"""The linear program: asked of the rules at one x, and all that engines read."""

from onnxlin.program.linear_program import Bounds, Decision, Known, LinearProgram, Step, slices
from onnxlin.program.sweep import finite

__all__ = ["Bounds", "Decision", "Known", "LinearProgram", "Step", "finite", "slices"]
