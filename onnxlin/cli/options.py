"""What may be asked on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from onnxlin import __version__
from onnxlin.engines.plan import ENGINES
from onnxlin.inputs.preprocessing import CHOICES
from onnxlin.section import ROUNDINGS

EXIT_CODES = """\
exit codes:
  0    done
  1    the model, the input or an option cannot be used; stderr says why
  2    the command line itself is wrong
  3    check: nodes of the model stand in the way
  4    a residual is past its bound
  130  interrupted
"""

_PICTURE = """\
Pictures (.png, .jpg, ...) become pixels of 0 to 255, RGB, then (pixel * scale - mean) / std. The
model's metadata entry "preprocessing" (JSON: scale, mean, std, channels, layout, resize) gives
the defaults where present."""


def parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    top = _parser(argparse.ArgumentParser, "onnxlin", _top_text())
    top.add_argument("--version", action="version", version=f"onnxlin {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _explain(commands)
    _check(commands)
    _verify(commands)
    _region(commands)
    _path(commands)
    _ops(commands)
    return top


def _top_text() -> str:
    return "The exact affine map F(x) = W x + b that an ONNX model is at one input."


def _parser(make: Callable[..., argparse.ArgumentParser], *names: str, **more: Any) -> Any:
    name, description = names
    return make(
        name,
        description=description,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        **more,
    )


def _command(commands: Any, name: str, description: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = _parser(
        commands.add_parser, name, description, help=description
    )
    made.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    return made


def _explain(commands: Any) -> None:
    about = "Linearise a model at one input; show what carries each output, and how exactly."
    command = _command(commands, "explain", about)
    command.add_argument("model", help="an .onnx file")
    command.add_argument("input", help="a picture, .npy, .npz (names as in the model) or .csv")
    _ends(command)
    _map(command)
    command.add_argument(
        "--class",
        dest="classes",
        metavar="N|NAME",
        nargs="+",
        action="extend",
        default=[],
        help="further outputs to explain, by index or by class name",
    )
    command.add_argument("--top", type=_count, default=10, help="length of the lists (10)")
    command.add_argument(
        "--near", type=float, default=1e-3, help="count units this close to a kink (0.001)"
    )
    _files(command)
    _picture(command)


def _files(command: argparse.ArgumentParser) -> None:
    files = command.add_argument_group("files")
    files.add_argument(
        "--out",
        metavar="DIR|PREFIX",
        help="where to write <input>.<class>.png and <input>.npz (here); a prefix replaces <input>",
    )
    files.add_argument("--no-files", action="store_true", help="print only")
    files.add_argument(
        "--smooth",
        type=float,
        default=0.0,
        metavar="PIXELS",
        help="blur the heat map for the eye; its title then says so (0: the true values)",
    )


def _check(commands: Any) -> None:
    about = "Say for each node, before any run, whether it can be linearised, and why not."
    command = _command(commands, "check", about)
    command.add_argument("model", help="an .onnx file")
    _ends(command)


def _verify(commands: Any) -> None:
    about = "Linearise at an input, or at random ones, and test W x + b against the run."
    command = _command(commands, "verify", about)
    command.add_argument("model", help="an .onnx file")
    where = command.add_mutually_exclusive_group()
    where.add_argument("--input", help="a picture, .npy, .npz or .csv")
    where.add_argument(
        "--random", type=_count, default=1, metavar="N", help="N standard normal inputs (1)"
    )
    command.add_argument("--seed", type=int, default=0, help="of the random inputs (0)")
    _ends(command)
    _map(command)
    _picture(command)


def _region(commands: Any) -> None:
    about = "Say how far the map of one input reaches, what ends it, and when the decision changes."
    command = _command(commands, "region", about)
    command.add_argument("model", help="an .onnx file")
    command.add_argument("input", help="a picture, .npy, .npz or .csv")
    command.add_argument("--norm", choices=("l1", "l2", "linf"), help="one norm only (all three)")
    command.add_argument("--to", metavar="INPUT", help="also step towards this input")
    command.add_argument("--ties", type=_count, default=5, help="length of the list of ties (5)")
    command.add_argument(
        "--sweeps",
        type=_count,
        default=20_000,
        metavar="N",
        help="gradients to compute at most; beyond that a radius is a pair of bounds (20000)",
    )
    command.add_argument("--seed", type=int, default=0, help="of the directions of drift (0)")
    _ends(command)
    _map(command)
    _picture(command)


def _path(commands: Any) -> None:
    about = "Walk from one input to another: every affine piece, class change and exact gradient."
    command = _command(commands, "path", about)
    command.add_argument("model", help="an .onnx file")
    command.add_argument("x0", help="a picture, .npy, .npz or .csv")
    command.add_argument("x1", help="another one")
    command.add_argument(
        "--class",
        dest="row",
        metavar="N|NAME",
        help="output whose Integrated Gradients are wanted (the largest at X1)",
    )
    command.add_argument("--out", metavar="PNG", help="where to draw (<x0>_<x1>.png)")
    command.add_argument("--no-files", action="store_true", help="print only")
    _ends(command)
    _map(command)
    _picture(command)


def _ops(commands: Any) -> None:
    command = _command(commands, "ops", "List the operators that have rules.")
    command.add_argument(
        "--markdown", action="store_true", help="print every operator of every schema (docs/)"
    )


def _ends(command: argparse.ArgumentParser) -> None:
    ends = command.add_argument_group("which part of the model")
    for name in ("inputs", "outputs"):
        ends.add_argument(
            f"--{name}",
            metavar="NAME",
            action="append",
            help=f"take this tensor among the {name}; may be repeated (its float {name})"
            + ('; "logits" ends before a softmax' if name == "outputs" else ""),
        )
    ends.add_argument(
        "--rounding",
        choices=ROUNDINGS,
        default=ROUNDINGS[0],
        help="quantised numbers: W is 0 behind a staircase, or goes straight through (staircase)",
    )


def _map(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("how")
    group.add_argument(
        "--rows",
        metavar="ROWS",
        help='outputs to compute: "all", "0,3,5:9", or an .npy matrix of combinations '
        "(all, or the strongest 5 of a large map)",
    )
    group.add_argument("--mode", choices=("tangent", "frozen"), default="tangent")
    group.add_argument("--engine", choices=("auto", *ENGINES), default="auto")
    group.add_argument("--dtype", choices=("float32", "float64"), help="of W (the model's)")
    group.add_argument("--memory", help='what may be used, such as "4GiB" (half of what is free)')


def _picture(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("pictures", _PICTURE)
    group.add_argument("--scale", type=_fraction, help="(1/255)")
    group.add_argument("--mean", type=_numbers, metavar="M[,M,M]", help="after scaling (0)")
    group.add_argument("--std", type=_numbers, metavar="S[,S,S]", help="after scaling (1)")
    for name, choices in CHOICES.items():
        group.add_argument(f"--{name}", choices=choices)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive whole number")
    return int(text)


def _fraction(text: str) -> float:
    """Read ``0.5`` or ``1/255``."""
    over, slash, under = text.partition("/")
    try:
        return float(over) / (float(under) if slash else 1.0)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is no number such as 1/255") from None


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number, or numbers with commas") from None
