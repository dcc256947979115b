"""One signed number for each feature: they and the rest sum to F(x)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as draw
from hypothesis import settings
from hypothesis import strategies as st

import onnxlin
from onnxlin import AffineMap, InputError, Linearizer, ResidualError, RowsError, linearize
from onnxlin.program.rates import gamma
from onnxlin.readings import contributions, margin, mean, relative
from onnxlin.readings.checks import UNIT, allowed, chosen
from onnxlin.testing import GrownModel, onnx_models
from tests.agree import assert_close, assert_same_rows, sums
from tests.readings.nets import NETS, given, pictures
from tests.small import X, mlp

few = settings(max_examples=max(settings().max_examples // 2, 1))


def assert_sums(m: AffineMap, found: onnxlin.readings.Contributions, rows: object = None) -> None:
    assert (np.abs(found.total + found.rest - found.y) <= allowed(m, chosen(m, rows))).all()


@pytest.mark.parametrize("name", NETS)
def test_contributions_of_a_net_are_w_times_x(name: str) -> None:
    path, x = given(name)
    m = linearize(path, x, dtype=np.float64)
    found = contributions(m)
    np.testing.assert_array_equal(found.values, m.W * m.x)
    np.testing.assert_array_equal(found.rest, m.b)
    assert found.rows == m.row_names
    assert_sums(m, found)
    (shaped,) = found.by_input.values()
    np.testing.assert_array_equal(shaped, found.values.reshape(10, 1, 1, 28, 28))


@draw(onnx_models(min_nodes=2), st.sampled_from(["tangent", "frozen"]))
def test_contributions_sum_to_f_on_any_graph(grown: GrownModel, mode: str) -> None:
    for dtype in (np.float32, np.float64):
        m = linearize(grown.model, grown.x, mode=mode, dtype=dtype)
        found = contributions(m)
        assert_sums(m, found)
        parts = [part.reshape(len(part), -1) for part in found.by_input.values()]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), found.values)
        assert [part.shape[1:] for part in found.by_input.values()] == list(m.shapes[0].values())


@few
@draw(onnx_models(min_nodes=2), st.integers(0, 3), st.integers(0, 99))
def test_rows_may_be_positions_or_combinations(grown: GrownModel, k: int, seed: int) -> None:
    m = linearize(grown.model, grown.x, dtype=np.float64)
    whole, rng = contributions(m), np.random.default_rng(seed)
    mix = rng.integers(-2, 3, (k, len(m.rows)))
    slack = gamma(2 * len(m.rows) + 2, UNIT) * (np.abs(mix) @ np.abs(m.W)) * np.abs(m.x)
    assert (np.abs(contributions(m, mix).values - (mix @ m.W) * m.x) <= slack).all()
    picked = rng.integers(0, max(len(m.rows), 1), k if len(m.rows) else 0)
    np.testing.assert_array_equal(contributions(m, picked).values, whole.values[picked])
    assert_sums(m, mean(m), np.full((1, len(m.rows)), 1 / max(len(m.rows), 1)))


def test_a_margin_is_the_difference_of_two_rows() -> None:
    path, x = given("lenet5_mnist")
    m = linearize(path, x, dtype=np.float64)
    found = margin(m, 7, 3)
    np.testing.assert_array_equal(found.values[0], (m.W[7] - m.W[3]) * m.x)
    assert found.y[0] == m.y[7] - m.y[3]
    assert found.rows == ("7 against 3",)
    # Of a map of some rows, outputs are still named by their index.
    some = linearize(path, x, rows=[3, 7], dtype=np.float64)
    np.testing.assert_array_equal(margin(some, 7, 3).values[0], (some.W[1] - some.W[0]) * m.x)
    # Two rows alone and ten of them together are added up in another order.
    assert_same_rows(some, m.W[[3, 7]])
    with pytest.raises(RowsError, match=r"Output 5 is not among .* \[3, 7\]\. Linearise with rows"):
        margin(some, 7, 5)
    # Of a map of combinations, the rows are all there is.
    mixed = linearize(path, x, rows=np.eye(10)[:2], dtype=np.float64)
    np.testing.assert_array_equal(margin(mixed, 0, 1).y, [mixed.y[0] - mixed.y[1]])
    assert contributions(mixed).rows == ("combination 0", "combination 1")


def test_the_mean_of_all_rows() -> None:
    m = linearize(mlp(), X, dtype=np.float64)
    np.testing.assert_allclose(mean(m).values[0], m.W.mean(axis=0) * m.x, rtol=1e-14)
    assert mean(m).rows == ("mean",)


def test_nothing_is_absolute_or_rescaled_unless_asked() -> None:
    m = linearize(mlp(), X, dtype=np.float64)
    found = contributions(m)
    assert (found.values < 0).any()
    np.testing.assert_array_equal(found.absolute, np.abs(found.values))
    np.testing.assert_array_equal(found.fraction, found.values / m.y[:, None])


@pytest.mark.parametrize("name", NETS)
def test_against_a_baseline(name: str) -> None:
    path, x = given(name)
    lin = Linearizer(path)
    m = lin(x, dtype=np.float64)
    x0 = pictures("digit")[1:2]
    found = relative(m, x0, lin)
    np.testing.assert_array_equal(found.values, m.W * (m.x - x0.ravel()))
    sizes = np.abs(m.W) @ np.abs(x0.ravel().astype(np.float64)) + np.abs(m.b)
    assert_close(found.rest, m(x0), sums(len(m.x) + 1, sizes))
    np.testing.assert_array_equal(found.F0, next(iter(lin.run(x0).values())).ravel())
    np.testing.assert_array_equal(found.gap, found.F0 - found.rest)
    assert np.abs(found.gap).max() > 0.01  # another digit lies in another region


@few
@draw(onnx_models(min_nodes=2), st.floats(-2, 2))
def test_any_baseline_leaves_the_sum_as_it_is(grown: GrownModel, level: float) -> None:
    m = linearize(grown.model, grown.x, dtype=np.float64)
    found = relative(m, {name: np.full_like(value, level) for name, value in m.inputs.items()})
    size = 2 * np.abs(m.W) @ np.full(m.x.shape, abs(level))
    assert (np.abs(found.total + found.rest - m.y) <= allowed(m, chosen(m, None), size)).all()
    assert found.F0 is found.gap is None


def test_at_x_itself_the_map_is_the_model() -> None:
    path, x = given("lenet5_mnist")
    lin = Linearizer(path)
    m = lin(x)
    found = relative(m, x, lin)
    assert not found.values.any()
    assert (np.abs(found.gap) <= m.bound * m.scale).all()
    np.testing.assert_array_equal(relative(m, 0).values, contributions(m).values)
    np.testing.assert_array_equal(relative(m, 0, lin, [7]).rest, m.b[[7]])


def test_a_planted_error_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    m = linearize(mlp(), X)
    right = AffineMap.b.func
    slack = 2 * (m.bound * m.scale).max()
    monkeypatch.setattr(AffineMap, "b", property(lambda m: right(m) + slack))
    message = r"sum of W x over the features, \+ b, against F\(x\): row \d has .* against .*, apart"
    with pytest.raises(ResidualError, match=message):
        contributions(m)
    with pytest.raises(ResidualError, match=r"sum of W \(x - x0\) \+ \(W x0 \+ b\) against F\(x\)"):
        relative(m, 0.0)


def test_baselines_that_do_not_fit() -> None:
    path, x = given("lenet5_mnist")
    lin = Linearizer(path)
    m = lin(x)
    with pytest.raises(InputError, match="baseline has 3 entries; the map takes 784"):
        relative(m, [1, 2, 3])
    with pytest.raises(InputError, match="holds 1 NaN or infinite values"):
        relative(m, np.nan)
    with pytest.raises(InputError, match=r"baseline names \['y'\]; the map starts at \['image'\]"):
        relative(m, {"y": x})
    inside = Linearizer(path, inputs=lin.graph.nodes[1].outputs[0])
    with pytest.raises(InputError, match=r"The model runs from \['image'\], the map starts at"):
        relative(inside(x), 0, lin)
