"""What the strategy draws: a model and an input of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from onnxlin.testing.models.running import Array, run


@dataclass(frozen=True, eq=False)
class GrownModel:
    """A random model and an input of it.

    Parameters
    ----------
    model : onnx.ModelProto
    x : {input name: float32 array}
    """

    model: onnx.ModelProto
    x: dict[str, Array]

    def run(self) -> dict[str, Array]:
        """Run the model at x with onnxruntime, without optimisers: ``{output name: array}``."""
        names = [output.name for output in self.model.graph.output]
        return dict(zip(names, run(self.model, self.x), strict=True))

    def tensors(self, *, floats: bool = True) -> dict[str, Array]:
        """Every float tensor at x, or every tensor at all, in float64."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        del model.graph.output[:]
        names = [o for node in model.graph.node for o in node.output]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        values = dict(zip(names, run(model, self.x), strict=True)) | self.x
        return {
            n: v.astype(np.float64) for n, v in values.items() if v.dtype.kind == "f" or not floats
        }

    def __repr__(self) -> str:
        inputs = [_written(name, value) for name, value in self.x.items()]
        return "\n".join([onnx.printer.to_text(self.model), *inputs])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # or Hypothesis would show the fields


def _written(name: str, value: Array) -> str:
    """All entries in C order, as ONNX text has those of constants."""
    sides = ",".join(str(n) for n in value.shape)
    return f"float[{sides}] {name} = {{{', '.join(str(entry) for entry in value.flat)}}}"
