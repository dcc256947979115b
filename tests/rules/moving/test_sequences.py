"""Sequences: at x they are so many tensors, whoever hands them on."""

from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from tests.rules.bodies.test_control_flow import assert_map, model

X = np.arange(1, 7, dtype=np.float32).reshape(3, 2)
UNITS = np.eye(6).reshape(6, 3, 2)


def assert_linear(text, twin, **options):
    """The map of the model is that of a linear function in NumPy."""
    W = np.stack([np.ravel(twin(unit)) for unit in UNITS], axis=1)
    assert_map(text, X, W, 0, **options)


def agraph(body, shape="a, b", constants=""):
    return f"agraph (float[3, 2] x) => (float[{shape}] y)\n<{constants}>\n{{\n{body}\n}}"


HANDED = {
    "construct and take": ("s = SequenceConstruct (x, n) y = SequenceAt (s, one)", lambda x: -x),
    "from the back": ("s = SequenceConstruct (x, n) y = SequenceAt (s, last)", lambda x: -x),
    "insert at the end": (
        "s = SequenceConstruct (x) t = SequenceInsert (s, n) y = SequenceAt (t, one)",
        lambda x: -x,
    ),
    "insert before the last": (
        "s = SequenceConstruct (x, x) t = SequenceInsert (s, n, last) y = SequenceAt (t, one)",
        lambda x: -x,
    ),
    "insert into nothing": (
        "s = SequenceEmpty () t = SequenceInsert (s, n) y = SequenceAt (t, zero)",
        lambda x: -x,
    ),
    "erase": (
        "s = SequenceConstruct (x, n, x) t = SequenceErase (s, zero) y = SequenceAt (t, zero)",
        lambda x: -x,
    ),
    "erase the last": (
        "s = SequenceConstruct (x, n, x) t = SequenceErase (s) y = SequenceAt (t, last)",
        lambda x: -x,
    ),
    "identity": (
        "s = SequenceConstruct (x, n) t = Identity (s) y = SequenceAt (t, one)",
        lambda x: -x,
    ),
    "concat": (
        "s = SequenceConstruct (x, n) y = ConcatFromSequence <axis = -1> (s)",
        lambda x: np.concatenate([x, -x], axis=-1),
    ),
    "stack": (
        "s = SequenceConstruct (x, n) y = ConcatFromSequence <axis = 1, new_axis = 1> (s)",
        lambda x: np.stack([x, -x], axis=1),
    ),
    "split by one": (
        "s = SplitToSequence <axis = 0> (n) y = SequenceAt (s, one)",
        lambda x: -x[1:2],
    ),
    "split and squeeze": (
        "s = SplitToSequence <axis = 0, keepdims = 0> (n) y = SequenceAt (s, last)",
        lambda x: -x[2],
    ),
    "split into uneven parts": (
        "s = SplitToSequence <axis = 0> (n, sizes) y = SequenceAt (s, one)",
        lambda x: -x[1:],
    ),
    "optional": (
        "s = Optional (n) y = OptionalGetElement (s)",
        lambda x: -x,
    ),
}
CONSTANTS = "int64 zero = {0}, int64 one = {1}, int64 last = {-1}, int64[2] sizes = {1, 2}"


@pytest.mark.parametrize(("body", "twin"), HANDED.values(), ids=HANDED)
def test_tensors_are_handed_on(body, twin):
    rank = np.ndim(twin(X))
    shape = ", ".join("abcd"[:rank])
    assert_linear(agraph(f"n = Neg (x)\n{body}", shape, CONSTANTS), twin)


def test_the_position_may_change_with_x():
    body = """
    n = Neg (x)
    s = SequenceConstruct (x, n)
    m = ReduceMax <keepdims = 0> (x)
    f = Floor (m)
    i = Cast <to = 7> (f)
    two = Constant <value_int = 2> ()
    k = Mod (i, two)
    y = SequenceAt (s, k)
    """
    text = agraph(body)
    assert_map(text, X, np.eye(6), 0)
    assert_map(text, X + 1, -np.eye(6), 0)


LOOP = """
    e = SequenceEmpty ()
    s = Loop (m, go, e) <
      body = g (int64 i, bool c, seq(float[a, b]) t) => (bool on, seq(float[a, b]) u) {
        on = Identity (c)
        f = Cast <to = 1> (i)
        h = Mul (x, f)
        u = SequenceInsert (t, h)
      }
    >
    y = ConcatFromSequence <axis = 0, new_axis = 1> (s)
"""


@pytest.mark.parametrize("opset", [13, 17])
def test_a_loop_may_collect_a_sequence(opset):
    text = agraph(LOOP, "k, a, b", "int64 m = {3}, bool go = {1}")
    assert_linear(text, lambda x: np.stack([0 * x, x, 2 * x]), opset=opset)


def test_a_branch_may_read_and_make_sequences():
    body = """
    n = Neg (x)
    s = SequenceConstruct (x, n)
    m = ReduceMax <keepdims = 0> (x)
    zero = Constant <value_float = 0.0> ()
    c = Greater (m, zero)
    t = If (c) <
      then_branch = g1 () => (seq(float[a, b]) p) { p = SequenceInsert (s, n) },
      else_branch = g2 () => (seq(float[a, b]) q) { q = SequenceErase (s) }
    >
    y = ConcatFromSequence <axis = 0> (t)
    """
    assert_linear(agraph(body), lambda x: np.concatenate([x, -x, -x]))


def test_sequence_map_goes_over_every_tensor():
    body = """
    s = SplitToSequence <axis = 0> (x)
    t = SequenceMap (s, x) <
      body = g (float[a, b] u, float[c, d] v) => (float[e, f] w) { w = Add (u, v) }
    >
    y = ConcatFromSequence <axis = 0> (t)
    """
    twin = lambda x: np.concatenate([x[k : k + 1] + x for k in range(3)])
    assert_linear(agraph(body), twin)


def test_a_sequence_is_no_end_of_a_map():
    text = agraph(
        "s = SequenceConstruct (x) z = SequenceAt (s, zero) y = Neg (z)", "a, b", CONSTANTS
    )
    with pytest.raises(onnxlin.TensorNameError, match="not a float tensor"):
        onnxlin.linearize(model(text), X, outputs="s")
