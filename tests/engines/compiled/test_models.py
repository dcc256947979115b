"""Models with odd ends: each compiles and is right at another x, or says why it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import onnxlin
from onnxlin import Linearizer
from tests.engines.compiled.elsewhere import assert_agrees, plain
from tests.installed import require_quantising
from tests.small import model

Make = Callable[[np.random.Generator], dict[str, Any]]


def floats(dtype: Any = np.float32, **shapes: tuple[int, ...]) -> Make:
    """Inputs of these shapes."""
    return lambda rng: {n: np.asarray(rng.normal(size=s), dtype) for n, s in shapes.items()}


def beside(given: Make, **more: Callable[[np.random.Generator], Any]) -> Make:
    """The same with further inputs."""
    return lambda rng: given(rng) | {name: make(rng) for name, make in more.items()}


def mask(rng: np.random.Generator) -> Any:
    """-inf where nothing may be read; the first of every row may be."""
    hidden = rng.random((2, 3)) < 0.5
    hidden[:, 0] = False
    return np.where(hidden, -np.inf, rng.normal(size=(2, 3))).astype(np.float32)


ONE = "<int64[1] i = {0}, int64[1] a = {1}>"
CASES: dict[str, tuple[str, Make, dict[str, Any]]] = {
    "scalars": (
        "g (float x, float z) => (float y) { h = Mul(x, z)  y = Sin(h) }",
        floats(x=(), z=()),
        {},
    ),
    "an output that another one reads": (
        "g (float[2] x) => (float[2] y, float[2] z) { y = Relu(x)  z = Neg(y) }",
        floats(x=(2,)),
        {},
    ),
    "a constant output": (
        "g (float[2] x) => (float[2] y, float[2] z) <float[2] c = {1, 2}> "
        "{ y = Relu(x)  z = Identity(c) }",
        floats(x=(2,)),
        {},
    ),
    "an output that depends on what is held": (
        "g (float[2] x, float[2] h) => (float[2] y, float[2] z) { y = Relu(x)  z = Exp(h) }",
        floats(x=(2,), h=(2,)),
        {"inputs": ["x"]},
    ),
    "an output that is an input": (
        "g (float[2] x) => (float[2] y) { y = Relu(x) }",
        floats(x=(2,)),
        {"outputs": ["x", "y"]},
    ),
    "nothing but the input": (
        "g (float[2] x) => (float[2] y) { y = Relu(x) }",
        floats(x=(2,)),
        {"outputs": ["x"]},
    ),
    "an output asked for twice": (
        "g (float[2] x) => (float[2] y) { y = Relu(x) }",
        floats(x=(2,)),
        {"outputs": ["y", "y"]},
    ),
    "from the middle on": (
        "g (float[2] x) => (float[2] y) { h = Exp(x)  k = Neg(h)  y = Mul(k, h) }",
        floats(x=(2,)),
        {"inputs": ["k"]},
    ),
    "a tensor read twice": (
        "g (float[2] x) => (float[2] y) { h = Relu(x)  y = Add(h, h) }",
        floats(x=(2,)),
        {},
    ),
    "a factor that is held": (
        "g (float[2] x, float[2] h) => (float[2] y) { a = Exp(h)  y = Mul(x, a) }",
        floats(x=(2,), h=(2,)),
        {"inputs": ["x"]},
    ),
    "names that the compiled graph likes for itself": (
        "g (float[2] seeds) => (float[2] shares, float[2] seeds_W) "
        "{ shares = Relu(seeds)  seeds_W = Neg(seeds) }",
        floats(seeds=(2,)),
        {},
    ),
    "positions among the inputs": (
        "g (float[3, 4] x, int64[2] i) => (float[2, 4] y) { h = Gather(x, i)  y = Relu(h) }",
        beside(floats(x=(3, 4)), i=lambda rng: rng.integers(-3, 3, 2)),
        {},
    ),
    "one position among the inputs": (
        "g (float[3, 4] x, int64 i) => (float[3] y) { y = Gather <axis=1> (x, i) }",
        beside(floats(x=(3, 4)), i=lambda rng: rng.integers(-4, 4)),
        {},
    ),
    "positions of elements among the inputs": (
        "g (float[3, 4] x, int64[3, 2] i) => (float[3, 2] y) "
        "{ y = GatherElements <axis=1> (x, i) }",
        beside(floats(x=(3, 4)), i=lambda rng: rng.integers(-4, 4, (3, 2))),
        {},
    ),
    "positions of slices among the inputs": (
        "g (float[3, 4, 2] x, int64[3, 2] i) => (float[3, 2] y) { y = GatherND(x, i) }",
        beside(floats(x=(3, 4, 2)), i=lambda rng: rng.integers(-3, 3, (3, 2))),
        {},
    ),
    "a choice among the inputs": (
        "g (float[3] x, bool[3] c) => (float[3] y) <float z = {2}> { y = Where(c, x, z) }",
        beside(floats(x=(3,)), c=lambda rng: rng.random(3) < 0.5),
        {},
    ),
    "a choice that x makes": (
        "g (float[3] x) => (float[3] y) <float z = {0}> "
        "{ c = Greater(x, z)  a = Neg(x)  b = Exp(x)  y = Where(c, a, b) }",
        floats(x=(3,)),
        {},
    ),
    "a mask of infinities among the inputs": (
        "g (float[2, 3] x, float[2, 3] m) => (float[2, 3] y) { h = Add(x, m)  y = Softmax(h) }",
        beside(floats(x=(2, 3)), m=mask),
        {"inputs": ["x"]},
    ),
    "a mask of infinities from a choice": (
        "g (float[2, 3] x, float[2, 3] m) => (float[2, 3] y) <float z = {0}> { "
        "o = Log(z)  c = Less(m, z)  w = Where(c, z, o)  h = Add(x, w)  y = Softmax(h) }",
        lambda rng: {"x": rng.normal(size=(2, 3)), "m": np.array([[-1, *rng.normal(size=2)]] * 2)},
        {"inputs": ["x"]},
    ),
    "a constant mask of infinities": (
        "g (float[2, 2] x) => (float[2, 2] y) <float[2, 2] m = {1, 0, 1, 1}> "
        "{ w = Log(m)  h = Add(x, w)  y = Softmax(h) }",
        floats(x=(2, 2)),
        {},
    ),
    "attention under a mask": (
        "g (float[1, 2, 4] x, float[2, 2] m) => (float[1, 2, 4] y) { "
        "k = Transpose <perm=[0, 2, 1]> (x)  s = MatMul(x, k)  t = Add(s, m)  "
        "p = Softmax(t)  y = MatMul(p, x) }",
        beside(floats(x=(1, 2, 4)), m=lambda rng: mask(rng)[:, :2]),
        {"inputs": ["x"]},
    ),
    "an empty part": (
        "g (float[2, 0] p, float[2, 3] x) => (float[2, 3] y) "
        "{ h = Concat <axis=1> (p, x)  y = Relu(h) }",
        floats(p=(2, 0), x=(2, 3)),
        {},
    ),
    "an empty part that is held": (
        "g (float[2, 0] p, float[2, 3] x) => (float[2, 3] y) "
        "{ h = Concat <axis=1> (p, x)  y = Relu(h) }",
        floats(p=(2, 0), x=(2, 3)),
        {"inputs": ["x"]},
    ),
    "an empty output": (
        f"g (float[2, 3] x) => (float[2, 0] y, float[2, 3] z) {ONE} "
        "{ y = Slice(x, i, i, a)  z = Concat <axis=1> (y, x) }",
        floats(x=(2, 3)),
        {},
    ),
    "a sum of nothing": (
        f"g (float[2, 3] x) => (float[2] z) {ONE} "
        "{ y = Slice(x, i, i, a)  z = ReduceSum <keepdims=0> (y, a) }",
        floats(x=(2, 3)),
        {},
    ),
    "float64": (
        "g (double[2, 3] x) => (double[2, 3] y) <double[3, 3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9}> "
        "{ h = MatMul(x, w)  y = Softmax(h) }",
        floats(np.float64, x=(2, 3)),
        {},
    ),
    "float64 inside": (
        "g (float[2] x) => (float[2] y) { h = Cast <to=11> (x)  k = Exp(h)  y = Cast <to=1> (k) }",
        floats(x=(2,)),
        {},
    ),
    "shapes that the graph works out": (
        "g (float[N, M] x) => (float[M, N] y) <int64[2] p = {1, 0}> "
        "{ s = Shape(x)  r = Gather(s, p)  h = Reshape(x, r)  y = Relu(h) }",
        floats(x=(2, 3)),
        {},
    ),
    "rounding as an offset": (
        "g (float[2, 3] x) => (float[2, 3] y) <float s = {0.1}, int8 z = {3}> "
        "{ q = QuantizeLinear(x, s, z)  y = DequantizeLinear(q, s, z) }",
        floats(x=(2, 3)),
        {"rounding": "straight-through"},
    ),
}


@pytest.mark.parametrize("mode", ["tangent", "frozen"])
@pytest.mark.parametrize("name", CASES)
def test_model(name: str, mode: str) -> None:
    text, make, options = CASES[name]
    if "QuantizeLinear" in text:
        require_quantising()
    lin = Linearizer(model(text), session_options=plain(), mode=mode, **options)
    rng = np.random.default_rng(0)
    count = sum(y.size for y in lin(make(rng), engine="compiled").outputs.values())
    for rows in (None, [], [0], [count - 1, 0], np.ones((2, count))):
        lin(make(rng), rows, engine="compiled")
        m = assert_agrees(lin, make(rng), rows)
        assert m is not None
        m.verify()


REFUSED: dict[str, tuple[str, Make, str]] = {
    "a branch": (
        """g (float[2] x) => (float[n] y) <float z = {0}> {
            s = ReduceSum <keepdims=0> (x)  c = Greater(s, z)
            y = If (c) <then_branch = t () => (float[2] a) { a = Neg(x) },
                        else_branch = e () => (float[4] b) { b = Concat<axis=0>(x, x) }> }""",
        floats(x=(2,)),
        "values decide which branch If at node .* takes, and the two may differ in shape",
    ),
    "a loop that goes on until": (
        """g (float[2] x) => (float[2] y) <int64 n = {9}, bool t = {1}, float ten = {10}> {
            y = Loop(n, t, x) <body = b (int64 i, bool c, float[2] v) => (bool d, float[2] w) {
                w = Add(v, x)  s = ReduceMax <keepdims=0> (w)  d = Less(s, ten) }> }""",
        floats(x=(2,)),
        "values decide how often Loop at node ",
    ),
    "a number of entries": (
        "g (float[3] x, bool[3] c) => (float[N] y) { h = Compress(x, c)  y = Relu(h) }",
        beside(floats(x=(3,)), c=lambda rng: np.array([True, False, True])),
        "values decide the shape of what Compress makes at node ",
    ),
    "bounds of a slice": (
        "g (float[3] x, int64[1] n) => (float[N] y) <int64[1] i = {0}> { y = Slice(x, i, n) }",
        beside(floats(x=(3,)), n=lambda rng: np.array([2])),
        "values decide the shape of what Slice makes at node ",
    ),
    "a shape that is held": (
        "g (float[2, 3] x, int64[2] s, float[2, 3] h) => (float[N, M] y) "
        "{ a = Reshape(h, s)  b = ReduceSum <keepdims=0> (a)  y = Add(x, b) }",
        beside(floats(x=(2, 3), h=(2, 3)), s=lambda rng: np.array([3, 2])),
        "values decide the shape of what Reshape makes at node ",
    ),
    "coarser numbers inside": (
        "g (double[2] x) => (double[2] y) { h = Cast <to=1> (x)  y = Cast <to=11> (h) }",
        lambda rng: {"x": rng.normal(size=2)},
        "tensor 'h' is float32, coarser than the map's float64",
    ),
    "no kernel": (
        "g (float[2] x) => (float[2] y) { n = RandomNormal <shape=[2]> ()  y = Add(x, n) }",
        floats(x=(2,)),
        "onnxruntime cannot open the compiled graph: .*RandomNormal",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason(name: str) -> None:
    text, make, reason = REFUSED[name]
    lin, x = Linearizer(model(text), inputs=["x"]), make(np.random.default_rng(0))
    message = f"engine='compiled' cannot serve this model: {reason}.* Use engine='auto' or"
    for _ in range(2):
        with pytest.raises(onnxlin.OptionError, match=message):
            lin(x, engine="compiled")
    for _ in range(3):
        assert lin(x, engine="auto").verify().engine in ("reverse", "forward")
