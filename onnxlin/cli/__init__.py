"""The command line: parse, call, print; no numerics."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence

from onnxlin.cli import (
    arguments,
    check,
    compare,
    compile,
    evaluate,
    ops,
    path,
    region,
    regions,
)

# Under other names: these are packages of this one, and stay its attributes.
from onnxlin.cli.audit import audit as audit_command
from onnxlin.cli.explain import explain as explain_command
from onnxlin.cli.screen import Screen
from onnxlin.cli.verify import verify as verify_command
from onnxlin.errors import OnnxlinError, ResidualError, SandboxError, UndecidedError
from onnxlin.version import __version__

# In the order of --help. Each declares its arguments and runs on what was asked.
COMMANDS = {
    "explain": explain_command,
    "evaluate": evaluate,
    "region": region,
    "regions": regions,
    "path": path,
    "compare": compare,
    "audit": audit_command,
    "check": check,
    "verify": verify_command,
    "compile": compile,
    "ops": ops,
}

FAILED, INTERRUPTED = 1, 130
CODES = ((UndecidedError, 6), (ResidualError, 4), (SandboxError, 7))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (``onnxlin --help`` lists them).

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.
    """
    try:
        options = parser().parse_args(argv)
    except SystemExit as stop:  # argparse has printed its help or what is wrong
        return stop.code if isinstance(stop.code, int) else 2
    try:
        with quiet():
            code = COMMANDS[options.command].run(options, Screen(json=options.json))
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
        return 0
    except KeyboardInterrupt:
        print("onnxlin: interrupted", file=sys.stderr)
        return INTERRUPTED
    except MemoryError as error:
        print(
            f"onnxlin: error: out of memory ({error}). Ask for fewer --rows, or give --memory.",
            file=sys.stderr,
        )
        return FAILED
    except OnnxlinError as error:
        print(f"onnxlin: error: {error}", file=sys.stderr)
        return next((code for kind, code in CODES if isinstance(error, kind)), FAILED)
    return code


def parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    about = "The exact affine map F(x) = W x + b that an ONNX model is at one input."
    top: argparse.ArgumentParser = arguments.parser(argparse.ArgumentParser, "onnxlin", about)
    top.add_argument("--version", action="version", version=f"onnxlin {__version__}")
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
        yield


def _forget_stdout() -> None:
    """Let the interpreter flush into nothing at exit: the reader has gone."""
    with contextlib.suppress(OSError, ValueError):  # stdout may be no file of the system's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
