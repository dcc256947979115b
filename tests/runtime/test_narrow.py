"""Models in float16, bfloat16 and float64, and graphs that mix them, from file to verified map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.primitives import Array
from tests.agree import assert_same_rows
from tests.installed import require
from tests.proofs import unrefused
from tests.small import model

T = onnx.TensorProto
KINDS = {"float16": T.FLOAT16, "bfloat16": T.BFLOAT16, "float64": T.DOUBLE}


def converted(proto: onnx.ModelProto, kind: int) -> onnx.ModelProto:
    """The same model with another type in the place of float32."""
    new = onnx.ModelProto()
    new.CopyFrom(proto)
    del new.graph.value_info[:]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    stored = [a.t for node in new.graph.node for a in node.attribute]
    for tensor in [*new.graph.initializer, *stored]:
        if tensor.data_type == T.FLOAT:
            array = onnx.numpy_helper.to_array(tensor).astype(dtype)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    for info in (*new.graph.input, *new.graph.output):
        if info.type.tensor_type.elem_type == T.FLOAT:
            info.type.tensor_type.elem_type = kind
    return new


def picture(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(3).random(shape)


def shape_of(proto: onnx.ModelProto) -> tuple[int, ...]:
    return tuple(d.dim_value or 1 for d in proto.graph.input[0].type.tensor_type.shape.dim)


NETS = ["mlp5_mnist", "lenet5_mnist", "cnn_bn_mnist", "resnet_mnist", "densenet_fashion"]


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", NETS)
def test_sixteen_bits(fixtures: Path, name: str, kind: str) -> None:
    """W is float32; the bound follows from the 16 bits, and still says something."""
    require(fixtures / f"{name}.onnx")
    proto = onnx.load(fixtures / f"{name}.onnx")
    x = picture(shape_of(proto))
    m = unrefused(onnxlin.linearize(converted(proto, KINDS[kind]), x))
    assert m.dtype == np.float32
    assert {value.dtype.name for value in m.outputs.values()} == {kind}
    assert 1e-6 < m.residual.max() < m.bound.max() < (0.04 if kind == "float16" else 0.2)
    unrefused(onnxlin.linearize(converted(proto, KINDS[kind]), x, dtype=np.float64, rows=[0]))


@pytest.mark.parametrize("name", ["mlp2_mnist", "mlp5_mnist"])
def test_float64(fixtures: Path, name: str) -> None:
    require(fixtures / f"{name}.onnx")
    proto = onnx.load(fixtures / f"{name}.onnx")
    x = picture(shape_of(proto))
    m = onnxlin.linearize(converted(proto, T.DOUBLE), x).verify()
    assert m.W.dtype == np.float64
    assert m.residual.max() <= m.bound.max() < 1e-11
    single = onnxlin.linearize(proto, x, dtype=np.float64).verify()
    # The same weights under the same pattern.
    assert_same_rows(single, m.W)


def test_float64_without_a_kernel(fixtures: Path) -> None:
    proto = converted(onnx.load(fixtures / "lenet5_mnist.onnx"), T.DOUBLE)
    with pytest.raises(onnxlin.ModelError, match=r"Conv\(.*no CPU kernel.*numpy.float64"):
        onnxlin.Linearizer(proto)


MIXED = """g (float16[2,3] x, float[2,4] u) => (double[2,4] y, bfloat16[2,4] v)
<float16[3,4] A> {
    h = MatMul(x, A)
    r = Relu(h)
    a = Cast<to = 1>(r)
    s = Add(a, u)
    v = Cast<to = 16>(s)
    w = Relu(v)
    d = Cast<to = 11>(w)
    t = Neg(d)
    y = Add(d, t2)
    t2 = Sigmoid(t)
}"""


@pytest.mark.parametrize("mode", ["tangent", "frozen"])
def test_mixed_precision(mode: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    proto = model(MIXED)
    weights = rng.normal(size=(3, 4)).astype(np.float16)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weights, "A"))
    x = {"x": rng.normal(size=(2, 3)), "u": rng.normal(size=(2, 4))}
    m = onnxlin.linearize(proto, x, mode=mode).verify()
    assert m.dtype == np.float32
    onnxlin.linearize(proto, x, mode=mode, dtype=np.float64, engine="explicit").verify()
    m.save(tmp_path / "mixed.npz")
    again = onnxlin.AffineMap.load(tmp_path / "mixed.npz")
    np.testing.assert_array_equal(again.y, m.y)
    np.testing.assert_array_equal(again.W, m.W)


def test_bfloat16_rounds_after_every_node() -> None:
    """The runtime has no kernels of it: each node runs in float32 and rounds to 8 bits."""
    proto = model("g (bfloat16[3] x) => (bfloat16[3] y) { h = Add(x, x)  y = Mul(h, x) }")
    x = np.array([1.0078125, 3.140625, -0.1], np.float32)
    m = onnxlin.linearize(proto, x).verify()
    exact = m.x * (2 * m.x)
    assert (np.abs(m.y - exact) <= 2.0**-8 * np.abs(exact)).all()
    np.testing.assert_array_equal(m.y, m.y.astype(m.outputs["y"].dtype).astype(np.float64))


def test_a_wrong_node_is_seen(fixtures: Path) -> None:
    """The bound of 16 bits is tight enough to catch one product that is off by a hundredth."""
    proto = converted(onnx.load(fixtures / "lenet5_mnist.onnx"), T.FLOAT16)
    m = onnxlin.linearize(proto, picture(shape_of(proto)))
    assert m.first_departure() is None
    assert m._origin is not None
    last = m._origin.program.steps[-1]
    origin = replace(m._origin, values=m._origin.values | {last.output: m.outputs["logits"] * 1.01})
    wrong = onnxlin.AffineMap(
        inputs=m.inputs,
        outputs=m.outputs,
        rows=m.rows,
        mode=m.mode,
        engine=m.engine,
        plan=m.plan,
        dtype=m.dtype,
        origin=origin,
    )
    with pytest.raises(onnxlin.ResidualError, match=last.node.name):
        wrong.verify()
