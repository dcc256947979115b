"""``--provider``: which execution providers of onnxruntime run the model and compiled graphs."""

from __future__ import annotations

import argparse
from typing import Any


def declare(group: Any) -> None:
    """Add the option."""
    group.add_argument(
        "--provider",
        dest="providers",
        type=provider,
        action="append",
        metavar="NAME[:KEY=VALUE,...]",
        help="execution provider of onnxruntime for the model's run and compiled graphs, such as "
        "CUDAExecutionProvider:device_id=0; may be repeated, the first is offered nodes first "
        "(CPUExecutionProvider)",
    )


def provider(text: str) -> tuple[str, dict[str, str]]:
    """Read ``CUDAExecutionProvider:device_id=1,use_tf32=1``; values may hold "=" and ":"."""
    name, colon, rest = text.partition(":")
    pairs = [part.partition("=") for part in rest.split(",")] if colon else []
    if not name or any(not key or not equals for key, equals, _ in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME[:KEY=VALUE,...]")
    return name, {key: value for key, _, value in pairs}
