"""What a bound takes of memory is no more than one direction needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxlin import Linearizer
from onnxlin.testing.bounds import composing
from onnxlin.testing.laws.laws import Subject
from tests.small import X, mlp


def test_directions_go_together_as_memory_allows(
    fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lin = Linearizer(fixtures / "lenet5_mnist.onnx")
    rng = np.random.default_rng(0)
    m = lin(rng.random((1, 1, 28, 28), np.float32), engine="reverse")
    program, directions = m.made_from("a test").program, rng.standard_normal((5, m.x.size))
    whole = composing.of_directions(program, m.rows, directions)
    asked, tangents = [], composing.tangents

    def counted(program, x):
        asked.append(len(x))
        return tangents(program, x)

    monkeypatch.setattr(composing, "tangents", counted)
    for memory, stacks in ((1, [1] * 5), (composing.MEMORY, [5])):
        monkeypatch.setattr(composing, "MEMORY", memory)
        asked.clear()
        found = composing.of_directions(program, m.rows, directions)
        assert asked == stacks
        np.testing.assert_allclose(found, whole, rtol=1e-6)  # the program is float32
    assert composing.of_directions(program, m.rows, directions[:0]).shape == (10, 0)


def test_maps_of_engines_that_one_law_asks_for_are_let_go_of() -> None:
    subject = Subject(mlp())
    feeds = subject.feeds(X)
    assert subject.map(feeds, engine="reverse") is subject.map(feeds, engine="reverse")
    assert subject.map(feeds) is subject.map(feeds)
    assert subject.map(feeds, engine="live") is not subject.map(feeds, engine="live")
