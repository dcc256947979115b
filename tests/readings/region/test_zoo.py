"""Regions of any folder of models: set ONNXLIN_ZOO to one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxlin import Linearizer, RegionError
from onnxlin.readings.region import Region, obstacles
from tests.proofs import instance
from tests.test_zoo import LIGHT, ZOO, ids

pytestmark = pytest.mark.skipif(not ZOO, reason="ONNXLIN_ZOO names no folder of models")


@pytest.mark.parametrize("path", LIGHT, ids=ids(LIGHT))
def test_a_step_ends_at_the_border(path: Path) -> None:
    """Or the nodes that leave no region are named."""
    x = instance(onnx.load(path), 0)
    m = Linearizer(path)(x, rows=[0])
    if named := obstacles(m):
        with pytest.raises(RegionError, match=f"{len(named)} nodes? smooth"):
            Region(m)
        return
    region = Region(m)
    assert m.x in region
    direction = np.random.default_rng(0).normal(size=m.x.size)
    found = region.step(direction)
    if 1e-9 * np.abs(m.x).max() < found.step < np.inf:
        assert m.x + 0.999 * found.step * direction in region
        assert m.x + 1.001 * found.step * direction not in region
