"""The readings of any folder of models: set ONNXLIN_ZOO to one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import AffineMap, Linearizer
from onnxlin.readings import (
    bias_maps,
    contributions,
    ledger,
    live_units,
    norms,
    spectrum,
    spread_bias,
    structural_zero,
)
from onnxlin.readings.checks import allowed, chosen
from tests.proofs import instance
from tests.small import zoo

ZOO = os.environ.get("ONNXLIN_ZOO", "")
MODELS = zoo(ZOO)
pytestmark = pytest.mark.skipif(not ZOO, reason="ONNXLIN_ZOO names no folder of models")
# Multiplications of a sweep. Beyond it the many sweeps here take a minute, and the larger nets hold
# no operator that the others do not.
MOST = 5 * 10**8
ROWS = 2


def linearised(path: Path, mode: str) -> AffineMap | None:
    model = onnx.load(path)
    if not onnxlin.check_model(model).ok:
        return None
    lin, x = Linearizer(model, mode=mode), instance(model, seed=0)
    count = sum(y.size for y in lin.run(x).values())
    m = lin(x, rows=np.linspace(0, count - 1, ROWS).astype(int) if count > ROWS else None)
    return m if sum(layer.step.nnz for layer in m.layers) <= MOST else None


@pytest.mark.parametrize("path", MODELS, ids=[str(path.relative_to(ZOO)) for path in MODELS])
def test_readings_of_a_zoo_model_sum_to_f(path: Path) -> None:
    """Every call checks itself; here the sums are added up once more, by other means."""
    for mode in ("tangent", "frozen"):
        m = linearised(path, mode)
        if m is None:
            pytest.skip("it cannot be linearised as a whole, or a sweep takes too long")
        limit = 2 * allowed(m, chosen(m, None))
        split = ledger(m)
        ours = contributions(m).total + sum(split.by_kind.values(), start=np.zeros(len(m.rows)))
        assert (np.abs(ours - m.y) <= limit).all()
        units = sum((each.total for each in bias_maps(m)), start=np.zeros(len(m.rows)))
        constant = {n: s for n, s in split.by_node.items() if n in m.outputs}
        units += sum(constant.values(), start=np.zeros(len(m.rows)))
        assert (np.abs(m.Wx + units - m.y) <= limit).all()
        spread = spread_bias(m)
        assert (np.abs(m.Wx + spread.values.sum(axis=1) + spread.rest - m.y) <= 2 * limit).all()
        found = structural_zero(m)
        assert not (found.holds and m.b.any())
        assert all(each.live <= each.on <= each.units for each in live_units(m))
        assert spectrum(m, 1).values[0] <= norms(m).frobenius * (1 + 1e-5) + spectrum(m, 1).error
        if all(layer.status == "exact" for layer in m.layers):
            return
