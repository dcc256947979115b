"""What must be true of every model that anybody brings."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

import onnxlin
from onnxlin import Linearizer
from onnxlin.graph import Array
from onnxlin.load import load
from onnxlin.section import make_section
from onnxlin.testing.draw.draw import shapes
from onnxlin.testing.laws.subject import spread_rows

# Against the program's own float64 forward pass: a promise of the design, for any model.
COMPOSITION = 1e-12


def unrefused(m: onnxlin.AffineMap) -> onnxlin.AffineMap:
    """Return a map that `verify` does not refuse; that its bound decides nothing is no refusal."""
    try:
        return m.verify()
    except onnxlin.UndecidedError:
        return m


def assert_linear_or_listed(model: onnx.ModelProto, x: dict[str, Array]) -> str:
    """The map equals the model at x, or else every obstacle is named; return which.

    With obstacles, the part of the model before the first of them must be linear.
    """
    report = onnxlin.check_model(model)
    if not report.ok:
        assert_all_listed(model, report)
        before = before_obstacles(model, report)
        if before:
            try:
                assert_equals(Linearizer(model, outputs=before), x)
            except onnxlin.ModelError:
                return "not runnable"  # by onnxruntime, as the error says
        return "obstacles"
    assert_equals(Linearizer(model), x)
    return "linear"


def before_obstacles(model: onnx.ModelProto, report: Any) -> list[str]:
    """The float tensors that the first node in the way reads and that depend on x."""
    graph = load(model)
    first = next(node for node in graph.nodes if node.name == report.obstacles[0].name)
    section = make_section(graph, None, None)
    return [n for n in first.reads if n in section.traced and n not in graph.inputs]


def assert_equals(lin: Linearizer, x: dict[str, Array]) -> None:
    """Residuals are within their bounds in both precisions, and verify() says so."""
    # A hidden tensor where the map starts (behind integer ids) has no size before the run.
    outputs, inputs = lin.run(x), sum(x[n].size for n in lin.section.inputs if n in x)
    rows = spread_rows(sum(y.size for y in outputs.values()), inputs)
    for dtype in (np.float64, None):
        m = lin(x, rows=rows, dtype=dtype)
        assert (m.residual <= m.bound).all()
        unrefused(m)
        if dtype is not None:
            assert m.composition_residual.max(initial=0) <= COMPOSITION


def assert_all_listed(model: onnx.ModelProto, report: Any) -> None:
    """linearize raises one error that names every node in the way."""
    try:
        Linearizer(model)
    except onnxlin.MissingRuleError as error:
        text = str(error)
    else:
        raise AssertionError("check_model lists obstacles, but the model is accepted")
    for node in report.obstacles:
        assert repr(node.name) in text
        assert node.op_type in text
        assert node.obstacle in text


def instance(model: onnx.ModelProto, seed: int, size: int = 3) -> dict[str, Array]:
    """Random values for every input; an axis of open length gets 1 (the first) or ``size``."""
    rng = np.random.default_rng(seed)
    inputs = load(model).inputs
    found = shapes(inputs, size)
    return {name: _filled(rng, found[name], kind.dtype) for name, kind in inputs.items()}


def _filled(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "f":
        return rng.random(shape).astype(dtype)
    return np.ones(shape, dtype) if dtype.kind in "iub" else np.full(shape, "a", dtype)
