"""``onnxlin --completion SHELL``: the script that shtab writes from the parsers."""

from __future__ import annotations

import argparse
from typing import Any

from onnxlin.errors import OptionError

SHELLS = ("bash", "zsh", "fish")


class Print(argparse.Action):
    """Print the script, and end.

    Raises
    ------
    OptionError
        The package shtab is not installed.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Print the script of a shell for all commands."""
        try:
            import shtab
        except ImportError as error:
            raise OptionError(
                'Scripts of completion are written by shtab: pip install "onnxlin[completion]".'
            ) from error
        print(shtab.complete(parser, values))
        parser.exit()
