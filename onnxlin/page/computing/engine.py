"""The runtime that a page holds: onnxruntime-web, from the extra package `onnxlin_live`."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from types import ModuleType

from onnxlin.errors import OnnxlinError

HOW = (
    "A page that computes holds onnxruntime-web, which the package onnxlin-live has and which is "
    'not installed: pip install "onnxlin[live]", or, in a clone of the repository, pip install '
    "./live (needs npm). --html writes a page that shows one input and needs nothing."
)


@dataclass(frozen=True)
class Engine:
    """onnxruntime-web as text.

    Parameters
    ----------
    script, kernels, notices : str
        The ES module, the WebAssembly module and the licences: gzipped, then base64.
    version : str
        Of onnxruntime-web.
    """

    script: str
    kernels: str
    notices: str
    version: str


def engine() -> Engine:
    """Read the runtime's files.

    Raises
    ------
    OnnxlinError
        The extra package is not installed.
    """
    held = _package()
    return Engine(
        as_text(held.script()),
        as_text(held.kernels()),
        zipped(held.notices().encode()),
        str(held.VERSION),
    )


def require_engine() -> None:
    """Raise OnnxlinError where the extra package is not installed."""
    _package()


def zipped(data: bytes) -> str:
    """Gzip, then base64: what a browser unpacks by itself."""
    return as_text(gzip.compress(data, 6, mtime=0))


def as_text(data: bytes) -> str:
    """Write bytes as base64."""
    return base64.b64encode(data).decode("ascii")


def _package() -> ModuleType:
    try:
        import onnxlin_live  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise OnnxlinError(HOW) from error
    found: ModuleType = onnxlin_live
    return found
