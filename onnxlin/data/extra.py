"""Packages of the extra ``onnxlin[data]``, imported when something asks for them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from onnxlin.errors import OnnxlinError


def needed(module: str, what: str) -> Any:
    """Import a module of the extra.

    Parameters
    ----------
    module : str
    what : str
        What it is for, with which the message begins: "Reading d.parquet".

    Raises
    ------
    OnnxlinError
        It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise OnnxlinError(f'{what} needs {package}: pip install "onnxlin[data]".') from error
