"""A compiled map is held against the model's own run, not against the graph that made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import AffineMap, Linearizer
from onnxlin.engines.compiled import Runner
from onnxlin.engines.compiled import tracer as tracing
from onnxlin.engines.compiled.session import Raw
from onnxlin.graph import Array
from onnxlin.program.carried import near_ties
from onnxlin.readings.row.report import report
from onnxlin.runtime import session as door
from onnxlin.testing import LawError
from onnxlin.testing.laws import LAWS
from onnxlin.testing.laws.subject import Subject
from tests.engines.compiled.test_quantised import TWICE
from tests.small import X, mlp, model

SHAPE = (1, 8, 5, 5)


def tied(bias: Array | None = None) -> tuple[onnx.ModelProto, Array]:
    """Two convolutions, an x, and in the first the biases at which every channel has a tie there.

    In the middle of the picture the rectifiers read sums that cancel to 0 in the model's own run.
    The blocked convolutions of an optimised session add the same numbers up in another order.
    """
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(size=(16, 8, 3, 3)) / 5,
        "b": np.zeros(16) if bias is None else bias,
        "v": rng.normal(size=(4, 16, 3, 3)) / 5,
    }
    x = rng.normal(size=SHAPE).astype(np.float32)
    proto = model(
        """g (float[1,8,5,5] x, float[16,8,3,3] w, float[16] b, float[4,16,3,3] v)
            => (float[1,4,3,3] y) {
            c = Conv<pads=[1,1,1,1]>(x, w, b)  r = Relu(c)  y = Conv(r, v) }"""
    )
    del proto.graph.input[1:]
    for name, array in weights.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array.astype(np.float32), name))
    if bias is None:
        c = Linearizer(proto, outputs=["c"]).run(x)["c"]
        return tied(-c[0, :, 2, 2])
    return proto, x


def near(m: AffineMap) -> list[str]:
    return [note for note in m.notes if note.startswith("near tie: ")]


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_a_near_tie_that_fell_to_the_other_side_is_told(many: bool) -> None:
    """Both maps are right: W differs by far more than rounding, and verify passes either."""
    proto, x = tied()
    lin = Linearizer(proto)
    own = lin(x, engine="reverse").verify()
    made = [*lin.map(np.repeat(x, 4, axis=0), engine="compiled")] if many else []
    m = made[0] if many else lin(x, engine="compiled")
    if np.abs(m.W - own.W).max() <= 0.01 * np.abs(own.W).max():
        pytest.skip("this processor adds up convolutions in one order alone")
    assert not near(m)
    m.verify()
    (note,) = near(m)
    assert "took the other side of a kink. Within rounding of one: Relu " in note
    assert "Both maps are right at x; engine='reverse' gives the one of" in note
    assert report(made[1] if many else lin(x, engine="compiled"))["map"]["notes"] == list(m.notes)
    m.verify()
    assert near(m) == [note]
    assert not near(own)


def test_nothing_is_told_where_nothing_fell() -> None:
    """Near ties that both runs put on one side are none of the reader's business."""
    proto, x = tied()
    plain = Linearizer(proto, session_options=door.without_optimisers())
    m = plain(x, engine="compiled").verify()
    made = m.made_from("the test")
    assert [tie.step.node.op_type for tie in near_ties(made.program, made.values)] == ["Relu"]
    assert not near(m)
    assert not near(Linearizer(mlp())(X, engine="compiled").verify())


def test_of_no_rows_nothing_is_told() -> None:
    proto, x = tied()
    assert not near(Linearizer(proto)(x, rows=[], engine="compiled").verify())


def altered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a graph whose y, W and b are those of another model, and agree with each other."""
    true = Runner.raw

    def twice(self: Runner, *given: Any) -> Raw:
        found = true(self, *given)
        ends = {n: v * np.float32(1.01) if n in self._ends else v for n, v in found.values.items()}
        return Raw(found.W * np.float32(1.01), found.shares * np.float32(1.01), ends)

    monkeypatch.setattr(Runner, "raw", twice)


def test_a_graph_that_agrees_with_itself_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    altered(monkeypatch)
    m = Linearizer(mlp())(X, engine="compiled")
    np.testing.assert_allclose(m.y, m.Wx + m.b, rtol=1e-5)
    assert (m.residual > m.bound).any()
    with pytest.raises(onnxlin.ResidualError, match=r"Row .*: W x \+ b = .*, F\(x\) = "):
        m.verify()
    for law in LAWS:
        if law.name in ("at-x", "engines"):
            subject = Subject(mlp(), engine="compiled")
            with pytest.raises(LawError):
                law.check(subject, subject.feeds(X), "tangent")


def test_a_y_that_is_not_the_models_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Runner.raw

    def off(self: Runner, *given: Any) -> Raw:
        found = true(self, *given)
        return Raw(found.W, found.shares, {n: v + 1 for n, v in found.values.items()})

    monkeypatch.setattr(Runner, "raw", off)
    m = Linearizer(mlp())(X, engine="compiled")
    with pytest.raises(onnxlin.ResidualError, match=r"the graph that W was made by has y = "):
        m.verify()


def test_pairs_that_an_optimiser_merges_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was: the pairs as they are, and the optimisers on."""
    true = door.opened
    monkeypatch.setattr(tracing, "spell_out", lambda *_: False)
    monkeypatch.setattr(door, "opened", lambda made, options, *_, **__: true(made, options))
    m = Linearizer(model(TWICE))(np.array([0.25, 1.25], np.float32), engine="compiled")
    assert (m.residual > m.bound).any()
    with pytest.raises(onnxlin.ResidualError):
        m.verify()


def test_a_loaded_map_is_held_against_the_same_run(tmp_path: Path) -> None:
    proto, x = tied()
    m = Linearizer(proto)(x, engine="compiled")
    m.save(tmp_path / "map.npz")
    again = AffineMap.load(tmp_path / "map.npz")
    for name in ("y", "own_y", "residual"):
        np.testing.assert_array_equal(getattr(again, name), getattr(m, name))
    with np.load(tmp_path / "map.npz") as file:
        np.testing.assert_array_equal(file["own_output"], m.own_y)


def test_other_engines_have_one_run() -> None:
    m = onnxlin.linearize(mlp(), X, engine="reverse")
    assert m.own_outputs is m.outputs
    assert m.own_y is m.y
