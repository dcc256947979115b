"""What the commands are asked: options that several share, and how their values are read."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NoReturn

from onnxlin.cli import providers
from onnxlin.engines.plan import NAMES
from onnxlin.inputs.preprocessing import CHOICES
from onnxlin.limits import Limits
from onnxlin.section import GATES, MODES, ROUNDINGS
from onnxlin.section.gates import ALL
from onnxlin.texts import shown, typed

LIMITS = tuple(field.name for field in fields(Limits))

TEXT = "A text (.txt) is cut into tokens by the tokenizer.json that is given as --vocabulary."

PICTURE = """\
Pictures (.png, .jpg, ...) become pixels of 0 to 255, RGB, then (pixel * scale - mean) / std. The
model's metadata entry "preprocessing" (JSON: scale, mean, std, channels, layout, resize) gives
the defaults where present. Arrays and tables are pixels if --scale, --mean or --std is given, or if
the model has that entry and their numbers say so; else they are taken as they are. A note says
which."""

PICTURES = {
    "channels": "order of the colours that the model takes (rgb)",
    "layout": "axes that the model takes: channels first or last (auto: by the shape of its input)",
    "resize": "pictures of another size: stretch (fit); scale to cover, and cut the middle out "
    "(crop); or refuse (none) (crop)",
    "resample": "filter that scales (bilinear)",
}
"""Help of the options that are choices."""

TABLE = """\
Columns of a table with a header are matched by name: with the model's metadata entry "features"
(a JSON list), with its inputs where it has several, with those of the other table."""

EXIT_CODES = """\
exit codes:
  0    done, or whoever reads the output has had enough of it
  1    the model, the input or an option cannot be used, or nothing written; stderr says why
  2    the command line itself is wrong
  3    check: the model has unsupported nodes, or none lies between inputs and outputs
  4    a residual is past its bound, (verify) a law does not hold, or (run) a sample has no map
  5    compare: the two models are apart, or decide otherwise more often than --tol says
  6    not decided: rounding may be as large as F(x), so a residual within its bound proves nothing
  7    --sandbox: the process crashed, took too long or ran out of memory; stderr says where
  130  interrupted (Ctrl-C)
  143  terminated (SIGTERM)
"""


class Parser(argparse.ArgumentParser):
    """A parser that shows what it was given, and does not print it as it is."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        super().error(shown(message))


def parser(make: Callable[..., Any], name: str, description: str, **more: Any) -> Any:
    """Make a parser by ``make``, with what all of them say at the end."""
    return make(
        name,
        description=description,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        **more,
    )


def command(
    commands: Any, name: str, description: str, *, instances: bool = False
) -> argparse.ArgumentParser:
    """Add a command to the parsers of all.

    ``instances`` lets ``--limit N`` say how many instances are taken, as it does beside limits.
    """
    made: argparse.ArgumentParser = parser(commands.add_parser, name, description, help=description)
    made.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    made.add_argument(
        "--limit",
        dest="limits",
        type=limit_or_count if instances else limit,
        action="append",
        default=[],
        metavar="N|NAME=VALUE" if instances else "NAME=VALUE",
        help=("the first N instances (all); or " if instances else "")
        + f"let the files ask for more or less: {', '.join(LIMITS)}; may be repeated",
    )
    return made


def raised(options: Any) -> dict[str, int]:
    """Limits that the command line sets."""
    return {name: value for name, value in options.limits if name}


def ends(command: argparse.ArgumentParser) -> None:
    """Which part of the model."""
    ends = command.add_argument_group("which part of the model")
    inputs = '"tokens", or more with + (positions, types, caches): what ids look up'
    for name, word in (("inputs", inputs), ("outputs", '"logits" ends before a softmax')):
        ends.add_argument(
            f"--{name}",
            metavar="NAME",
            type=typed,
            action="append",
            help=f"take this tensor among the {name}; may be repeated (its float {name}); {word}",
        )
    ends.add_argument(
        "--rounding",
        choices=ROUNDINGS,
        default=ROUNDINGS[0],
        help="quantised numbers: W is 0 behind a staircase, or goes straight through (staircase)",
    )


def how(
    command: argparse.ArgumentParser, modes: Sequence[str] = MODES, *, threads: bool = False
) -> None:
    """How the map is computed; the first of the modes is the default."""
    group = command.add_argument_group("how")
    group.add_argument(
        "--rows",
        metavar="ROWS",
        help='outputs to compute: "all", "0,3,5:9", or an .npy matrix of combinations '
        "(all, or the strongest 5 of a large map)",
    )
    mode(group, modes)
    engine(group)
    group.add_argument("--dtype", choices=("float32", "float64"), help="of W (the model's)")
    group.add_argument("--memory", help='what may be used, such as "4GiB" (half of what is free)')
    if threads:
        group.add_argument(
            "--threads", metavar="N", type=count, help="of onnxruntime and BLAS (all cores)"
        )


