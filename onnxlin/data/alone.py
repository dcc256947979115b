"""One worker's part of a machine: the threads that it may use, for whatever it runs."""

from onnxlin.engines.confined import confined

__all__ = ["confined"]
