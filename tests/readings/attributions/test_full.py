"""FullGrad: what it adds up to, and its picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxlin import Linearizer, OptionError
from onnxlin.primitives import Array
from onnxlin.readings.attributions.full import full_grad, full_gradient
from onnxlin.readings.question.question import Question
from tests.agree import assert_close
from tests.readings.exact_nets import bent
from tests.readings.nets import NETS, given


def asked(name: str, row: int | None = None) -> Question:
    path, x = given(name)
    return Question(Linearizer(path), x, row)


# FullGrad


@pytest.mark.parametrize("name", NETS)
def test_full_gradients_sum_to_f(name: str) -> None:
    q = asked(name)
    found = full_gradient(q)
    assert found.complete
    assert found.sums is not None
    assert found.sums.expected == q.y
    np.testing.assert_array_equal(found.values, q.m.W[0] * q.x)
    shares = {m.node: m.total[0] for m in found.bias_maps}
    assert_close(sum(shares.values()), q.m.b[0], 2 * (q.m.composition_bound * q.m.scale)[0])
    # A bias map that is lost is a gap far beyond rounding.
    largest = max(abs(share) for share in shares.values())
    assert largest > found.sums.bound


def test_an_output_that_no_node_makes_is_the_constant(fixtures: Path) -> None:
    path = fixtures / "odd" / "constant_output.onnx"
    x = dict(np.load(path.with_suffix(".npz")))
    lin = Linearizer(path)
    feeds = {name: x[name] for name in lin.graph.inputs}
    size = sum(value.size for value in lin.run(feeds).values())
    found = [full_gradient(Question(lin, feeds, row)) for row in range(size)]
    assert all(each.complete for each in found)
    assert any(each.constant for each in found)


def test_saliency_is_the_sum_of_psi() -> None:
    q = asked("cnn_bn_mnist")
    full = full_gradient(q)

    def psi(plane: Array) -> Array:
        plane = np.abs(plane) - np.abs(plane).min()
        plane = plane / plane.max() if plane.max() else plane
        rows = np.linspace(0, plane.shape[0] - 1, 28)
        across = np.linspace(0, plane.shape[1] - 1, 28)
        tall = np.stack([np.interp(rows, np.arange(len(c)), c) for c in plane.T], axis=1)
        return np.stack([np.interp(across, np.arange(len(r)), r) for r in tall])

    planes = [full.values.reshape(28, 28)]
    for each in full.bias_maps:
        if each.values.ndim == 5:
            planes += list(each.values[0, 0])
    assert len(planes) > 20
    np.testing.assert_allclose(full.saliency(), sum(map(psi, planes)), atol=1e-12)
    whole = full.saliency("layer")
    assert (whole <= full.saliency() + 1e-12).sum() > 700  # a layer's top is one channel's
    assert whole.min() >= 0
    parts = full_grad(q)
    np.testing.assert_allclose(parts.values.reshape(28, 28), full.saliency())
    assert parts.sums is None


def test_saliency_is_for_pictures() -> None:
    proto, x = bent()
    found = full_gradient(Question(Linearizer(proto), x, 0))
    assert found.complete
    with pytest.raises(OptionError, match=r"saliency\(\) is for one picture"):
        found.saliency()
    with pytest.raises(OptionError, match=r"over='all'; expected one of \['channel', 'layer'\]"):
        full_gradient(asked("lenet5_mnist")).saliency("all")