def storage_options(options: Any) -> dict[str, Any]:
    """Read ``--storage-option``.

    Raises
    ------
    OptionError
    """
    from onnxlin.data.addresses import options_of  # an extra

    return options_of(options.storage_option)


def mode(group: Any, modes: Sequence[str] = MODES) -> None:
    """Which reading smooth operators get; the first of the modes is the default."""
    group.add_argument(
        "--mode",
        choices=modes,
        default=modes[0],
        help="of smooth nodes: their slope at x, so that W is the Jacobian (tangent), or their "
        f"gates, statistics and attention weights held at x (frozen) ({modes[0]})",
    )
    group.add_argument(
        "--gates",
        type=gate,
        action="append",
        default=[],
        metavar="halves|held|NODE=...",
        help="frozen mode: products act(a) * b take half of each term of the product rule, or hold "
        "the activation; of a node by its name; may be repeated (halves)",
    )


def engine(group: Any) -> None:
    """Which engine computes W."""
    group.add_argument(
        "--engine",
        choices=("auto", *NAMES),
        default="auto",
        help="what computes W; all give the same map, in different times: the fastest by the sizes "
        "(auto), or the one named",
    )
    providers.declare(group)


def pictures(command: argparse.ArgumentParser) -> None:
    """How pictures become inputs, tables, and texts."""
    texts = command.add_argument_group("texts", TEXT)
    texts.add_argument(
        "--vocabulary",
        metavar="FILE",
        help="names of tokens: tokenizer.json, vocab.json, a SentencePiece .model, or text with "
        'one a line (the model\'s metadata entry "vocabulary", JSON)',
    )
    command.add_argument_group("tables", TABLE)
    group = command.add_argument_group("pictures", PICTURE)
    group.add_argument("--scale", type=fraction, help="(1/255; 1 for an integer input)")
    group.add_argument("--mean", type=numbers, metavar="M[,M,M]", help="after scaling (0)")
    group.add_argument("--std", type=numbers, metavar="S[,S,S]", help="after scaling (1)")
    for name, choices in CHOICES.items():
        group.add_argument(f"--{name}", choices=choices, help=PICTURES[name])
    group.add_argument(
        "--preprocessor",
        metavar="FILE",
        help="preprocessor_config.json of the model: these options are taken from it",
    )


def classes(command: argparse.ArgumentParser) -> None:
    """What the outputs are called."""
    command.add_argument(
        "--classes",
        dest="class_names",
        metavar="FILE|imagenet",
        help="names of the outputs: config.json (id2label), a list as JSON, text with one a line, "
        'or those of ImageNet (the model\'s metadata entry "classes")',
    )


def sample(command: argparse.ArgumentParser) -> None:
    """Which line of a table is x."""
    command.add_argument(
        "--sample",
        metavar="N|ID",
        help="of a table with many: the N-th from 0, or the one of that ID in a column called id",
    )


def count(text: str) -> int:
    """Read a positive whole number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive whole number")
    return int(text)


def seconds(text: str) -> float:
    """Read a time above 0."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return found


def limit(text: str) -> tuple[str, int]:
    """Read ``nodes=5000000``."""
    name, _, number = text.partition("=")
    if name not in LIMITS:
        raise argparse.ArgumentTypeError(f"{text!r}: the limits are {', '.join(LIMITS)}")
    if not number.replace("_", "").isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no {name}=NUMBER, a whole one from 0 on")
    return name, int(number)


def limit_or_count(text: str) -> tuple[str, int]:
    """Read ``nodes=5000000``, or a bare number of instances, which has no name."""
    return limit(text) if "=" in text else ("", count(text))


def gate(text: str) -> tuple[str, str]:
    """Read ``held``, for all products, or ``/mlp/Mul=held``; names may hold "=" themselves."""
    name, _, how = text.rpartition("=")
    if how not in GATES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(GATES)}, NODE=held")
    return typed(name) if name else ALL, how


def shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Read ``image=1,3,224,224``; names may hold "=" themselves."""
    name, _, numbers = text.rpartition("=")
    try:
        shape = tuple(int(part) for part in numbers.split(",")) if numbers else ()
    except ValueError:
        shape = (-1,)
    if not name or min(shape, default=0) < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=1,3,224,224")
    return typed(name), shape


def fraction(text: str) -> float:
    """Read ``0.5`` or ``1/255``."""
    over, slash, under = text.partition("/")
    try:
        return float(over) / (float(under) if slash else 1.0)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is no number such as 1/255") from None


def numbers(text: str) -> tuple[float, ...]:
    """Read ``0.5`` or ``0.5,0.4,0.3``."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number, or numbers with commas") from None
