"""From a file, bytes or a proto to a `Graph` in newest form."""

from onnxlin.load.functions import opened
from onnxlin.load.load import load
from onnxlin.load.newest import NEWEST_RUNNABLE, newest_node
from onnxlin.load.read import Model, Path, read

__all__ = ["NEWEST_RUNNABLE", "Model", "Path", "load", "newest_node", "opened", "read"]
