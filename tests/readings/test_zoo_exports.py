"""Any folder of models, its maps in other forms: set ONNXLIN_ZOO to one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxlin.readings import Ensemble, report, to_dot
from tests.affine_map.test_model import assert_same_map
from tests.proofs import instance
from tests.readings.row.test_dot import parsed
from tests.readings.row.test_report import assert_plain
from tests.test_zoo import LIGHT, NOT_LINEARISED, ZOO, ids, linearised

pytestmark = pytest.mark.skipif(not ZOO, reason="ONNXLIN_ZOO names no folder of models")
SMALL = [path for path in LIGHT if path.stem not in NOT_LINEARISED]


@pytest.mark.parametrize("path", SMALL, ids=ids(SMALL))
def test_zoo_model(path: Path) -> None:
    """The model of the map is the map, its program can be drawn, its report is plain data."""
    model = onnx.load(path)
    x = instance(model, seed=0)
    m = linearised(model, x, "tangent", np.float64)
    assert_same_map(m, m.to_onnx())
    boxes, _ = parsed(to_dot(m))
    assert len(boxes) == len(m.layers) + len(m.inputs) + len(m.outputs)
    assert_plain(report(m, top=3))
    index = m.rows.index
    one = Ensemble([(1, model)])(x, index, dtype=np.float64)
    np.testing.assert_array_equal(one.W, m.W)
    np.testing.assert_array_equal(one.b, m.b)
