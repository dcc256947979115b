"""Compiled models run by plain runtimes, beside the engines that interpret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from hypothesis import assume

import onnxlin
from onnxlin import AffineMap
from onnxlin.graph import Array
from tests.twin import by_hand


def session(model: onnx.ModelProto | str, *, optimised: bool = False) -> Any:
    """Open a model with onnxruntime.

    Without its optimisers the forward pass is to the last bit what the other engines see. Fused
    kernels round differently, so a unit within a rounding of its kink may lie on the other side.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = model if isinstance(model, str) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run(opened: Any, feeds: dict[str, Array]) -> dict[str, Array]:
    """Every output by name."""
    names = [output.name for output in opened.get_outputs()]
    return dict(zip(names, opened.run(names, feeds), strict=True))


def facts(model: onnx.ModelProto) -> dict[str, str]:
    """The metadata."""
    return {entry.key: entry.value for entry in model.metadata_props}


def elsewhere(x: dict[str, Array], seed: int) -> dict[str, Array]:
    """Another x of the same shapes and types."""
    rng = np.random.default_rng(seed)
    return {n: rng.normal(size=v.shape).astype(v.dtype) if v.dtype.kind == "f" else v
            for n, v in x.items()}  # fmt: skip


def compiled(model: onnx.ModelProto, **options: Any) -> onnx.ModelProto:
    """Compile and check; give up the example where a rule decides from values."""
    try:
        made = onnxlin.compile_model(model, **options)
    except onnxlin.CompileError:
        assume(False)
    onnx.checker.check_model(made, full_check=True)
    return made


@dataclass(frozen=True, eq=False)
class Reference:
    """The map at an x by ``engine="reverse"``, and how far another way of rounding may lie off.

    Parameters
    ----------
    W, b, y : array
    slack, bias_slack : array like W, like b
    """

    W: Array
    b: Array
    y: Array
    slack: Array
    bias_slack: Array
    map: AffineMap

    @classmethod
    def at(cls, model: Any, x: Any, **options: Any) -> Reference:
        """Linearise at x, in the model's precision."""
        m = onnxlin.linearize(model, x, engine="reverse", **options)
        hand = by_hand(m, apart=True)
        return cls(m.W, m.b, m.y, hand.slack, hand.bias_slack, m)

    def assert_rows(self, seeds: Array, answer: dict[str, Array]) -> None:
        """``seeds @ W`` and ``seeds @ b`` are those of the map; one more sum, over the rows."""
        size = np.abs(seeds).astype(np.float64)
        more = 1 + seeds.shape[1]
        exact = seeds.astype(np.float64)
        gap = np.abs(answer["seeds_W"] - exact @ self.W)
        assert gap.shape == (len(seeds), self.W.shape[1])
        assert (gap <= more * (size @ self.slack)).all()
        gap = np.abs(answer["seeds_b"] - exact @ self.b)
        assert gap.shape == (len(seeds),)
        assert (gap <= more * (size @ self.bias_slack)).all()

    def assert_columns(self, tangents: Array, answer: dict[str, Array]) -> None:
        """``tangents @ W.T`` is that of the map; one more sum, over the columns."""
        gap = np.abs(answer["W_tangents"] - tangents.astype(np.float64) @ self.W.T)
        assert gap.shape == (len(tangents), self.W.shape[0])
        more = 1 + tangents.shape[1]
        assert (gap <= more * (np.abs(tangents).astype(np.float64) @ self.slack.T)).all()


def integers(rng: np.random.Generator, *shape: int) -> Array:
    """Small whole numbers, exact in every precision."""
    return rng.integers(-2, 3, shape).astype(np.float32)
