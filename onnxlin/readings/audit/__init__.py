"""An attribution from elsewhere, held against the exact contributions."""

from onnxlin.readings.audit.audit import Audit, audit

__all__ = ["Audit", "audit"]
