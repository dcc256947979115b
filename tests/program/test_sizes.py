"""Sizes are kept where they cost most, and several points at once say what each says alone."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from onnxlin import AffineMap, linearize
from onnxlin.graph import Array
from onnxlin.program import Step, sizes
from onnxlin.program import underflow as own
from onnxlin.program.roundoff import ChargesOfStack, charges
from onnxlin.program.sizes import Measured, is_kept, piece
from onnxlin.program.underflow import underflow, underflows
from onnxlin.testing.bounds.composing import without_biases


@pytest.fixture(scope="module")
def made(fixtures: Path) -> AffineMap:
    x = np.random.default_rng(0).random((1, 1, 28, 28), dtype=np.float32)
    return linearize(fixtures / "mlp2_mnist.onnx", x, engine="reverse")


def test_what_costs_most_is_kept_and_is_what_it_was(made: AffineMap) -> None:
    origin = made.made_from("the test")
    assert isinstance(origin.values, Measured)
    kept = [step for step in origin.program.steps if is_kept(step)]
    assert 0 < len(kept) < len(origin.program.steps)
    plain = dict(origin.values)
    for step in origin.program.steps:
        for make in (sizes.sizes, piece):
            found = make(step, origin.values)
            np.testing.assert_array_equal(found, make(step, plain))
            assert (make(step, origin.values) is found) == is_kept(step)
            assert not (is_kept(step) and found.flags.writeable)


def test_it_takes_no_more_memory_than_the_weights(made: AffineMap) -> None:
    for step in made.made_from("the test").program.steps:
        held = sum(op.matrix.nbytes for _, op in step.terms if hasattr(op, "matrix"))
        assert not is_kept(step) or 2 * 8 * np.prod(step.shape) <= held


def test_tensors_alone_are_pickled(made: AffineMap) -> None:
    values = Measured(made.made_from("the test").values)
    values.sizes(made.made_from("the test").program.steps[0])
    again = pickle.loads(pickle.dumps(values))
    assert isinstance(again, Measured)
    assert list(again) == list(values)
    assert len(pickle.dumps(again)) == len(pickle.dumps(values))


def _points(made: AffineMap) -> list[dict[str, Array]]:
    program = made.made_from("the test").program
    rng = np.random.default_rng(1)
    return [program.forward(rng.standard_normal(program.columns)) for _ in range(3)]


def test_charges_of_points_at_once_are_those_of_each(made: AffineMap) -> None:
    bare, points = without_biases(made.made_from("the test").program), _points(made)
    stacks = {name: np.stack([at[name] for at in points]) for name in points[0]}
    together = ChargesOfStack(bare, stacks)
    each = [charges(bare, at, native=False) for at in points]

    def gap(step: Step) -> float:
        pairs = zip(together(step), each, strict=True)
        return max(float(np.abs(own - at[step.output]).max()) for own, at in pairs)

    top = {s.output: max(float(at[s.output].max()) for at in each) for s in bare.steps}
    assert all(gap(step) <= 1e-12 * top[step.output] for step in bare.steps)


def test_underflow_at_points_at_once_is_that_of_each(
    made: AffineMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, points = made.made_from("the test").program, _points(made)
    found = underflows(program, points)
    assert found == [underflow(program, at) for at in points]
    assert 0 < min(found) < max(found)
    # Matrices that are taken for full let no more entries go, and may hold more.
    monkeypatch.setattr(own, "LARGE", 0)
    assert all(a <= b for a, b in zip(found, underflows(program, points), strict=True))
