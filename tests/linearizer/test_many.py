"""How many instances go at once: by the bytes that they need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxlin import Linearizer
from onnxlin.linearizer import many
from tests.small import model

STACK = """g (float[1,{n}] x) => (float[1,4] y) <float[{n},4] w = {{{w}}}>
    {{ r = Relu(x)  y = MatMul(r, w) }}"""


def lin(n: int) -> Linearizer:
    return Linearizer(model(STACK.format(n=n, w=", ".join(["1"] * 4 * n))))


@pytest.mark.parametrize("rows", [None, [1], [0, 1, 2]])
def test_as_many_as_their_tensors_allow(
    rows: list[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, n, k = lin(32), 64, 4 if rows is None else len(rows)
    x = np.random.default_rng(0).normal(size=(n, 32)).astype(np.float32)
    tensors = own._ready.run_sizes({"x": x[:1]})[0]
    assert tensors > 0
    for at_once in (32, 16, 8, 4, 1):
        monkeypatch.setattr(many, "MOST", max(at_once, 3) * tensors * k)
        maps = list(own.map(x, rows, "compiled"))
        notes = [m.plan for m in maps]
        batched = [f"{at_once} instances at once" in note for note in notes]
        assert all(batched) if at_once > 1 else not any("at once in" in note for note in notes)
        for m, row in zip(maps, x, strict=True):
            np.testing.assert_array_equal(m.W, own(row[None], rows, "reverse").W)


def test_large_instances_go_one_at_a_time(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Linearizer(fixtures / "lenet5_mnist.onnx")
    x = np.random.default_rng(0).random((40, 1, 28, 28), np.float32)
    assert "instances at once" in next(iter(own.map(x))).plan
    monkeypatch.setattr(many, "MOST", 2**16)
    assert "instances at once" not in next(iter(own.map(x))).plan
