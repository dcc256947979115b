"""Models as frameworks hold them, brought to ONNX by the exporter that their user has."""

from onnxlin.load.exported.door import EXPORTED_BY, export_model, exported
from onnxlin.load.exported.frameworks import Held, Plain, framework_of

__all__ = ["EXPORTED_BY", "Held", "Plain", "export_model", "exported", "framework_of"]
