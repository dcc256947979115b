"""One broken input from a seed and an index: a model, a map, or a file that holds x."""

from __future__ import annotations

import base64
import io
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import EncodeError

from tests.fuzz import arrays, fields, flips, samples, subjects

KINDS = {"fields": 60, "bytes": 14, "x": 6, "map": 10, "file": 10}
"""Way of breaking -> how often in a hundred."""


@dataclass(frozen=True)
class Broken:
    """What the entry points get.

    Parameters
    ----------
    kind : {"model", "map", "file"}
    data : bytes
    x : {input name: array}
        For a model.
    ending : str
        Of a file's name.
    made : tuple of str
        What was done, for people.
    draw : str
        Seed of what the entry points choose.
    """

    kind: str
    data: bytes
    x: dict[str, Any] = field(default_factory=dict)
    ending: str = ".onnx"
    made: tuple[str, ...] = ()
    draw: str = "0"

    def as_json(self) -> dict[str, Any]:
        """Return what a regression case holds."""
        packed = io.BytesIO()
        np.savez_compressed(packed, allow_pickle=False, **self.x)
        return {
            "kind": self.kind,
            "ending": self.ending,
            "made": list(self.made),
            "draw": self.draw,
            "data": base64.b64encode(self.data).decode(),
            "x": base64.b64encode(packed.getvalue()).decode() if self.x else "",
        }

    @staticmethod
    def from_json(held: dict[str, Any]) -> Broken:
        """Read one back."""
        x = {}
        if held["x"]:
            with np.load(io.BytesIO(base64.b64decode(held["x"]))) as file:
                x = dict(file)
        data, made = base64.b64decode(held["data"]), tuple(held["made"])
        return Broken(held["kind"], data, x, held["ending"], made, held["draw"])


def make(folder: Path, seed: int, index: int) -> Broken:
    """Make the input of an index; the same each time, for the same subjects."""
    draw = f"{seed}:{index}"
    rng = random.Random(draw)
    way = rng.choices(list(KINDS), list(KINDS.values()))[0]
    if way in ("map", "file"):
        return _file(folder, way, rng, draw)
    names = subjects.names(folder)
    one, other = (subjects.subject(folder, rng.choice(names)) for _ in range(2))
    made = [one.name]
    if way == "bytes":
        return Broken(
            "model", flips.flip(one.model, other.model, rng), one.x, made=(*made, way), draw=draw
        )
    if way == "x":
        return Broken("model", one.model, arrays.break_x(one.x, rng), made=(*made, way), draw=draw)
    proto = one.proto
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4, 8))):
        try:
            made.append(fields.mutate(proto, other.proto, rng))
        except (ValueError, TypeError) as error:  # protobuf itself refuses the value
            made.append(f"refused: {error}"[:60])
    try:
        data = proto.SerializePartialToString()
    except (EncodeError, ValueError):
        data = one.model
    return Broken("model", data, one.x, made=tuple(made), draw=draw)


def _file(folder: Path, kind: str, rng: random.Random, draw: str) -> Broken:
    found = samples.named(folder, maps=kind == "map")
    one, other = rng.choice(found), rng.choice(found)
    data = one.read_bytes()
    made = [one.name]
    if one.suffix == ".npz" and rng.random() < 0.7:
        data, how = arrays.break_archive(data, rng)
        made.append(how)
    elif one.suffix in (".csv", ".tsv", ".txt", ".json") and rng.random() < 0.7:
        data = arrays.break_text(data, rng)
        made.append("cells")
    else:
        data = flips.flip(data, other.read_bytes(), rng)
        made.append("bytes")
    return Broken(kind, data, ending=one.suffix, made=tuple(made), draw=draw)
