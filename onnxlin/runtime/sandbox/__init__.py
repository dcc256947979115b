"""Work on models that are not trusted, in a process of its own that may crash, hang or run out."""

from onnxlin.runtime.sandbox.boxed import Boxed, asked, boxed
from onnxlin.runtime.sandbox.parent import Child
from onnxlin.runtime.sandbox.stages import reached
from onnxlin.runtime.sandbox.value import Sandbox

__all__ = ["Boxed", "Child", "Sandbox", "asked", "boxed", "reached"]
