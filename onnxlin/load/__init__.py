"""From a file, bytes or a proto to a `Graph` in newest form."""

from onnxlin.load.asked import hold_asked
from onnxlin.load.exported import EXPORTED_BY, Plain, export_model, exported
from onnxlin.load.functions import opened
from onnxlin.load.load import load
from onnxlin.load.newest import NEWEST_RUNNABLE, newest_node
from onnxlin.load.read import Model, Path, read

__all__ = [
    "EXPORTED_BY",
    "NEWEST_RUNNABLE",
    "Model",
    "Path",
    "Plain",
    "export_model",
    "exported",
    "hold_asked",
    "load",
    "newest_node",
    "opened",
    "read",
]
