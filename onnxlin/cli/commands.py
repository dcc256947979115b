"""The commands: which there are, and how one is run."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence

from onnxlin import limits
from onnxlin.cli import (
    arguments,
    check,
    compile,
    completion,
    ops,
    path,
)

# Under other names: these are packages of this one, and stay its attributes.
from onnxlin.cli.audit import audit as audit_command
from onnxlin.cli.compare import compare as compare_command
from onnxlin.cli.explain import explain as explain_command
from onnxlin.cli.over import evaluate, regions
from onnxlin.cli.over import run as run_command
from onnxlin.cli.region import region as region_command
from onnxlin.cli.screen import Screen
from onnxlin.cli.verify import verify as verify_command
from onnxlin.engines.confined import confined
from onnxlin.version import __version__

# In the order of --help. Each declares its arguments and runs on what was asked.
COMMANDS = {
    "explain": explain_command,
    "evaluate": evaluate,
    "run": run_command,
    "region": region_command,
    "regions": regions,
    "path": path,
    "compare": compare_command,
    "audit": audit_command,
    "check": check,
    "verify": verify_command,
    "compile": compile,
    "ops": ops,
}


def run(argv: Sequence[str] | None) -> int:
    """Run one command, and return its exit code.

    Raises
    ------
    OnnxlinError
        What was asked for cannot be done.
    """
    try:
        options = parser().parse_args(argv)
    except SystemExit as stop:  # argparse has printed its help or what is wrong
        return stop.code if isinstance(stop.code, int) else 2
    threads = getattr(options, "threads", None)
    with quiet(), limits.raised(**arguments.raised(options)), confined(threads):
        code: int = COMMANDS[options.command].run(options, Screen(json=options.json))
    return code


def parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    about = "The exact affine map F(x) = W x + b that an ONNX model is at one input."
    top: argparse.ArgumentParser = arguments.parser(arguments.Parser, "onnxlin", about)
    top.add_argument("--version", action="version", version=f"onnxlin {__version__}")
    top.add_argument(
        "--completion",
        choices=completion.SHELLS,
        action=completion.Print,
        help="print a script that completes commands and options in this shell",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS.values():
        module.declare(commands)
    return top


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep warnings of Python and NumPy from the user; who asks for them by ``-W`` gets them.

    What a user must know is told in the report. A warning names a line of the source.
    """
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
        # It says where it puts its caches if it cannot write where it wants to.
        log = logging.getLogger("matplotlib")
        level = log.level
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)
