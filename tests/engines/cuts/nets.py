"""Nets with a narrow middle, and some that only look so."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx

from tests.small import model

Arrays = dict[str, tuple[int, ...]]


def seeded(text: str, shapes: Arrays, *, scale: float = 0.5) -> onnx.ModelProto:
    """Parse a model, its initialisers drawn."""
    rng, proto = np.random.default_rng(len(text)), model(text)
    for name, shape in shapes.items():
        array = rng.normal(scale=scale, size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return proto


def stack(widths: list[int], act: str = "Tanh") -> onnx.ModelProto:
    """Layers of given widths: tensors h1, a1, h2, a2, ... , y."""
    lines, shapes, name = [], Arrays(), "x"
    for i, (before, width) in enumerate(pairwise(widths), 1):
        last = i == len(widths) - 1
        out = "y" if last else f"h{i}"
        lines.append(f"[fc{i}] {out} = Gemm({name}, W{i}, b{i})")
        shapes |= {f"W{i}": (before, width), f"b{i}": (width,)}
        if not last:
            lines.append(f"[act{i}] a{i} = {act}({out})")
            name = f"a{i}"
    text = f"g (float[1,{widths[0]}] x) => (float[1,{widths[-1]}] y) {{ {'  '.join(lines)} }}"
    return seeded(text, shapes)


def around() -> onnx.ModelProto:
    """A skip goes around the narrow h."""
    return seeded(
        "g (float[1,6] x) => (float[1,9] y) { h = MatMul(x, A)  t = Tanh(h)  up = MatMul(t, B)"
        "  skip = MatMul(x, C)  wide = Add(up, skip)  y = Sin(wide) }",
        {"A": (6, 2), "B": (2, 9), "C": (6, 9)},
    )


def pair() -> onnx.ModelProto:
    """All paths pass s or t, as those of a cell pass its state and its output."""
    return seeded(
        "g (float[1,8] x) => (float[1,9] y) { h = MatMul(x, A)  w = Tanh(h)"
        "  s = MatMul(w, S)  t = MatMul(w, T)  us = Tanh(s)  ut = Sin(t)"
        "  vs = MatMul(us, U)  vt = MatMul(ut, V)  wide = Add(vs, vt)  y = Sin(wide) }",
        {"A": (8, 12), "S": (12, 2), "T": (12, 1), "U": (2, 9), "V": (1, 9)},
    )


def beside() -> onnx.ModelProto:
    """A second input joins behind the narrow part of the first."""
    return seeded(
        "g (float[1,8] x, float[1,2] z) => (float[1,9] y, float[1,2] t)"
        " { h = MatMul(x, A)  w = Tanh(h)  t = MatMul(w, T)"
        "  a = MatMul(t, U)  b = MatMul(z, V)  wide = Add(a, b)  y = Sin(wide) }",
        {"A": (8, 12), "T": (12, 2), "U": (2, 9), "V": (2, 9)},
    )


def token() -> onnx.ModelProto:
    """Of five tokens of a width of 4 the first alone is read by a head of 9."""
    return seeded(
        "g (float[1,5,6] x) => (float[1,9] y) <int64 zero = {0}> { e = MatMul(x, E)"
        "  turned = Transpose <perm = [0, 2, 1]> (e)  score = MatMul(e, turned)"
        "  p = Softmax <axis = -1> (score)  mixed = MatMul(p, e)  r = Add(e, mixed)"
        "  act = Tanh(r)  up = MatMul(act, U)  z = Add(r, up)  first = Gather <axis = 1> (z, zero)"
        "  y = MatMul(first, H) }",
        {"E": (6, 4), "U": (4, 4), "H": (4, 9)},
    )


def at(proto: onnx.ModelProto, seed: int = 0) -> dict[str, np.ndarray]:
    """An input."""
    rng = np.random.default_rng(seed)
    return {
        value.name: rng.normal(
            size=[dim.dim_value for dim in value.type.tensor_type.shape.dim]
        ).astype(np.float32)
        for value in proto.graph.input
    }
