"""Control flow: the map of the branch taken, and of the iterations that ran."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest

import onnxlin
from onnxlin.rules import RULES

HEAD = '<ir_version: 8, opset_import: ["" : {opset}]>\n'


def model(text: str, opset: int = 17) -> onnx.ModelProto:
    parsed = onnx.parser.parse_model(HEAD.format(opset=opset) + text)
    onnx.checker.check_model(parsed)
    return parsed


def assert_map(text, x, W, b, *, opset=17, mode="tangent"):
    for dtype in (np.float32, np.float64):
        m = onnxlin.linearize(model(text, opset), x, mode=mode, dtype=dtype)
        m.verify()
        # Every number in these models is a small binary fraction, so nothing is rounded.
        np.testing.assert_array_equal(m.W, W)
        np.testing.assert_array_equal(m.b, np.broadcast_to(b, m.b.shape))


IF = """
agraph (float[2] x) => (float[2] y)
<float[2] w = {4.0, 0.5}, float zero = {0.0}>
{
  s = ReduceSum <keepdims = 0> (x)
  c = Greater (s, zero)
  h = Mul (x, w)
  y = If (c) <
    then_branch = g1 () => (float[2] t) { t = Mul (h, w) },
    else_branch = g2 () => (float[2] e) { n = Neg (x)  e = Add (n, w) }
  >
}
"""


def test_if_is_the_branch_taken_with_what_it_reads_from_outside():
    assert_map(IF, np.float32([1, 2]), np.diag([16, 0.25]), 0)
    assert_map(IF, np.float32([1, -2]), -np.eye(2), [4, 0.5])


def test_a_branch_that_reads_nothing_of_x_is_constant():
    text = IF.replace("e = Add (n, w)", "e = Identity (w)")
    assert_map(text, np.float32([1, -2]), np.zeros((2, 2)), [4, 0.5])


LOOP = """
agraph (float[2] x, int64 m) => (float[2] y, float[k, 2] all)
<float[2] w = {2.0, 0.5}, float[1] limit = {100.0}, bool go = {1}>
{
  y, all = Loop (m, go, x) <
    body = g (int64 i, bool c, float[2] h) => (bool on, float[2] next, float[2] out) {
      next = Mul (h, w)
      f = Cast <to = 1> (i)
      out = Add (next, f)
      top = ReduceMax <keepdims = 0> (next)
      short = Squeeze (limit)
      on = Less (top, short)
    }
  >
}
"""
ONLY_STATE = LOOP.replace(", float[k, 2] all)", ")").replace("y, all = Loop", "y = Loop")
ONLY_STATE = ONLY_STATE.replace(", float[2] out) {", ") {").replace("out = Add", "unused = Add")


@pytest.mark.parametrize("trips", [0, 1, 3])
@pytest.mark.parametrize("text", [LOOP, ONLY_STATE])
def test_loop_is_its_iterations_one_after_the_other(text, trips):
    w = np.array([2, 0.5])
    rows = [np.diag(w**trips)] + [np.diag(w ** (k + 1)) for k in range(trips)]
    bias = np.repeat([0, *range(trips)], 2)
    count = len(rows) if text is LOOP else 1
    x = {"x": np.float32([1, 2]), "m": np.int64(trips)}
    assert_map(text, x, np.concatenate(rows[:count]), bias[: 2 * count])


@pytest.mark.parametrize("text", [LOOP, ONLY_STATE])
def test_loop_stops_where_its_condition_says_so_at_x(text):
    # 30 -> 60 -> 120: the second iteration ends it, whatever the trip count.
    x = {"x": np.float32([30, 2]), "m": np.int64(50)}
    m = onnxlin.linearize(model(text), x)
    np.testing.assert_array_equal(m.W[:2], np.diag([4, 0.25]))
    assert len(m.W) == (6 if text is LOOP else 2)


NESTED = """
agraph (float[2] x) => (float[2] y)
<float[2] w = {2.0, 0.5}, int64 m = {4}, bool go = {1}, int64 two = {2}>
{
  twice = Add (x, x)
  y = Loop (m, go, x) <
    body = g (int64 i, bool c, float[2] h) => (bool on, float[2] next)
      <float[2] half = {0.5, 0.5}> {
      on = Identity (c)
      early = Less (i, two)
      next = If (early) <
        then_branch = g1 () => (float[2] t) { t = Mul (h, half) },
        else_branch = g2 () => (float[2] e) { u = Mul (h, w)  e = Add (u, twice) }
      >
    }
  >
}
"""


def test_nested_control_flow_sees_all_outer_tensors():
    # Halved twice, then twice: times w, plus 2 x.
    w = np.array([2, 0.5])
    assert_map(NESTED, np.float32([1, 2]), np.diag((w / 4 + 2) * w + 2), 0)


OLD = """
agraph (float[2, 3] x) => (float[2, 1] y)
<int64 m = {2}, bool go = {1}>
{
  s = ReduceSum <axes = [1]> (x)
  y = Loop (m, go, s) <
    body = g (int64 i, bool c, float[2, 1] h) => (bool on, float[2, 1] next) {
      on = Identity (c)
      t = ReduceSum <axes = [1]> (x)
      v = Squeeze <axes = [1]> (t)
      u = Unsqueeze <axes = [1]> (v)
      next = Add (h, u)
    }
  >
}
"""


def test_bodies_in_old_operator_sets_are_brought_to_the_newest_form():
    W = 3 * np.kron(np.eye(2), np.ones((1, 3)))
    assert_map(OLD, np.arange(6, dtype=np.float32).reshape(2, 3), W, 0, opset=11)


SCAN = """
agraph (float[2] h0, float[2, 3] x) => (float[2] h, float[3, 2] y, float[2, 3] z)
{
  h, y, z = Scan <num_scan_inputs = 1, scan_input_axes = [AXIS], scan_input_directions = [BACK],
    scan_output_axes = [0, -1], scan_output_directions = [0, 1],
    body = g (float[2] s, float[2] v) => (float[2] next, float[2] a, float[2] b) {
      next = Add (s, v)
      a = Identity (next)
      b = Neg (v)
    }
  > (h0, x)
}
"""


def scan_twin(h, x, axis, back):
    steps = list(np.moveaxis(x, axis, 0))[:: -1 if back else 1]
    states = [h := h + v for v in steps]
    return [states[-1], np.stack(states), np.stack([-v for v in steps[::-1]], -1)]


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("back", [0, 1])
def test_scan_follows_axes_and_directions(axis, back):
    text = SCAN.replace("AXIS", str(axis)).replace("BACK", str(back))
    h, x = np.float32([1, 2]), np.arange(6, dtype=np.float32).reshape(2, 3)

    def twin(v):
        made = scan_twin(v[:2], v[2:].reshape(2, 3), axis, back)
        return np.concatenate([part.ravel() for part in made])

    W = np.stack([twin(unit) for unit in np.eye(8)], axis=1)
    assert_map(text, {"h0": h, "x": x}, W, 0)


def test_products_in_a_loop_have_both_readings():
    square = """
    agraph (float[2] x) => (float[2] y)
    <int64 m = {2}, bool go = {1}>
    {
      y = Loop (m, go, x) <
        body = g (int64 i, bool c, float[2] h) => (bool on, float[2] next) {
          on = Identity (c)
          next = Mul (h, h)
        }
      >
    }
    """
    x = np.float32([0.5, 2])
    assert_map(square, x, np.diag(4 * x**3), -3 * x**4)
    assert_map(square, x, np.diag(x**3), 0, mode="frozen")


def test_an_operator_without_a_rule_inside_a_body_is_named(monkeypatch):
    monkeypatch.delitem(RULES, ("", "Neg"))
    lin = onnxlin.Linearizer(model(IF))
    with pytest.raises(onnxlin.MissingRuleError, match="no rule for Neg"):
        lin(np.float32([1, -2]))
    lin(np.float32([1, 2]))  # the other branch has none
