"""What was cut apart meets again where it is read, through reshapes and transposes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from onnxlin import Linearizer, compile_model
from tests.small import model

# As exporters write the projections of attention: one product, cut into three, heads in between.
HEADS = (
    "g (float[1,4,6] x) => (float[4,1,2,3] y) <float[6,6] A, int64[5] s, int64[4] q> "
    "{ h = MatMul(x, A)  t = Transpose <perm=[1,0,2]> (h)  u = Reshape(t, s)"
    "  v = Transpose <perm=[2,0,1,3,4]> (u)  a, b, c = Split <axis=0, num_outputs=3> (v)"
    "  USES  p = Reshape(o, q)  y = Concat <axis=3> (p, p, p) }"
)
USES = {
    "all": "m = Relu(a)  n = Mul(b, m)  o = Add(n, c)",
    "some": "m = Relu(a)  o = Add(m, c)",
    "one": "o = Relu(b)",
    "twice": "m = Add(a, b)  n = Relu(a)  k = Mul(c, n)  o = Add(m, k)",
}


def heads(uses: str) -> onnx.ModelProto:
    made = model(HEADS.replace("USES", USES[uses]))
    A = np.random.default_rng(0).integers(-2, 3, (6, 6)).astype(np.float32)
    given = {"A": A, "s": np.array([4, 1, 3, 1, 2]), "q": np.array([4, 1, 2, 1])}
    made.graph.initializer.extend(onnx.numpy_helper.from_array(v, n) for n, v in given.items())
    return made


def instance() -> Any:
    return np.random.default_rng(1).integers(-3, 4, (1, 4, 6)).astype(np.float32)


@pytest.mark.parametrize("rows", [None, [3]])
@pytest.mark.parametrize("uses", USES)
def test_rows_are_those_of_the_sweep(uses: str, rows: Any) -> None:
    lin = Linearizer(heads(uses))
    x = instance()
    found, expected = (lin(x, rows=rows, engine=e) for e in ("compiled", "reverse"))
    np.testing.assert_array_equal(found.W, expected.W)
    np.testing.assert_array_equal(found.b, expected.b)
    found.verify()


def test_pieces_are_put_side_by_side_where_they_are_read() -> None:
    made = compile_model(heads("some"))
    # The forward pass moves q, k and v to the front; nothing moves them back.
    moves = [n for n in made.graph.node if n.op_type == "Transpose"]
    assert sum(len(n.attribute[0].ints) >= 5 for n in moves) == 1
