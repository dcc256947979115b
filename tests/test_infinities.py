"""Wherever F is finite its map is finite and right: infinities that no output sees weigh 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onnxlin
from onnxlin.section import MODES
from onnxlin.testing import GrownModel, onnx_models
from tests.infinities import GUARDS, INFINITE, LIMITS, NO_NUMBER, plant
from tests.longer import LONG
from tests.proofs import unrefused
from tests.small import model

ENGINES = ("explicit", "reverse", "forward", "live", "cut", "compiled")
NET = """g (float[2,3] x) => (float[2,2] y) <float[3,2] A = {1, -2, 3, 0.5, -1, 2}> {
    h = MatMul(x, A)  s = Softplus(h)  y = Mul(s, h) }"""
X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]], np.float32)
PLANTS = [
    *((bad, guard) for bad in (*INFINITE, *NO_NUMBER) for guard in GUARDS),
    *((bad, limit) for bad in INFINITE for limit in LIMITS),
]
# Some, among them every guard and every bad number; all pairs take minutes.
FEW = PLANTS if LONG else PLANTS[::7]


def assert_unchanged(
    proto: onnx.ModelProto,
    planted: onnx.ModelProto,
    x: dict[str, Any],
    engines: Sequence[str] = ENGINES,
) -> None:
    """W, b and y are those of the model without the plants, by every engine in both readings."""
    for mode in MODES:
        for engine in engines:
            how = {"mode": mode, "engine": engine, "dtype": np.float32}
            try:
                m = onnxlin.linearize(proto, x, **how)
            except (onnxlin.CompileError, onnxlin.OptionError):  # no graph of this one
                continue
            n = onnxlin.linearize(planted, x, **how)
            # What decides nothing without the plants decides nothing with them.
            n.verify() if m.verdict is not onnxlin.Verdict.UNDECIDED else unrefused(n)
            np.testing.assert_array_equal(n.y, m.y)
            room = 1e-5 * (1 + np.abs(m.W).max(initial=0))
            np.testing.assert_allclose(n.W, m.W, rtol=1e-5, atol=room)
            scale = 1 + max((np.abs(b).max() for b in m.bias_by_node.values()), default=0)
            np.testing.assert_allclose(n.b, m.b, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize(("bad", "guard"), FEW, ids=lambda name: name.replace(" ", "-"))
def test_each_plant_by_each_guard(bad: str, guard: str) -> None:
    proto, tensor = model(NET), "h" if guard in GUARDS else "x"
    makes, keeps = (INFINITE | NO_NUMBER)[bad], (GUARDS | LIMITS)[guard]
    assert_unchanged(proto, plant(proto, tensor, makes, keeps), {"x": X})


@settings(max_examples=max(settings().max_examples // 2, 1))
@given(onnx_models(max_nodes=5), st.data())
def test_random_graphs_keep_their_maps(grown: GrownModel, data: st.DataObject) -> None:
    inferred = onnx.shape_inference.infer_shapes(grown.model).graph
    kinds = [*inferred.value_info, *inferred.output, *inferred.input]
    floats = [info.name for info in kinds if info.type.tensor_type.elem_type == 1]
    tensor = data.draw(st.sampled_from(sorted(set(floats))))
    bad, guard = data.draw(st.sampled_from(PLANTS))
    planted = plant(grown.model, tensor, (INFINITE | NO_NUMBER)[bad], (GUARDS | LIMITS)[guard])
    assert_unchanged(grown.model, planted, grown.x)


def unweighed(value: Any) -> Any:
    """In the place of `weighable`: infinities as they are."""
    return value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("engine", ENGINES)
def test_infinities_that_weigh_something_are_seen(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted bug: the policy is left out where pieces are made."""
    proto = model(NET)
    planted = plant(proto, "h", INFINITE["1 / 0"], GUARDS["not taken"])
    monkeypatch.setattr("onnxlin.program.pieces.weighable", unweighed)
    with pytest.raises((AssertionError, onnxlin.ResidualError)):
        assert_unchanged(proto, planted, {"x": X}, [engine])
