"""From a file, bytes or a proto to a `Graph` in newest form."""

from onnxlin.load.asked import hold_asked
from onnxlin.load.functions import opened
from onnxlin.load.load import load
from onnxlin.load.newest import NEWEST_RUNNABLE, newest_node
from onnxlin.load.read import Model, Path, read

__all__ = [
    "NEWEST_RUNNABLE",
    "Model",
    "Path",
    "hold_asked",
    "load",
    "newest_node",
    "opened",
    "read",
]
