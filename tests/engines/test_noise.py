"""Noise tells the spread of every row, and is an upper bound of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from onnxlin import linearize
from onnxlin.affine_map.bounds import SIGMAS
from onnxlin.engines.noise import FACTOR, deviations_by_sweeps, deviations_of_rows
from onnxlin.engines.reverse import sweep
from onnxlin.program.roundoff import charges_of_both, spread

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.mark.parametrize("name", ["mlp2_mnist", "lenet5_mnist"])
def test_it_is_above_the_deviation_and_not_far_above(name: str) -> None:
    x = np.random.default_rng(0).random((1, 1, 28, 28), dtype=np.float32)
    m = linearize(FIXTURES / f"{name}.onnx", x, engine="reverse")
    origin = m.made_from("the test")
    deviations, _ = charges_of_both(origin.program, origin.values, spread)
    squares = np.zeros(len(m.rows))
    for step, cotangent in sweep(origin.program, origin.job.seeds, slice(None), None):
        parts = (cotangent * deviations[step.output]).astype(np.float64) ** 2
        squares += parts.reshape(len(squares), -1).sum(axis=1)
    swept = deviations_by_sweeps(origin.job, lambda step: deviations[step.output])
    np.testing.assert_allclose(swept**2, squares, rtol=1e-5)
    true, found = np.sqrt(squares), deviations_of_rows(origin.job, deviations)
    assert (found >= true).all()
    assert (found <= 2 * FACTOR * true).all()
    assert (found <= SIGMAS * FACTOR * m.error_bound).all()


def test_what_nobody_can_tell_is_infinite_where_it_arrives() -> None:
    x = np.random.default_rng(0).random((1, 1, 28, 28), dtype=np.float32)
    m = linearize(FIXTURES / "mlp2_mnist.onnx", x, engine="reverse")
    origin = m.made_from("the test")
    deviations, _ = charges_of_both(origin.program, origin.values, spread)
    last = origin.program.steps[-1]
    known = np.array(np.broadcast_to(deviations[last.output], last.shape))
    known.reshape(-1)[3] = np.inf
    found = deviations_of_rows(origin.job, {**deviations, last.output: known})
    assert np.flatnonzero(np.isinf(found)).tolist() == [3]
    empty = replace(origin.job, program=replace(origin.program, steps=()))
    assert not deviations_of_rows(empty, {}).any()
