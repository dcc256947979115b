"""A program in the making, and its own forward pass."""

from __future__ import annotations

import numpy as np
import pytest

from onnxlin import linearize
from onnxlin.primitives import Array
from onnxlin.program.build import Build
from tests.small import model

LENGTH = 30
MIDDLE = "".join(f"h{i + 1} = Tanh(h{i}) " for i in range(LENGTH))
TEXT = f"g (float[1,5] x) => (float[1,5] y) {{ h0 = Neg(x) {MIDDLE} y = Abs(h{LENGTH}) }}"


def watched(monkeypatch: pytest.MonkeyPatch, text: str) -> tuple[list[Build], list[int]]:
    """Build a float64 program of a float32 model; how many tensors were held at each question."""
    builds: list[Build] = []
    held: list[int] = []
    asked = Build.forward

    def forward(build: Build, name: str) -> Array:
        value = asked(build, name)
        builds.append(build)
        held.append(len(build._own))
        return value

    monkeypatch.setattr(Build, "forward", forward)
    linearize(model(text), np.full((1, 5), 0.7, np.float32), dtype=np.float64).verify()
    return builds, held


def test_the_forward_pass_holds_the_tensors_that_are_still_to_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    builds, held = watched(monkeypatch, TEXT)
    assert len(held) >= LENGTH
    # The one asked for, and the one before it, whose reader is not a step yet when it is passed.
    assert max(held) <= 2
    assert not builds[0]._own


def test_what_is_read_again_much_later_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor at the beginning that a product at the end reads once more."""
    text = TEXT.replace(f"y = Abs(h{LENGTH})", f"y = Mul(h1, h{LENGTH})")
    _, held = watched(monkeypatch, text)
    assert max(held) <= 3


def test_a_late_question_is_answered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    builds, _ = watched(monkeypatch, TEXT)
    h: Array = np.full((1, 5), -np.float32(0.7), np.float64)
    for _ in range(3):
        h = np.tanh(h)
    # Tangents at the program's own values, a few roundings each.
    np.testing.assert_allclose(builds[0].forward("h3"), h, rtol=1e-14)
    assert not builds[0]._own
