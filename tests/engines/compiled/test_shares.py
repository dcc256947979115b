"""Shares of b of small nets: one product with a matrix of all constant biases."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxlin import Linearizer
from onnxlin.engines.compiled import shares
from tests.small import model

X = np.array([[0.5, -1.25, 2.0]], np.float32)


def net() -> onnx.ModelProto:
    """Constant biases of several sizes, one subtracted, one twice at a node, one that x moves."""
    proto = model(
        """g (float[1,3] x, float[3,4] w, float[4,4] v, float[4] b, float[4] c) => (float[1,4] y) {
            p = MatMul(x, w)  q = Sub(b, p)  r = Relu(q)  s = Tanh(r)
            t = Gemm(s, v, c)  u = Concat<axis=1>(q, t)
            lo, hi = Split<axis=1, num_outputs=2>(u)  z = Sub(hi, lo)
            k = Neg(z)  y = Add(k, c) }"""
    )
    del proto.graph.input[1:]
    rng = np.random.default_rng(3)
    for name, shape in {"w": (3, 4), "v": (4, 4), "b": (4,), "c": (4,)}.items():
        array = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return proto


@pytest.mark.parametrize("rows", [[1], None], ids=["one", "all"])
@pytest.mark.parametrize("blocks", [shares.BLOCKS, 0], ids=["at once", "apart"])
def test_they_are_those_of_reverse(
    blocks: int, rows: list[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "BLOCKS", blocks)
    lin = Linearizer(net())
    m, own = lin(X, rows, engine="compiled").verify(), lin(X, rows, engine="reverse")
    runner = lin._ready.shelf.latest(lin.feeds(X), single=rows is not None)
    products = [n for n in runner.compiled.model.graph.node if n.op_type == "ReduceSum"]
    assert bool(products) == (not blocks)
    assert dict(m.bias_by_node).keys() == {n for n, v in own.bias_by_node.items() if v.any()}
    for node, share in m.bias_by_node.items():
        np.testing.assert_allclose(share, own.bias_by_node[node], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(m.b, own.b, rtol=1e-5, atol=1e-6)
