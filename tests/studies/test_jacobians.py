"""Figures of the study ``jacobians``, computed again without torch and JAX."""

from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from fixtures.studies.families.subjects import BY_NAME
from fixtures.studies.jacobians.graphs import both_ends, function, slices
from fixtures.studies.jacobians.in_numpy import STEP, differences, some_directions
from fixtures.studies.jacobians.measure import relative, top_rows
from fixtures.studies.shared import results
from fixtures.studies.shared.data import shipped

NETS = results.read("jacobians")["nets"]


@pytest.mark.parametrize("name", ["lenet5_mnist", "resnet_fashion"])
def test_differences_agree_with_the_map_and_not_with_another(name: str) -> None:
    subject = BY_NAME[name]
    x = subject.prepared(shipped(subject.dataset))[2]
    lin = onnxlin.Linearizer(subject.path, outputs="logits")
    rows = top_rows(lin, x)
    directions = some_directions(x.size, 6, 0)
    found = differences(subject.path, "logits", x, rows, directions)
    W = lin(x, rows, "reverse", np.float64).W
    smooth = ~found.kinked
    assert smooth.any()
    ours = directions[smooth] @ W.T
    assert relative(ours, found.values[smooth]) < 1e-6
    # A planted error of a thousandth in one row is seen.
    W[1] *= 1.001
    assert relative(directions[smooth] @ W.T, found.values[smooth]) > 1e-5


def test_a_step_over_a_kink_is_told() -> None:
    """Half a step beside the nearest wall, towards it."""
    subject = BY_NAME["resnet_fashion"]
    x = subject.prepared(shipped("fashion"))[0]
    lin = onnxlin.Linearizer(subject.path, outputs="logits")
    region = onnxlin.readings.Region(lin(x, dtype=np.float64))
    direction = np.random.default_rng(0).standard_normal(x.size)
    direction /= np.linalg.norm(direction)
    at_wall = x + (region.step(direction).step - STEP / 2) * direction.reshape(x.shape)
    for start, kinked in ((at_wall, True), (x, False)):
        found = differences(subject.path, "logits", start, np.eye(10), direction[None])
        assert found.kinked[0] == kinked


def test_nets_of_the_families_agree_with_torch_and_jax() -> None:
    assert len(NETS) >= 9
    assert set(NETS) <= set(BY_NAME)
    for net in NETS.values():
        assert max(net["worst"]["torch"], net["worst"]["jax"]) < 1e-12


def test_a_missing_operator_is_named() -> None:
    path = BY_NAME["lenet5_mnist"].path
    with pytest.raises(NotImplementedError, match=r"Conv.*MaxPool"):
        function(path, "logits", {"Relu": abs, "Flatten": abs, "Gemm": abs}, float)


def test_pads_and_slices_are_read_as_onnx_means_them() -> None:
    assert both_ends([1, 2, 3, 4], 2) == [(1, 3), (2, 4)]
    assert both_ends(None, 2) == [(0, 0), (0, 0)]
    x = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(x[slices(3, [1, 0], [2, 4], [1, 2], [1, 2])], x[:, 1:2, 0:4:2])
