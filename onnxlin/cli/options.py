"""What may be asked on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from onnxlin import __version__
from onnxlin.cli.option_groups import count, ends, how, pictures, shape
from onnxlin.compiled.export import DIRECTIONS
from onnxlin.engines.plan import NAMES
from onnxlin.readings.merging import METRICS
from onnxlin.section import MODES

EXIT_CODES = """\
exit codes:
  0    done
  1    the model, the input or an option cannot be used; stderr says why
  2    the command line itself is wrong
  3    check: nodes of the model stand in the way
  4    a residual is past its bound
  130  interrupted
"""


def parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    top = _parser(argparse.ArgumentParser, "onnxlin", _top_text())
    top.add_argument("--version", action="version", version=f"onnxlin {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _explain(commands)
    _regions(commands)
    _evaluate(commands)
    _check(commands)
    _verify(commands)
    _compile(commands)
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
    ends(command)
    how(command)
    command.add_argument(
        "--class",
        dest="classes",
        metavar="N|NAME",
        nargs="+",
        action="extend",
        default=[],
        help="further outputs to explain, by index or by class name",
    )
    command.add_argument("--top", type=count, default=10, help="length of the lists (10)")
    command.add_argument(
        "--baseline",
        metavar="zero|FILE",
        help="explain against an x0: W (x - x0) beside W x0 + b and F(x0) (W x and b)",
    )
    command.add_argument(
        "--near", type=float, default=1e-3, help="count units this close to a kink (0.001)"
    )
    _files(command)
    pictures(command)


def _evaluate(commands: Any) -> None:
    about = "Over a data set: accuracy of F(x), of W x and of b alone, and who owns the margins."
    command = _command(commands, "evaluate", about)
    command.add_argument("model", help="an .onnx file")
    command.add_argument(
        "data",
        nargs="+",
        help="an .npy or .npz stack, a .csv with an instance a row, a folder of pictures, or "
        "pictures",
    )
    command.add_argument(
        "--labels",
        metavar="FILE",
        help='.npy of class indices, or text with a label a line or "file,label" (an .npz may '
        'hold "labels"; without any, the model\'s own answers count)',
    )
    command.add_argument("--limit", type=count, metavar="N", help="the first N instances (all)")
    command.add_argument("--top", type=count, default=12, help="length of the lists (12)")
    ends(command)
    group = command.add_argument_group("how")
    group.add_argument("--mode", choices=("tangent", "frozen"), default="tangent")
    group.add_argument("--engine", choices=("auto", *NAMES), default="auto")
    group.add_argument("--memory", help='what may be used, such as "4GiB" (half of what is free)')
    files = command.add_argument_group("files")
    files.add_argument(
        "--out",
        metavar="DIR|PREFIX",
        help="where to write <model>.evaluation.png (here); a prefix replaces the whole name",
    )
    files.add_argument("--no-files", action="store_true", help="print only")
    pictures(command)


def _files(command: argparse.ArgumentParser) -> None:
    files = command.add_argument_group("files")
    files.add_argument(
        "--out",
        metavar="DIR|PREFIX",
        help="where to write <input>.<class>.png and <input>.npz (here); a prefix replaces <input>",
    )
    files.add_argument("--no-files", action="store_true", help="print only")
    files.add_argument("--to-onnx", metavar="OUT", help="write the map as an ONNX model: one Gemm")
    files.add_argument("--dot", metavar="OUT", help="write the linear program as Graphviz text")
    files.add_argument(
        "--smooth",
        type=float,
        default=0.0,
        metavar="PIXELS",
        help="blur the heat map for the eye; its title then says so (0: the true values)",
    )


def _regions(commands: Any) -> None:
    about = "Group a data set by linear region: how many maps it needs, and which."
    command = _command(commands, "regions", about)
    command.add_argument("model", help="an .onnx file")
    command.add_argument("data", help='.npy or .npz of samples stacked on axis 0 ("labels" apart)')
    command.add_argument("--labels", metavar="FILE", help=".npy of class indices, one a sample")
    command.add_argument("--top", type=count, default=10, help="length of the tables (10)")
    command.add_argument(
        "--picture", metavar="PNG", help="draw the samples by group, where x has two features"
    )
    merging = command.add_argument_group("merging of neighbours that are alike")
    merging.add_argument("--merge", type=count, metavar="N", help="until N groups are left")
    merging.add_argument("--tolerance", type=float, help="largest error that a merge may add")
    merging.add_argument("--neighbours", type=count, default=5, metavar="K", help="(5)")
    merging.add_argument("--metric", choices=METRICS, default=METRICS[0], help=f"({METRICS[0]})")
    merging.add_argument("--refit", action="store_true", help="fit to F, not the mean of the maps")
    ends(command)
    how(command)


def _check(commands: Any) -> None:
    about = "Say for each node, before any run, whether it can be linearised, and why not."
    command = _command(commands, "check", about)
    command.add_argument("model", help="an .onnx file")
    command.add_argument(
        "--compiling",
        choices=("auto", "yes", "no"),
        default="auto",
        help="try whether the model compiles, which runs it once on made-up numbers (auto: unless "
        "its weights take more than 1 GiB)",
    )
    ends(command)


def _verify(commands: Any) -> None:
    about = "Linearise at an input, or at random ones, and test W x + b against the run."
    command = _command(commands, "verify", about)
    command.add_argument("model", help="an .onnx file")
    where = command.add_mutually_exclusive_group()
    where.add_argument("--input", help="a picture, .npy, .npz or .csv")
    where.add_argument(
        "--random",
        type=count,
        default=1,
        metavar="N",
        help="N standard normal inputs (1)",
    )
    command.add_argument("--seed", type=int, default=0, help="of the random inputs (0)")
    ends(command)
    how(command)
    pictures(command)


def _compile(commands: Any) -> None:
    about = "Write the map at any x as one ONNX model: x, seeds -> y, seeds @ W, seeds @ b."
    command = _command(commands, "compile", about)
    command.add_argument("model", help="an .onnx file")
    command.add_argument("-o", "--out", metavar="OUT.onnx", required=True, help="where to write it")
    ends(command)
    group = command.add_argument_group("how")
    group.add_argument("--mode", choices=MODES, default=MODES[0])
    group.add_argument(
        "--direction",
        choices=DIRECTIONS,
        default=DIRECTIONS[0],
        help="rows of W from seeds, or columns from tangents (adjoint)",
    )
    group.add_argument(
        "--shares", action="store_true", help="a further output: what each node brings in to b"
    )
    group.add_argument(
        "--shape",
        dest="shapes",
        metavar="NAME=1,3,224,224",
        type=shape,
        action="append",
        help="of an input that the model leaves open; may be repeated",
    )
    group.add_argument(
        "--external-data",
        action="store_true",
        help="weights in a second file, OUT.onnx.data (only where one file cannot hold them)",
    )


def _region(commands: Any) -> None:
    about = "Say how far the map of one input reaches, what ends it, and when the decision changes."
    command = _command(commands, "region", about)
    command.add_argument("model", help="an .onnx file")
    command.add_argument("input", help="a picture, .npy, .npz or .csv")
    command.add_argument("--norm", choices=("l1", "l2", "linf"), help="one norm only (all three)")
    command.add_argument("--to", metavar="INPUT", help="also step towards this input")
    command.add_argument("--ties", type=count, default=5, help="length of the list of ties (5)")
    command.add_argument(
        "--sweeps",
        type=count,
        default=20_000,
        metavar="N",
        help="gradients to compute at most; beyond that a radius is a pair of bounds (20000)",
    )
    command.add_argument("--seed", type=int, default=0, help="of the directions of drift (0)")
    ends(command)
    how(command)
    pictures(command)


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
    ends(command)
    how(command)
    pictures(command)


def _ops(commands: Any) -> None:
    command = _command(commands, "ops", "List the operators that have rules.")
    command.add_argument(
        "--markdown", action="store_true", help="print every operator of every schema (docs/)"
    )
