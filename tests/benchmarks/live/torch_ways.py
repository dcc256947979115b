"""torch's ways to the same rows, on the ONNX file read by onnx2torch; only where both are there."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.benchmarks.contenders import Job, Work

Array = np.ndarray[Any, Any]
NEEDED = ("torch", "onnx2torch")
ONE_BY_ONE = "torch autograd, a backward call per row"
WAYS = (ONE_BY_ONE, "torch autograd, is_grads_batched", "torch.func vjp + vmap")
MOST_TOGETHER = 50
"""Rows up to which those are tried that hold the tensors of all rows at once."""


def ways(rows: int) -> tuple[list[str], str]:
    """Which of them can be tried here for so many rows; and why not all."""
    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent:
        return [], f"{' and '.join(absent)} not installed"
    if rows == 1:
        return [WAYS[0], WAYS[2]], "one row is one backward call"
    if rows > MOST_TOGETHER:
        return [ONE_BY_ONE], f"others hold {rows} rows of every tensor at once"
    return list(WAYS), ""


@dataclass(frozen=True)
class Case:
    """What `contenders_torch` asks of a network."""

    module: Any
    x: Array
    rows: int

    @property
    def net(self) -> Any:
        """Its inputs and the number of its outputs."""
        return SimpleNamespace(instances=lambda count: self.x, outputs=self.rows)


def prepare(path: str, x: Array, rows: int, way: str) -> Job:
    """Read a model; return what computes the rows in one of torch's ways."""
    import onnx
    import onnx2torch
    import torch

    from tests.benchmarks.contenders_torch import TORCH

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = onnx2torch.convert(onnx.load(path)).eval().requires_grad_(requires_grad=False)
    net = torch.nn.Sequential(read, torch.nn.Flatten())
    job: Job = TORCH[way](Work(Case(net, x, rows), rows))
    return job
