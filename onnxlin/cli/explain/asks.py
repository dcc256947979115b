"""What ``onnxlin explain`` is asked: its own options, in the groups of its help."""

from __future__ import annotations

import argparse

from onnxlin.cli import arguments


def what(command: argparse.ArgumentParser) -> None:
    """What is explained, and how far."""
    command.add_argument(
        "--class",
        dest="classes",
        metavar="N|NAME",
        nargs="+",
        action="extend",
        default=[],
        help="further outputs to explain, by index or by class name",
    )
    command.add_argument(
        "--against",
        metavar="N|NAME",
        nargs=1,
        default=[],
        help="why the strongest output, or that of --class, and not this one: explain the "
        "difference of the two first, in one picture, and open the page on it",
    )
    command.add_argument("--top", type=arguments.count, default=10, help="length of the lists (10)")
    command.add_argument(
        "--verbose", action="store_true", help="print the engine, its plan and what memory it took"
    )
    command.add_argument(
        "--baseline",
        metavar="zero|FILE",
        help="explain against an x0: W (x - x0) beside W x0 + b and F(x0) (W x and b)",
    )
    command.add_argument(
        "--flips",
        action="store_true",
        help="search for the nearest input (l2) that the model decides otherwise, by up to 32 maps;"
        " what changes is printed and, with --html, shown on the page",
    )
    _hidden(command)
    command.add_argument(
        "--near", type=float, default=1e-3, help="count units this close to a kink (0.001)"
    )


def _hidden(command: argparse.ArgumentParser) -> None:
    """What is read inside of the model."""
    command.add_argument(
        "--layers",
        action="store_true",
        help="of a transformer: what every position brings at every depth, behind attention and "
        "MLP apart, and b by layer and kind",
    )
    command.add_argument(
        "--at",
        metavar="TENSOR|last|all",
        nargs="+",
        action="extend",
        default=[],
        help="of a net with convolutions: the map from hidden tensors, each as a coarse picture; "
        "last is the activation of the last convolution (and on the page)",
    )
    command.add_argument(
        "--singular",
        type=arguments.count,
        default=0,
        metavar="N",
        help="singular values of the operators of the N strongest tokens, up to the output "
        "embedding and decoded by it",
    )


def files(command: argparse.ArgumentParser) -> None:
    """Which files are written."""
    group = command.add_argument_group("files")
    group.add_argument(
        "--out",
        metavar="DIR|PREFIX",
        help="where to write <input>.<class>.png and <input>.npz (here); a prefix replaces <input>",
    )
    group.add_argument(
        "--no-files", action="store_true", help="write none of these; --html and others still are"
    )
    group.add_argument("--html", metavar="FILE", help="write a page for a browser, in one file")
    group.add_argument(
        "--live",
        metavar="FILE",
        help="write a page that computes: the map of every input that is drawn, opened or typed "
        "there (extra live)",
    )
    group.add_argument(
        "--sweeps",
        type=arguments.count,
        metavar="N",
        help="gradients for each radius on the page (as many as take some seconds)",
    )
    group.add_argument(
        "--position",
        type=int,
        metavar="N",
        help="of a model that scores the next token: where in the text, from the end if negative "
        "(-1)",
    )
    group.add_argument("--to-onnx", metavar="OUT", help="write the map as an ONNX model: one Gemm")
    group.add_argument(
        "--annotate",
        metavar="OUT",
        help="write a copy of the model whose nodes carry status, shares of b and live units as "
        "metadata, which Netron shows",
    )
    group.add_argument("--dot", metavar="OUT", help="write the linear program as Graphviz text")
    group.add_argument(
        "--smooth",
        type=float,
        default=0.0,
        metavar="PIXELS",
        help="blur the heat map for the eye; its title then says so (0: the true values)",
    )
