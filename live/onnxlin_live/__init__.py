"""onnxruntime-web's WebAssembly build as files: the script, the kernels, and their licences."""

from importlib.metadata import version
from importlib.resources import files

__all__ = ["VERSION", "kernels", "notices", "script"]

VERSION = version("onnxlin-live")
"""Of onnxruntime-web."""


def script() -> bytes:
    """Return the ES module, gzipped."""
    return files(__name__).joinpath("ort.wasm.bundle.min.mjs.gz").read_bytes()


def kernels() -> bytes:
    """Return the WebAssembly module, gzipped."""
    return files(__name__).joinpath("ort-wasm-simd-threaded.wasm.gz").read_bytes()


def notices() -> str:
    """Return the licence, and the notices of what the two were built from."""
    folder = files(__name__).joinpath("licences")
    names = ("LICENSE", "ThirdPartyNotices.txt")
    return "\n\n".join(folder.joinpath(name).read_text("utf-8") for name in names)
