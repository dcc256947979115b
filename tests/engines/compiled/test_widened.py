"""Models of 16-bit floats by every engine; graphs compute them in float32, and say so."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest

import onnxlin
from onnxlin.load import load
from onnxlin.section import make_section
from onnxlin.section.widened import widened
from tests.agree import assert_same_map
from tests.engines.compiled.elsewhere import plain
from tests.small import model

HALF = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
WIDTH = 6
ENGINES = ("explicit", "reverse", "forward", "live", "compiled")


def decoder(kind: str) -> onnx.ModelProto:
    """Norm, attention with angles and a mask that are held, a gated layer, all of one type."""
    low = float(ml_dtypes.finfo(HALF[kind]).min)
    text = f"""g (int64[1,4] ids, int64[1,4] mask) => ({kind}[1,4,7] logits) {{
        e = Gather(table, ids)
        h = LayerNormalization<epsilon = 0.001>(e, gain, shift)
        m1 = Cast<to = {TYPES[kind]}>(mask)
        turn = Cos(m1)  t1 = Unsqueeze(turn, two)  q0 = MatMul(h, A)  q = Mul(q0, t1)
        k = MatMul(h, B)  v = MatMul(h, C)
        kt = Transpose<perm = [0, 2, 1]>(k)  s = MatMul(q, kt)
        m2 = Sub(unit, m1)  m3 = Mul(m2, low)
        m4 = Unsqueeze(m3, one)  t = Add(s, m4)  w = Softmax(t)  a = MatMul(w, v)
        r = Add(e, a)  g0 = MatMul(r, D)  g1 = Sigmoid(g0)  g2 = Mul(g0, g1)
        u = MatMul(r, E)  p = Mul(g2, u)  o = MatMul(p, F)  z = Add(r, o)  f = Relu(z)
        c = Cast<to = 1>(f)  c1 = Cast<to = {TYPES[kind]}>(c)  logits = MatMul(c1, head) }}"""
    proto, drawn = model(text, 17), np.random.default_rng(5)
    shapes = dict.fromkeys("ABCDEF", (WIDTH, WIDTH)) | {"table": (9, WIDTH), "head": (WIDTH, 7)}
    arrays: dict[str, Any] = {n: drawn.normal(size=shape) * 0.5 for n, shape in shapes.items()}
    arrays |= {"gain": drawn.uniform(0.5, 1, WIDTH), "shift": drawn.normal(size=WIDTH)}
    arrays |= {"unit": np.ones(()), "low": np.array(low)}
    stored = {n: np.asarray(a).astype(HALF[kind]) for n, a in arrays.items()}
    stored |= {"one": np.array([1]), "two": np.array([2])}
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(a, n) for n, a in stored.items())
    return proto


TYPES = {"float16": onnx.TensorProto.FLOAT16, "bfloat16": onnx.TensorProto.BFLOAT16}
X = {"ids": np.array([[3, 1, 8, 8]]), "mask": np.array([[0, 1, 1, 1]])}


@pytest.mark.parametrize("kind", HALF)
@pytest.mark.parametrize("mode", ["tangent", "frozen"])
def test_every_engine_has_the_same_map(kind: str, mode: str) -> None:
    lin = onnxlin.Linearizer(decoder(kind), mode=mode, session_options=plain())
    found = {engine: lin(X, engine=engine) for engine in ENGINES}
    for engine, m in found.items():
        # Of so few digits as bfloat16 has rounding may leave a row of this size undecided.
        assert (m.residual <= m.bound).all()
        assert (m.composition_residual <= m.composition_bound).all()
        assert m.first_departure() is None
        assert_same_map(found["reverse"], m, anew=engine == "compiled")
    said = f"computed in float32: the compiled graph takes the {kind} numbers"
    assert [said in " ".join(m.notes) for m in found.values()] == [False] * 4 + [True]


@pytest.mark.parametrize("kind", HALF)
def test_a_file_of_it_takes_and_gives_float32(kind: str) -> None:
    proto = decoder(kind)
    made = onnxlin.compile_model(proto, x=X)
    onnx.checker.check_model(made, full_check=True)
    kinds = {t.data_type for t in made.graph.initializer}
    assert not kinds & set(TYPES.values())
    m = onnxlin.linearize(proto, X, dtype=np.float64)
    session = onnxruntime.InferenceSession(made.SerializeToString())
    seeds = np.eye(28, dtype=np.float32)
    y, W, b = session.run(["logits", "seeds_W", "seeds_b"], {**X, "seeds": seeds})
    # Of float32 and of as many products as a row has, of terms not larger than these.
    size = np.abs(m.W).max() * 2.0**-24 * m.W.shape[1]
    np.testing.assert_allclose(W, m.W, rtol=0, atol=64 * size)
    np.testing.assert_allclose(W @ m.x + b, y.ravel(), rtol=0, atol=64 * size)


@pytest.mark.parametrize("kind", HALF)
def test_floats_that_are_fed_are_brought_to_float32(kind: str) -> None:
    text = f"g ({kind}[2,3] x, {kind}[3] z) => ({kind}[2,3] y) {{ h = Add(x, z)  y = Softmax(h) }}"
    drawn = np.random.default_rng(6)
    x = {n: drawn.normal(size=s).astype(HALF[kind]) for n, s in {"x": (2, 3), "z": (3,)}.items()}
    lin = onnxlin.Linearizer(model(text, 17), session_options=plain())
    m = lin(x, engine="compiled").verify()
    assert_same_map(lin(x, engine="reverse"), m, anew=True)
    again = lin({n: v + v for n, v in x.items()}, engine="compiled").verify()
    assert not np.array_equal(again.W, m.W)


def test_what_is_wide_already_is_left_as_it_is() -> None:
    section = make_section(load(model("g (float[2] x) => (float[2] y) { y = Neg(x) }")), None, None)
    assert widened(section) is section
    half = make_section(load(decoder("float16")), None, None)
    wide = widened(half)
    assert wide is not half
    assert [n.name for n in wide.nodes] == [n.name for n in half.nodes]
    assert all(a.dtype != np.float16 for a in wide.graph.initialisers.values())
    assert half.graph.initialisers["head"].dtype == np.float16
