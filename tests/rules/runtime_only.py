"""Nodes of the runtime's own domains, whose kernels compute in float32 only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

import onnxlin
from onnxlin import AffineMap, Linearizer
from tests.installed import asked

Array = npt.NDArray[Any]
Feeds = Mapping[str, Array]

ML, MS = "ai.onnx.ml", "com.microsoft"

# Numbers on this grid, and so far apart, are float32 numbers with nothing rounded off.
GRID, STEP = 2.0**-6, 2.0**-9


def numbers(seed: int, *shape: int, scale: float = 1.0) -> Array:
    """Draw normal numbers, float32, on the grid."""
    drawn = np.random.default_rng(seed).normal(size=shape) * scale
    return (np.round(drawn / GRID) * GRID).astype(np.float32)


def node_model(
    op_type: str,
    x: Feeds,
    fixed: Feeds | None = None,
    *,
    domain: str = MS,
    order: Sequence[str] = (),
    outputs: Sequence[str] = ("y",),
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of one node: inputs ``x``, then initialisers ``fixed``, or as ``order`` says."""
    helper, fixed = onnx.helper, fixed or {}
    reads = list(order) or [*x, *fixed]
    given = {name: value for name, value in attributes.items() if value is not None}
    node = helper.make_node(op_type, reads, outputs, name="lone", domain=domain, **given)
    kinds = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in x.items()}
    inputs = [helper.make_tensor_value_info(n, kinds[n], v.shape) for n, v in x.items()]
    results = [onnx.ValueInfoProto(name=name) for name in outputs if name]
    stored = [onnx.numpy_helper.from_array(np.asarray(v), n) for n, v in fixed.items()]
    graph = helper.make_graph([node], "lone", inputs, results, stored)
    versions = (("", 20), (ML, 3), (MS, 1))
    opsets = [helper.make_opsetid(name, version) for name, version in versions]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def both_modes(proto: onnx.ModelProto, x: Feeds) -> list[AffineMap]:
    """Tangent and frozen maps in float64, verified, after those in float32 have been."""
    found = []
    for mode in ("tangent", "frozen"):
        lin = Linearizer(proto, mode=mode)
        with asked(proto, x):
            lin(dict(x), dtype=np.float32).verify()
            found.append(lin(dict(x), dtype=np.float64).verify())
    return found


def assert_derivative(proto: onnx.ModelProto, x: Feeds) -> None:
    """W is the derivative of the program's own forward pass in float64, which `verify` ties down.

    Differences of fourth order at the step h are off by about h^4 of the fifth derivative, and by
    eps / h of the values.
    """
    lin = Linearizer(proto)
    with asked(proto, x):
        m = lin(dict(x), dtype=np.float64).verify()
    columns = []
    for name in lin.section.inputs:
        for i in range(x[name].size):
            near, far = (_central(lin, x, name, i, STEP * n) for n in (1, 2))
            columns.append((4 * near - far) / 3)
    found = np.stack(columns, axis=1)
    largest = 1 + np.abs(m.W).max(initial=0) + np.abs(m.y).max(initial=0)
    assert np.abs(found - m.W).max(initial=0) <= largest * 1e-6


def _central(lin: Linearizer, x: Feeds, name: str, i: int, step: float) -> Array:
    ends = []
    for by in (step, -step):
        value = x[name].copy()
        value.flat[i] += np.float32(by)
        given = {**x, name: value}
        m = lin(given, dtype=np.float64)
        flat = np.concatenate([given[name].ravel() for name in lin.section.inputs])
        ends.append(m.W @ flat.astype(np.float64) + m.b)
    return np.asarray((ends[0] - ends[1]) / (2 * step))


def refusal(proto: onnx.ModelProto, x: Feeds) -> str:
    """The error that a rule refuses a node with."""
    try:
        onnxlin.linearize(proto, dict(x))
    except onnxlin.UnsupportedNodeError as error:
        return str(error)
    raise AssertionError("not refused")
