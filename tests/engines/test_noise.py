"""Noise tells the spread of every row, and is an upper bound of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from onnxlin import linearize
from onnxlin.affine_map.bounds import SIGMAS
from onnxlin.engines.noise import (
    FACTOR,
    deviations_by_sweeps,
    deviations_of_rows,
    squares,
    weighed_by_sweeps,
)
from onnxlin.engines.reverse import charge_each, sweep
from onnxlin.program.rates import gamma, spread
from onnxlin.program.roundoff import Charges, charges_of_both

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.mark.parametrize("name", ["mlp2_mnist", "lenet5_mnist"])
def test_it_is_above_the_deviation_and_not_far_above(name: str) -> None:
    x = np.random.default_rng(0).random((1, 1, 28, 28), dtype=np.float32)
    m = linearize(FIXTURES / f"{name}.onnx", x, engine="reverse")
    origin = m.made_from("the test")
    deviations, _ = charges_of_both(origin.program, origin.values, spread)
    total = np.zeros(len(m.rows))
    for step, cotangent in sweep(origin.program, origin.job.seeds, slice(None), None):
        parts = (cotangent * deviations[step.output]).astype(np.float64) ** 2
        total += parts.reshape(len(total), -1).sum(axis=1)
    swept = deviations_by_sweeps(origin.job, lambda step: deviations[step.output])
    np.testing.assert_allclose(swept**2, total, rtol=1e-5)
    true, found = np.sqrt(total), deviations_of_rows(origin.job, deviations)
    assert (found >= true).all()
    assert (found <= 2 * FACTOR * true).all()
    assert (found <= SIGMAS * FACTOR * m.error_bound).all()


@pytest.mark.parametrize("name", ["mlp2_mnist", "lenet5_mnist"])
def test_worst_and_likely_cases_of_one_sweep_are_those_of_two(name: str) -> None:
    x = np.random.default_rng(0).random((1, 1, 28, 28), dtype=np.float32)
    origin = linearize(FIXTURES / f"{name}.onnx", x, engine="reverse").made_from("the test")
    worst, likely = (Charges(origin.program, origin.values, rate) for rate in (gamma, spread))
    sure, deviations = weighed_by_sweeps(origin.job, worst, likely, 2)
    np.testing.assert_array_equal(sure, charge_each(origin.job, worst, 2))
    for kind in (0, 1):
        alone = deviations_by_sweeps(origin.job, lambda step, kind=kind: likely(step)[kind])
        np.testing.assert_allclose(deviations[kind], alone, rtol=1e-12)


def test_squares_of_what_nobody_can_tell_count_where_it_arrives() -> None:
    cotangents = np.float32([[0, 2, 3e38], [1, 0, 0]])
    found = squares(cotangents, np.array([np.inf, 3, 1e280]))
    assert found.tolist() == [np.inf, np.inf]
    assert squares(cotangents, np.array([0.5, 3, 0])).tolist() == [36, 0.25]
    assert squares(cotangents[:1], np.array([np.inf, 3, 0])).tolist() == [36]


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
