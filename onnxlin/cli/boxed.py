"""``--sandbox``: a command's work in a process of its own; what it has found is printed here."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from onnxlin.cli import arguments
from onnxlin.cli.screen import Screen
from onnxlin.errors import SandboxError
from onnxlin.runtime.sandbox import Child, Sandbox
from onnxlin.runtime.sandbox.boxed import MODULES

MEMORY = "4GiB"


GRACE = 5
"""Seconds more for a command that ends by itself when its time is over, and says what it has."""


def declare(
    command: argparse.ArgumentParser, time: float, *, memory: bool = False, timed: bool = True
) -> None:
    """Add what may be asked of a sandbox.

    ``memory`` where the command has no such option yet, ``timed`` where it has no ``--time`` yet.
    """
    group = command.add_argument_group("a model that is not trusted")
    group.add_argument(
        "--sandbox",
        action="store_true",
        help=f"work in a process of its own, held to --memory ({MEMORY}) and --time: a crash, a "
        "hang or endless memory of onnxruntime's is a report and exit code 7",
    )
    command.set_defaults(grace=0 if timed else GRACE)
    if timed:
        group.add_argument(
            "--time",
            type=arguments.count,
            metavar="SECONDS",
            help=f"after which the sandboxed process is ended ({time:g})",
        )
    if memory:
        group.add_argument("--memory", help=f"what the sandboxed process may take ({MEMORY})")


def answered(
    options: Any, answer: str, time: float, screen: Screen | None = None
) -> dict[str, Any]:
    """Return the answer of a command, found here or in a sandbox.

    Parameters
    ----------
    options : argparse.Namespace
    answer : str
        ``module:function``, from the options to plain data.
    time : float
        Seconds in the sandbox, unless the options say others.
    screen : Screen, optional
        Where the report of a crash goes, in JSON, as the command's document; by default it is in
        the error alone. In words the caller of all commands has it.

    Raises
    ------
    SandboxError, OnnxlinError
    """
    if not options.sandbox:
        return _function(answer)(options)
    sandbox = Sandbox(options.memory or MEMORY, (options.time or time) + options.grace)
    # What a map may use leaves room for the model and its run.
    asks = {**vars(options), "memory": sandbox.bytes // 2}
    try:
        with Child(sandbox, MODULES) as child:
            sent = {name: _sent(value) for name, value in asks.items()}
            found, _ = child.call(f"{__name__}:inside", {"answer": answer, "options": sent})
    except SandboxError as error:
        if screen is not None:
            about = {name: getattr(error, name) for name in ("stage", "signal", "limit", "place")}
            ended = {**about, "message": str(error)}
            screen.document({"model": options.model, "ok": False, "sandbox": ended})
        raise
    return dict(found)


def inside(asks: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Find the answer, in the child."""
    options = {name: _received(value) for name, value in asks["options"].items()}
    return _function(asks["answer"])(argparse.Namespace(**options)), blobs


def _function(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)


def _sent(value: Any) -> Any:
    """Mark tuples, which JSON does not have."""
    return {"tuple": list(value)} if isinstance(value, tuple) else value


def _received(value: Any) -> Any:
    return tuple(value["tuple"]) if isinstance(value, dict) else value
