"""Small transformers in the forms that exporters and model families give them."""

from __future__ import annotations

import numpy as np
import onnx

from tests.small import model

T, WIDTH, WORDS, LAYERS = 5, 6, 11, 2
IDS = np.array([[3, 1, 7, 1, 10]])
EARLY, LATE, PARALLEL = "norm first", "norm behind", "parallel"
FORMS = [(form, spelt) for form in (EARLY, LATE, PARALLEL) for spelt in (False, True)]
"""Where norms stand, and whether they are spelt out by simpler nodes."""


def _norm(x: str, y: str, spelt: bool) -> str:
    if not spelt:
        return f"{y} = LayerNormalization<axis = -1>({x}, gain, shift) "
    return (
        f"{y}m = ReduceMean({x}, last) {y}d = Sub({x}, {y}m) {y}q = Pow({y}d, two) "
        f"{y}v = ReduceMean({y}q, last) {y}e = Add({y}v, eps) {y}s = Sqrt({y}e) "
        f"{y}n = Div({y}d, {y}s) {y}g = Mul({y}n, gain) {y} = Add({y}g, shift) "
    )


def _attention(x: str, y: str, i: int) -> str:
    return (
        f"{y}q = MatMul({x}, Q{i}) {y}k = MatMul({x}, K{i}) {y}v = MatMul({x}, V{i}) "
        f"{y}t = Transpose<perm = [0, 2, 1]>({y}k) {y}s = MatMul({y}q, {y}t) "
        f"{y}u = Add({y}s, causal) {y}w = Softmax<axis = -1>({y}u) {y}z = MatMul({y}w, {y}v) "
        f"{y}o = MatMul({y}z, O{i}) {y} = Add({y}o, o{i}) "
    )


def _mlp(x: str, y: str, i: int) -> str:
    # onnxruntime has no Gelu of float64.
    return (
        f"{y}a = MatMul({x}, A{i}) {y}b = Add({y}a, a{i}) {y}g = Tanh({y}b) "
        f"{y}h = MatMul({y}g, B{i}) {y} = Add({y}h, b{i}) "
    )


def _layer(i: int, form: str, spelt: bool) -> str:
    """From ``h{i}`` to ``h{i + 1}``; ``r{i}`` stands behind attention."""
    h, r, n = f"h{i}", f"r{i}", f"h{i + 1}"
    if form == EARLY:
        return (
            _norm(h, f"x{i}", spelt) + _attention(f"x{i}", f"y{i}", i) + f"{r} = Add({h}, y{i}) "
            + _norm(r, f"z{i}", spelt) + _mlp(f"z{i}", f"w{i}", i) + f"{n} = Add({r}, w{i}) "
        )  # fmt: skip
    if form == LATE:
        return (
            _attention(h, f"y{i}", i) + f"x{i} = Add(y{i}, {h}) " + _norm(f"x{i}", r, spelt)
            + _mlp(r, f"w{i}", i) + f"z{i} = Add(w{i}, {r}) " + _norm(f"z{i}", n, spelt)
        )  # fmt: skip
    return (
        _norm(h, f"x{i}", spelt) + _attention(f"x{i}", f"y{i}", i)
        + _mlp(f"x{i}", f"w{i}", i) + f"c{i} = Add(y{i}, w{i}) {n} = Add(c{i}, {h}) "
    )  # fmt: skip


def transformer(form: str = EARLY, spelt: bool = False) -> onnx.ModelProto:
    """A decoder in float64: ids, a table, learned places, layers, scores of every word."""
    behind = "" if form == LATE else _norm(f"h{LAYERS}", "top", spelt)
    top = f"h{LAYERS}" if form == LATE else "top"
    layers = "".join(_layer(i, form, spelt) for i in range(LAYERS))
    made = model(
        f"g (int64[1,{T}] ids) => (double[1,{T},{WORDS}] y) "
        "<int64[1] last = {-1}, double two = {2}, double eps = {1e-5}> { "
        f"e = Gather(table, ids) h0 = Add(e, places) {layers}{behind} "
        f"y = MatMul({top}, head) }}",
        20,
    )
    rng = np.random.default_rng(0)
    shapes = {"table": (WORDS, WIDTH), "places": (T, WIDTH), "head": (WIDTH, WORDS)}
    shapes |= {"gain": (WIDTH,), "shift": (WIDTH,)}
    for i in range(LAYERS):
        shapes |= {f"{name}{i}": (WIDTH, WIDTH) for name in "QKVO"} | {f"o{i}": (WIDTH,)}
        shapes |= {f"A{i}": (WIDTH, 2 * WIDTH), f"a{i}": (2 * WIDTH,)}
        shapes |= {f"B{i}": (2 * WIDTH, WIDTH), f"b{i}": (WIDTH,)}
    arrays = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    arrays["causal"] = np.triu(np.full((T, T), -1e9), 1)  # nobody sees who comes later
    made.graph.initializer.extend(
        onnx.numpy_helper.from_array(a, name) for name, a in arrays.items()
    )
    return made
