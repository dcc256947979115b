"""The command line: parse, call, print; no numerics.

What takes long to import stands behind `main`, which first sees to signals and streams.
"""

from typing import TYPE_CHECKING

from onnxlin.cli.entry import main
from onnxlin.lazy import lazily

if TYPE_CHECKING:
    from onnxlin.cli.commands import COMMANDS, parser

__all__ = ["COMMANDS", "main", "parser"]

_HOMES = {"COMMANDS": "onnxlin.cli.commands", "parser": "onnxlin.cli.commands"}
if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
