"""What a page that computes is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import onnx

from onnxlin.affine_map import AffineMap
from onnxlin.engines.compiled.export.about import PREFIX
from onnxlin.errors import CompileError, InputError
from onnxlin.graph import Array
from onnxlin.inputs import Preprocessing
from onnxlin.readings.row import report
from onnxlin.readings.row.parts import Part

LARGEST = 50 * 2**20
"""Bytes of a compiled graph: a page holds 4/3 of them as text, and a browser all of it at once."""

TYPES = {
    "float32": "float32",
    "float64": "float64",
    "int64": "int64",
    "int32": "int32",
    "int16": "int16",
    "int8": "int8",
    "uint8": "uint8",
    "uint16": "uint16",
    "bool": "bool",
}
"""Types of inputs that a page can feed, by their names in onnxruntime-web."""


@dataclass(frozen=True, eq=False)
class Computing:
    """A compiled model, and the instance with which its page opens.

    Parameters
    ----------
    compiled : onnx.ModelProto
        With shares, at the shapes of the instance.
    m : AffineMap
        Of the same model at that instance: what the page is held against.
    feeds : {input name: array}
        The instance, all inputs of the model.
    parts : tuple of Part
        How the map's inputs are looked at.
    labels : sequence of str, optional
        Names of the outputs.
    span : slice
        Outputs that stand against each other.
    model, source : str
        Names of the model and of the instance.
    notes : tuple of str
        What was done to the instance.
    chances_are : str, optional
        "output" or "softmax".
    preprocessing : Preprocessing, optional
        Of pictures; without it they are the tensor of the instance, stretched.
    vocabulary : sequence of str
        Names of tokens, by their index.
    ranges : array (2, n), optional
        Least and largest value of each feature of a table, for its sliders.
    opened : (int, int), optional
        Outputs: the page opens on the first against the second.
    smooth : float
        It opens with heat maps that are blurred by so many pixels, for the eye.
    """

    compiled: onnx.ModelProto
    m: AffineMap
    feeds: Mapping[str, Array]
    parts: tuple[Part, ...]
    labels: report.Labels | None = None
    span: slice = field(default_factory=lambda: slice(0, None))
    model: str = "model"
    source: str = "x"
    notes: tuple[str, ...] = ()
    chances_are: str | None = None
    preprocessing: Preprocessing | None = None
    vocabulary: Sequence[str] = field(default=())
    ranges: Array | None = None
    opened: tuple[int, int] | None = None
    smooth: float = 0.0

    def __post_init__(self) -> None:
        for name in self.inputs:
            if str(self.feeds[name].dtype) not in TYPES:
                raise InputError(
                    f"Input {name!r} is of {self.feeds[name].dtype}, which a page cannot feed; it "
                    f"feeds {', '.join(TYPES)}. Write --html, a page of one input."
                )
        if len(self.serialised) > LARGEST:
            raise CompileError(
                f"The compiled graph takes {len(self.serialised) / 2**20:,.0f} MB; a page holds at "
                f"most {LARGEST / 2**20:.0f} MB, as a browser unpacks it at once. Write --html, a "
                "page of one input, or run the graph itself (onnxlin compile)."
            )

    @cached_property
    def serialised(self) -> bytes:
        """The graph as a file."""
        return self.compiled.SerializeToString()

    @cached_property
    def told(self) -> dict[str, Any]:
        """What the compiled graph says about itself (docs/compiled.md)."""
        found = {e.key: e.value for e in self.compiled.metadata_props}
        own = {k.removeprefix(PREFIX): v for k, v in found.items() if k.startswith(PREFIX)}
        parsed = ("columns", "rows", "names", "shares", "notes")
        return own | {key: json.loads(own[key]) for key in parsed if key in own}

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of what the graph is fed, without the seeds."""
        names = [info.name for info in self.compiled.graph.input]
        return tuple(name for name in names if name != self.told["names"]["given"])
