"""Singular values and norms are those of W."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as draw
from hypothesis import settings

from onnxlin import OptionError, ResidualError, linearize
from onnxlin.program.rates import gamma
from onnxlin.readings import norms, spectrum
from onnxlin.readings.checks import UNIT
from onnxlin.testing import GrownModel, onnx_models
from tests.agree import assert_close, sums
from tests.readings.nets import NETS, filled, given
from tests.small import X, mlp, model

few = settings(max_examples=max(settings().max_examples // 2, 1))
WIDE = filled(
    "g (float[1,90] x) => (float[1,80] y) <float[90,100] a, float[100,80] b> "
    "{ h = MatMul(x, a) r = Relu(h) y = MatMul(r, b) }",
    a=(90, 100),
    b=(100, 80),
)


def wide(dtype: type = np.float64) -> object:
    return linearize(WIDE, np.random.default_rng(0).standard_normal((1, 90)), dtype=dtype)


@pytest.mark.parametrize("name", NETS)
def test_singular_triplets_of_a_net(name: str) -> None:
    path, x = given(name)
    m = linearize(path, x, dtype=np.float64)
    found = spectrum(m, 3)
    u, s, vt = np.linalg.svd(m.W, full_matrices=False)
    assert (np.abs(found.values - s[:3]) <= found.error + gamma(2 * m.x.size, UNIT) * s[0]).all()
    assert (found.error <= gamma(10 * m.x.size, UNIT) * s[0]).all()
    np.testing.assert_allclose(np.abs((found.left * u[:, :3]).sum(axis=0)), 1, rtol=1e-9)
    np.testing.assert_allclose(np.abs((found.right * vt[:3].T).sum(axis=0)), 1, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_map_goes_to_arpack(dtype: type) -> None:
    m = wide(dtype)
    found = spectrum(m, 5)
    s = np.linalg.svd(m.W.astype(np.float64), compute_uv=False)
    assert (np.abs(found.values - s[:5]) <= 200 * np.finfo(dtype).eps * s[0]).all()
    assert (np.diff(found.values) <= 0).all()
    assert found.left.shape == (80, 5)
    assert found.right.shape == (90, 5)
    again = spectrum(m, 5)
    np.testing.assert_array_equal(found.right, again.right)


def test_a_large_map_that_is_zero() -> None:
    m = linearize(WIDE, np.zeros((1, 90)), dtype=np.float64)
    assert not m.W.any()  # ReLU at 0
    found = spectrum(m, 2)
    assert not found.values.any()
    assert not found.error.any()
    assert spectrum(wide(), 80).values.shape == (80,)


@few
@draw(onnx_models(min_nodes=2))
def test_spectrum_and_norms_on_any_graph(grown: GrownModel) -> None:
    m = linearize(grown.model, grown.x, dtype=np.float64)
    found = norms(m)
    if not m.W.size:
        assert (found.l1, found.l2, found.linf, found.frobenius) == (0, 0, 0, 0)
        return
    for value, order in ((found.l1, 1), (found.l2, 2), (found.linf, np.inf)):
        slack = gamma(4 * m.W.size, UNIT) * found.frobenius
        assert abs(value - np.linalg.norm(m.W, order)) <= slack
    top = spectrum(m, 1)
    assert abs(top.values[0] - found.l2) <= top.error[0] + gamma(4 * m.W.size, UNIT) * found.l2


@few
@draw(onnx_models(min_nodes=2))
def test_nothing_in_the_region_moves_faster_than_the_norms_say(grown: GrownModel) -> None:
    m = linearize(grown.model, grown.x, dtype=np.float64)
    found, step = norms(m), np.random.default_rng(0).standard_normal(m.x.shape)
    moved = m.W @ step
    for constant, order in ((found.l1, 1), (found.l2, 2), (found.linf, np.inf)):
        limit = constant * np.linalg.norm(step, order) * (1 + gamma(4 * m.x.size + 8, UNIT))
        assert not moved.size or np.linalg.norm(moved, order) <= limit


def test_rows_have_norms_of_their_own() -> None:
    m = linearize(mlp(), X, dtype=np.float64)
    row = norms(m, [1])
    assert row.l2 == pytest.approx(np.linalg.norm(m.W[1]), rel=1e-14)
    assert_close(row.linf, np.abs(m.W[1]).sum(), sums(3, np.abs(m.W[1]).sum()))
    difference = spectrum(m, 1, [[1, -1]])
    assert difference.values[0] == pytest.approx(np.linalg.norm(m.W[0] - m.W[1]), rel=1e-12)


def test_a_norm_of_a_large_map() -> None:
    m = wide()
    assert norms(m).l2 == pytest.approx(np.linalg.norm(m.W, 2), rel=1e-12)


@pytest.mark.parametrize("k", [0, 3])
def test_as_many_as_there_are(k: int) -> None:
    message = f"k={k}: W is 2 x 3, so it has 2 singular values. Ask for 1 to 2."
    with pytest.raises(OptionError, match=message):
        spectrum(linearize(mlp(), X), k)


def test_planted_errors_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.sparse.linalg import svds

    def off(*arguments, **options):
        found = svds(*arguments, **options)
        if isinstance(found, tuple):
            return found[0], found[1] * 1.01, found[2]
        return found / 10

    m = wide()
    monkeypatch.setattr("onnxlin.readings.row.singular.svds", off)
    with pytest.raises(ResidualError, match="singular values, W v against s u: row 0 has"):
        spectrum(m, 2)
    with pytest.raises(ResidualError, match=r"largest singular value of W came out as .* to"):
        norms(m)


def test_a_net_without_slope() -> None:
    m = linearize(model("g (float[2] x) => (float[2] y) { y = Floor(x) }"), np.ones(2))
    assert not spectrum(m, 1).values.any()
    assert norms(m).l2 == 0
