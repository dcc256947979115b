"""Which networks there are, and their files in a folder.

A network is named ``NAME[@SIZE][:HEAD][%SHARE]``: ``vgg16``, ``squeezenet@320``, ``vgg16:4000``,
``small%20``. SIZE is the pixels of a side, HEAD the rows that the network has, SHARE the live part
of the multiplications in percent.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from tests.benchmarks.live import surgery, wheels
from tests.benchmarks.live.architectures import ARCHITECTURES
from tests.benchmarks.live.photo import prepared
from tests.benchmarks.live.shares import SIZE, with_share

Array = np.ndarray[Any, Any]
NAME = re.compile(r"(?P<name>\w+?)(@(?P<size>\d+))?(:(?P<head>\d+))?(%(?P<share>[\d.]+))?")
ROWS, SIDE = 1000, 224
ZOO = "ONNXLIN_ZOO"
SQUEEZENET = ("imagenet_squeezenet_fp32_from_fp16.onnx", "pool10_1")
SCALING = {"vgg16": "unit", "resnet50": "caffe", "squeezenet": "caffe"}
NETS = (*wheels.FILES, "squeezenet", *(name for name in ARCHITECTURES if name != "fires"))
"""What is run if nothing is asked for."""

ALL = (*NETS, "fires", "small")


@dataclass(frozen=True)
class Spec:
    """A network by its name, and what differs from what it usually is."""

    name: str
    size: int | None = None
    head: int = ROWS
    share: float | None = None

    @classmethod
    def of(cls, text: str) -> Spec:
        """Read the notation.

        Raises
        ------
        ValueError
            It is none, or there is no such network.
        """
        found = NAME.fullmatch(text)
        if found is None or found["name"] not in ALL:
            raise ValueError(f"{text!r} is not NAME[@SIZE][:HEAD][%SHARE] with one of {ALL}")
        size, head, share = found["size"], found["head"], found["share"]
        return cls(
            found["name"],
            int(size) if size else None,
            int(head) if head else ROWS,
            float(share) / 100 if share else None,
        )

    @property
    def text(self) -> str:
        """The notation."""
        return (
            self.name
            + (f"@{self.size}" if self.size else "")
            + (f":{self.head}" if self.head != ROWS else "")
            + (f"%{100 * self.share:g}" if self.share is not None else "")
        )


@dataclass(frozen=True)
class Files:
    """A network in a folder: for one image, for any number, and its input."""

    one: Path
    many: Path
    x: Path


def written(spec: Spec, folder: Path, image: Array, unpacked: Path | None) -> Files:
    """Write the files of a network, where they are not there yet.

    Raises
    ------
    FileNotFoundError
        The weights are not on this machine; the text says what to do.
    ValueError
        The network cannot be had in this way.
    """
    stem = re.sub(r"\W", "_", spec.text)
    made = Files(*(folder / f"{stem}.{kind}" for kind in ("one.onnx", "many.onnx", "x.npy")))
    # What is live in `small` was settled at one picture.
    if spec.name == "small" or not all(path.exists() for path in (made.one, made.many)):
        print(f"writing {spec.text} ...", file=sys.stderr, flush=True)
        model = _model(spec, image, unpacked)
        onnx.save(surgery.opened(model, "N", spec.size), made.many)
        onnx.save(surgery.opened(model, 1, spec.size), made.one)
    np.save(made.x, _input(spec, surgery.input_shape(onnx.load(made.one)), image))
    return made


def _input(spec: Spec, shape: tuple[int, ...], image: Array) -> Array:
    return prepared(image, shape, SCALING.get(spec.name, "torch"))


def _model(spec: Spec, image: Array, unpacked: Path | None) -> onnx.ModelProto:
    if spec.name in wheels.FILES:
        if spec.size and spec.name == "vgg16":
            raise ValueError("vgg16 has dense layers for its own size alone")
        return surgery.with_head(onnx.load(wheels.find(spec.name, unpacked)), spec.head)
    if spec.name == "squeezenet":
        if spec.head != ROWS:
            raise ValueError(f"squeezenet has a head of its own of {ROWS} rows; fires takes any")
        path = Path(os.environ.get(ZOO, "nowhere")) / SQUEEZENET[0]
        if not path.exists():
            raise FileNotFoundError(f"{SQUEEZENET[0]} is not in the folder {ZOO}")
        return surgery.cut(onnx.load(path), SQUEEZENET[1])
    if spec.name == "small":
        shape = (3, *[spec.size or SIZE] * 2)
        return with_share(0.25 if spec.share is None else spec.share, spec.head,
                          _input(spec, shape, image))  # fmt: skip
    return ARCHITECTURES[spec.name](spec.head, spec.size or SIDE)
