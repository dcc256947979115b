"""The command line: parse, call, print; no numerics."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from onnxlin.cli import (
    check,
    compile,
    evaluate,
    explain,
    ops,
    path,
    region,
    regions,
    verify,
)
from onnxlin.cli.options import parser
from onnxlin.cli.show import Screen
from onnxlin.errors import OnnxlinError, ResidualError

COMMANDS: dict[str, Callable[[Any, Screen], int]] = {
    "explain": explain.run,
    "regions": regions.run,
    "evaluate": evaluate.run,
    "check": check.run,
    "verify": verify.run,
    "compile": compile.run,
    "region": region.run,
    "path": path.run,
    "ops": ops.run,
}

FAILED, PAST_BOUND, INTERRUPTED = 1, 4, 130


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
        code = COMMANDS[options.command](options, Screen(json=options.json))
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
        return PAST_BOUND if isinstance(error, ResidualError) else FAILED
    return code


def _forget_stdout() -> None:
    """Let the interpreter flush into nothing at exit: the reader has gone."""
    with contextlib.suppress(OSError, ValueError):  # stdout may be no file of the system's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
