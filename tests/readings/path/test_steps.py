"""What a path says of its jumps: where they are, at the ends, how many; planted bugs."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path as File

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import Linearizer, RegionError
from onnxlin.primitives import Array
from onnxlin.readings import Question, integrated_gradients
from onnxlin.readings.path import march, runtime, walk
from onnxlin.readings.path.march import March
from onnxlin.readings.plane import partition
from tests.readings.path.test_jumps import MODELS, assert_pieces_are_the_model, ends_for
from tests.small import model

QDQ = """g (float[1,N] x) => (float[1,1] y)
    <float s = {0.003921569}, uint8 z = {0}, int64[1] a = {1}> {
    q = QuantizeLinear(x, s, z)  d = DequantizeLinear(q, s, z)  y = ReduceMean(d, a) }"""
COUNTED = "g (float[1,4] x) => (float[2,N] y) { n = NonZero(x)  y = Cast <to=1> (n) }"
FLOOR = "g (float[1,2] x) => (float[1,2] y) { y = Floor(x) }"


def eights(*rows: list[int]) -> tuple[Array, ...]:
    """Pictures of 8-bit levels."""
    return tuple(np.array([row], np.float32) / np.float32(255) for row in rows)


def test_roundings_that_meet_are_one_breakpoint() -> None:
    """As many breakpoints as there are different t at which a level is half way to the next."""
    rng = np.random.default_rng(0)
    first, last = rng.integers(0, 256, (2, 60))
    lin = Linearizer(model(QDQ.replace("N", "60")))
    path = walk(lin, *eights(first.tolist(), last.tolist()))
    due = {
        Fraction(abs(2 * (low + k) + 1 - 2 * int(a)), 2 * abs(int(b) - int(a)))
        for a, b in zip(first, last, strict=True)
        for low in [int(min(a, b))]
        for k in range(abs(int(b) - int(a)))
    }
    np.testing.assert_allclose(path.t[1:-1], sorted(map(float, due)), atol=1e-6, rtol=0)
    assert all(unit is not None and unit.node == "QuantizeLinear:q" for unit in path.units)


def test_f_on_a_piece_of_a_quantised_graph_is_the_runtime_s_to_the_last_bit() -> None:
    lin = Linearizer(model(MODELS["steps of 8-bit levels"]))
    x0, x1 = ends_for("", 2)
    path = walk(lin, x0, x1)
    for i in range(0, len(path), 17):
        t = np.float32((path.t[i] + path.t[i + 1]) / 2)
        if path.t[i + 1] - path.t[i] > 1e-3:
            y = lin.run(x0 + t * (x1 - x0))["y"].ravel()
            np.testing.assert_array_equal(path.left[i], y)
            np.testing.assert_array_equal(path.right[i], y)


def test_ends_on_a_jump_are_decided_to_the_side_of_the_path() -> None:
    """Floor of 1 is 1, and just below it 0: the path leaves there, and arrives from there."""
    lin = Linearizer(model(FLOOR))
    path = walk(lin, np.array([[1, 0]], np.float32), np.array([[0.5, 1]], np.float32), integrate=0)
    np.testing.assert_array_equal(path.t, [0, 1])
    np.testing.assert_array_equal(path.at_ends, [[1, 0], [0, 1]])
    np.testing.assert_array_equal(path.left, [[0, 0]])
    np.testing.assert_array_equal(path.right, [[0, 0]])
    np.testing.assert_array_equal(path.jumps, [[-1, 0], [0, 1]])
    np.testing.assert_array_equal(path([0, 0.5, 1]), [[1, 0], [0, 0], [0, 1]])
    assert [unit and unit.index for unit in path.end_units] == [(0, 0), (0, 1)]
    assert path.integrated is not None
    assert path.integrated.jumps == path.integrated.total == -1
    assert [(c.t, c.before, c.after) for c in path.changes] == [(0, 0, 0), (1, 0, 1)][1:]


def test_an_end_on_a_kink_before_a_jump() -> None:
    """Relu at 0 does not move as the model has it there; the path leaves it, and Sign jumps."""
    lin = Linearizer(model("g (float[1,1] x) => (float[1,1] y) { r = Relu(x)  y = Sign(r) }"))
    path = walk(lin, np.float32([[0]]), np.float32([[1]]))
    np.testing.assert_array_equal(path.jumps, [[1], [0]])
    assert path.end_units[0] is not None
    assert path.end_units[0].op_type == "Sign"


def test_a_change_of_decision_at_the_beginning() -> None:
    lin = Linearizer(model(FLOOR))
    path = walk(lin, np.array([[1, 0.5]], np.float32), np.array([[0.5, 1.5]], np.float32))
    assert [(c.before, c.after) for c in path.changes] == [(0, 1)]
    lin = Linearizer(model("""g (float[1,2] x) => (float[1,2] y) <float[1,2] o = {0, 0.5}> {
        f = Floor(x)  y = Add(f, o) }"""))  # fmt: skip
    path = walk(lin, np.array([[1, 0]], np.float32), np.array([[0.5, 0]], np.float32))
    assert [(c.t, c.before, c.after) for c in path.changes] == [(0, 0, 1)]


def test_a_difference_at_an_end_without_a_jump_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the model computes something else: at x0 nothing lies on an edge."""
    wrong = runtime.Rest.__call__
    monkeypatch.setattr(
        runtime.Rest,
        "__call__",
        lambda self, held: {n: v + 1 for n, v in wrong(self, held).items()},
    )
    lin = Linearizer(model(MODELS["steps of 8-bit levels"]))
    x0, x1 = ends_for("", 1)
    with pytest.raises(onnxlin.ResidualError, match="no jump of the model lies at x0"):
        walk(lin, x0, x1)


