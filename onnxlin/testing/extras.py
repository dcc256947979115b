"""What the extra ``onnxlin[testing]`` brings, asked for where it is used."""

from __future__ import annotations

from importlib.util import find_spec

from onnxlin.errors import OnnxlinError


class MissingExtraError(OnnxlinError, ImportError):
    """A package of an extra is not installed."""


def require(package: str, what: str) -> None:
    """Raise MissingExtraError unless a package is installed; ``what`` needs it."""
    if find_spec(package) is None:
        raise MissingExtraError(
            f'{what} needs {package}, which is not installed: pip install "onnxlin[testing]". '
            "onnxlin.testing.assert_linearizes works without."
        )
