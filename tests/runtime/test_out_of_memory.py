"""What asks for more memory than there is ends with an error of ours, when opened and when run."""

from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from onnxlin.runtime import opened, session
from tests.small import model

X = np.array([0.5, -1.0], np.float32)
RELU = "g (float[2] x) => (y) { y = Relu(x) }"


def fails(*args, **more):
    raise MemoryError("bad allocation")


def test_a_model_that_does_not_fit(monkeypatch) -> None:
    monkeypatch.setattr(session, "opened", fails)
    with pytest.raises(onnxlin.LimitError, match="does not fit into the memory"):
        onnxlin.linearize(model(RELU), X)


def test_a_run_that_does_not_fit() -> None:
    class Full:
        run = fails

    with pytest.raises(onnxlin.LimitError, match="ran out of memory at this x"):
        session.run(Full(), ["y"], {"x": X})  # type: ignore[arg-type]
    assert opened.run(opened.session(model(RELU)), ["y"], {"x": X})["y"].tolist() == [0.5, 0.0]


def test_the_runtimes_own_refusal_is_an_error_of_the_run() -> None:
    made = model(f"g (float[2] x) => (y) <int64[1] s = {{{2**40}}}> {{ y = Tile(x, s) }}")
    with pytest.raises((onnxlin.TraceError, onnxlin.LimitError)):
        onnxlin.linearize(made, X)
