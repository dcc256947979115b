"""A map goes through pickle, as workers of a pool hand it back: what its file holds, no program."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from onnxlin import DetachedError, linearize
from tests.small import X, mlp


@pytest.mark.parametrize("rows", [None, [1], [[0.5, -1.0]]])
@pytest.mark.parametrize("verified", [True, False])
def test_a_pickled_map_is_that_of_a_file(rows, verified: bool) -> None:
    m = linearize(mlp(), X, rows=rows)
    if verified:
        m.verify()
    found = pickle.loads(pickle.dumps(m))
    for name in ("W", "b", "x", "y", "residual"):
        np.testing.assert_array_equal(getattr(found, name), getattr(m, name))
    assert dict(found.bias_by_node).keys() == dict(m.bias_by_node).keys()
    assert (found.mode, found.notes, found.dtype) == (m.mode, m.notes, m.dtype)
    np.testing.assert_array_equal(found(X + 1), m(X + 1))
    assert found.detached
    assert not m.detached
    if verified:
        np.testing.assert_array_equal(found.bound, m.bound)
    else:
        with pytest.raises(DetachedError, match="bound needs the linear program"):
            found.bound  # noqa: B018
    assert found.to_onnx() == m.to_onnx()
