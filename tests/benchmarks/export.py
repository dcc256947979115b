"""The same networks as ONNX files, written once and kept in a folder for a run."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from tests.benchmarks.nets import NETS, Net

Array = np.ndarray[Any, Any]
OLD_OPSET = 17
"""The newest that onnx2torch reads."""


@dataclass(frozen=True)
class Case:
    """One network in every form that a contender may want."""

    name: str
    folder: Path

    @property
    def net(self) -> Net:
        return NETS[self.name]

    @cached_property
    def x(self) -> Array:
        """One instance, with its batch axis."""
        return self.net.instances(1)

    @cached_property
    def module(self) -> torch.nn.Module:
        """The native module; its weights come from the folder, so that children have the same."""
        kept = self.folder / f"{self.name}.pt"
        if kept.exists():
            return torch.load(kept, weights_only=False)
        made = self.net.module()
        torch.save(made, kept)
        return made

    @property
    def path(self) -> Path:
        """The model for one instance: what onnxlin is given."""
        return self._kept("one", self._one)

    @property
    def batch_path(self) -> Path:
        """The model with an open batch axis: what the floor runs."""
        return self._kept("batch", self._batch)

    @property
    def old_path(self) -> Path:
        """By the older exporter in an older operator set: what onnx2torch is given."""
        return self._kept("old", self._old)

    def _kept(self, kind: str, export: Any) -> Path:
        path = self.folder / f"{self.name}.{kind}.onnx"
        if not path.exists():
            onnx.save(export(), path)
        return path

    def _batch(self) -> onnx.ModelProto:
        open_axis = ({0: torch.export.Dim("batch")},)
        return export(self.module, self.net.instances(2), dynamo=True, dynamic_shapes=open_axis)

    def _one(self) -> onnx.ModelProto:
        model = onnx.load(self.batch_path)
        if any(node.op_type == "Shape" for node in model.graph.node):
            return export(self.module, self.x, dynamo=True)  # cleaner without the open axis
        for info in (*model.graph.input, *model.graph.output):
            info.type.tensor_type.shape.dim[0].dim_value = 1
        del model.graph.value_info[:]
        return model

    def _old(self) -> onnx.ModelProto:
        return export(self.module, self.x, dynamo=False, opset_version=OLD_OPSET)


def export(module: torch.nn.Module, x: Array, dynamo: bool, **options: Any) -> onnx.ModelProto:
    """Export without the exporters' chatter."""
    names: dict[str, Any] = {"input_names": ["x"], "output_names": ["y"], "dynamo": dynamo}
    given = (torch.from_numpy(x),)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        if dynamo:
            program = torch.onnx.export(module, given, **names, **options, verbose=False)
            return program.model_proto
        written = io.BytesIO()
        torch.onnx.export(module, given, written, **names, **options)
    return onnx.load_from_string(written.getvalue())


def write_all(case: Case) -> None:
    """Write every form; the older exporter may refuse, and then onnx2torch is left out."""
    print(f"exporting {case.name} ...", file=sys.stderr, flush=True)
    assert os.fspath(case.path)
    with contextlib.suppress(Exception):
        assert case.old_path
