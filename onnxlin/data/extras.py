"""What the extra ``onnxlin[data]`` brings, imported where it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from onnxlin.errors import OptionError


def extra(module: str) -> Any:
    """Import a module of the extra.

    Raises
    ------
    OptionError
        It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise OptionError(
            f'Runs over data sets need {package}: pip install "onnxlin[data]" ({error}).'
        ) from error