def test_what_stands_still_behind_a_jump_is_asked_anew() -> None:
    """x falls through 0, where Relu dies, and on to a step up to 0.5, where it lives again."""
    text = """g (float[1,1] x) => (float[1,1] y) <float b = {-0.25}, float h = {0.5}> {
        c = Greater(x, b)  w = Where(c, x, h)  r = Relu(w)  y = Add(r, h) }"""
    path = walk(Linearizer(model(text)), np.float32([[0.5]]), np.float32([[-1]]))
    np.testing.assert_allclose(path.t, [0, 1 / 3, 0.5, 1], atol=1e-12)
    np.testing.assert_allclose(path.left[:, 0], [1, 0.5, 1], atol=1e-12)
    np.testing.assert_allclose(path.right[:, 0], [0.5, 0.5, 1], atol=1e-12)


@pytest.mark.parametrize("first", [0.5, march.FIRST])
def test_a_jump_at_the_point_asked(first: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two entries cross at one t, where the node happens to be asked, one up and one down."""
    monkeypatch.setattr(march, "FIRST", first)
    text = """g (float[1,2] x) => (float[1,2] y) <float b = {-0.25}> {
        c = Greater(x, b)  y = Cast <to=1> (c) }"""
    path = walk(Linearizer(model(text)), np.float32([[0, -0.5]]), np.float32([[-0.5, 0]]))
    np.testing.assert_array_equal(path.t, [0, 0.5, 1])
    np.testing.assert_array_equal(path.left, [[1, 0], [0, 1]])


# Planted bugs


def wrong(name: str) -> bool:
    """Whether the law of the pieces sees a fault in one of its models."""
    lin = Linearizer(model(MODELS[name]))
    x0, x1 = ends_for(name, 2)
    try:
        path = walk(lin, x0, x1)
        assert_pieces_are_the_model(lin, {"x": x0}, {"x": x1}, path, most=1000)
    except (AssertionError, onnxlin.ResidualError):
        return True
    return False


def test_a_background_that_float64_decides_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not wrong("ceil beside x")
    monkeypatch.setattr(march, "NEAR", -1.0)
    assert wrong("ceil beside x")


def test_crossings_without_a_width_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not wrong("steps of 8-bit levels")
    monkeypatch.setattr(march, "ROUNDINGS", 0)
    assert wrong("steps of 8-bit levels")


def test_a_missed_piece_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A march that takes the first answer for the whole cell."""
    monkeypatch.setattr(
        March,
        "__call__",
        lambda self: iter([self._part(self._asked(0.9)[0], 0.0, 1.0, (None, None))]),
    )
    lin = Linearizer(model(MODELS["floor"]))
    with pytest.raises(onnxlin.ResidualError, match="no run on the piece next to it is there"):
        walk(lin, *ends_for("floor", 1))


# Other models


def trees() -> onnx.ModelProto:
    """Two stumps: 1 where x0 <= 51 / 255, 10 where x1 <= 0."""
    attributes = {
        "n_targets": 1,
        "nodes_treeids": [0, 0, 0, 1, 1, 1],
        "nodes_nodeids": [0, 1, 2, 0, 1, 2],
        "nodes_featureids": [0, 0, 0, 1, 0, 0],
        "nodes_values": [51 / 255, 0.0, 0.0, 0.0, 0.0, 0.0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"] * 2,
        "nodes_truenodeids": [1, 0, 0, 1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0, 2, 0, 0],
        "target_treeids": [0, 0, 1, 1],
        "target_nodeids": [1, 2, 1, 2],
        "target_ids": [0, 0, 0, 0],
        "target_weights": [1.0, 0.0, 10.0, 0.0],
    }
    node = onnx.helper.make_node(
        "TreeEnsembleRegressor", ["x"], ["y"], name="trees", domain="ai.onnx.ml", **attributes
    )
    x, y = (
        onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, shape)
        for n, shape in (("x", [1, 2]), ("y", [1, 1]))
    )
    graph = onnx.helper.make_graph([node], "stumps", [x], [y])
    opsets = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("ai.onnx.ml", 3)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_trees_jump_at_their_thresholds() -> None:
    lin = Linearizer(trees())
    path = walk(lin, *eights([51, 0], [102, 51]))
    np.testing.assert_array_equal(path.at_ends[:, 0], [11, 0])
    np.testing.assert_array_equal(path.left[:, 0], [0])
    path = walk(lin, *eights([0, 51], [102, 0]))
    np.testing.assert_allclose(path.t, [0, 0.5, 1], atol=1e-6)
    np.testing.assert_array_equal(path.left[:, 0], [1, 0])
    np.testing.assert_array_equal(path.jumps[:, 0], [0, -1, 10])


def test_what_no_longer_moves_runs_node_by_node_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    lin = Linearizer(model(MODELS["embedding"]))
    ends = ends_for("embedding", 0)
    whole = walk(lin, *ends)
    monkeypatch.setattr(runtime.Rest, "__call__", lambda *_: None)
    apart = walk(lin, *ends)
    np.testing.assert_array_equal(whole.left, apart.left)
    np.testing.assert_array_equal(whole.t, apart.t)


def test_hidden_inputs_jump_as_well() -> None:
    """Linearised from h on: ties of what does not move are decided by a run from there."""
    text = """g (float[1,16] x) => (float[1,16] y) <float k = {255}> {
        h = Relu(x)  m = Mul(h, k)  c = Ceil(m)  y = Sub(c, m) }"""
    x0, x1 = ends_for("", 0)
    found = walk(Linearizer(model(text), inputs="h"), x0, x1)
    plain = walk(Linearizer(model(text)), x0, x1)
    np.testing.assert_allclose(found.t, plain.t, atol=1e-12)
    np.testing.assert_allclose(found.left, plain.left, atol=1e-9)


def test_integrated_gradients_of_a_quantised_model_are_its_jumps() -> None:
    lin = Linearizer(model(QDQ.replace("N", "4")))
    x0, x1 = eights([0, 10, 20, 30], [40, 10, 0, 35])
    found = integrated_gradients(Question(lin, x1), x0)
    np.testing.assert_array_equal(found.values, 0)
    assert found.sums.what == "F(x) - F(x0) - jumps"
    assert abs(found.sums.gap) <= found.sums.bound


def test_a_patch_across_steps() -> None:
    lin = Linearizer(model(QDQ.replace("N", "4")))
    corners = eights([0, 10, 20, 30], [4, 10, 16, 31], [0, 13, 20, 25])
    found = partition(lin, *corners)
    assert sum(polygon.area for polygon in found.polygons) == pytest.approx(1)
    for polygon in found.polygons:
        if polygon.area > 1e-4:
            x = found.x(polygon.centre[None]).astype(np.float32)
            np.testing.assert_array_equal(polygon.y.max(axis=0), lin.run(x)["y"][0])


# How many pieces


def test_more_pieces_than_allowed() -> None:
    lin = Linearizer(model(QDQ.replace("N", "4")))
    ends = eights([0, 10, 20, 30], [40, 10, 0, 35])
    count = len(walk(lin, *ends))
    assert len(walk(lin, *ends, pieces=count)) == count
    with pytest.raises(RegionError, match=rf"More than {count - 1} pieces lie between"):
        walk(lin, *ends, pieces=count - 1)
    with pytest.raises(onnxlin.OptionError, match="pieces=0; expected at least 1"):
        walk(lin, *ends, pieces=0)


def test_far_more_pieces_than_allowed_end_at_once() -> None:
    lin = Linearizer(model("g (float[1,1] x) => (float[1,1] y) { y = Round(x) }"))
    seen: list[tuple[int, int]] = []
    with pytest.raises(RegionError, match=r"About 1,0\d\d,\d{3} pieces, judged by the first 0\.1"):
        walk(
            lin,
            np.zeros((1, 1), np.float32),
            np.full((1, 1), 2**20, np.float32),
            progress=lambda *at: seen.append(at),
        )
    assert seen  # pieces were finished on the way, not kept back


def test_the_limit_holds_where_all_cells_go_together(fixtures: File) -> None:
    lin = Linearizer(fixtures / "lenet5_mnist.onnx")
    x0, x1 = np.random.default_rng(0).random((2, 1, 1, 28, 28)).astype(np.float32)
    with pytest.raises(RegionError, match="More than 50 pieces"):
        walk(lin, x0, x1, pieces=50)


def test_outputs_whose_shape_x_changes() -> None:
    lin = Linearizer(
        model("g (float[1,4] x) => (float[2,N] y) { n = NonZero(x)  y = Cast <to=1> (n) }")
    )
    x0, x1 = np.array([[1, 0, 1, 0]], np.float32), np.array([[1, 1, -1, 0]], np.float32)
    with pytest.raises(RegionError, match=r"The output 'y' has the shape \(2, 2\) where the way"):
        walk(lin, x0, x1)
    with pytest.raises(RegionError, match=r"\(2, 2\) where the way begins and \(2, 3\) further on"):
        walk(lin, x0, np.array([[1, 0, -1, 1]], np.float32)[:, [0, 3, 2, 1]][:, [0, 1, 2, 3]])
