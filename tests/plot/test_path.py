"""Pictures of paths and planes: they exist, and show what they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxlin import Linearizer
from onnxlin.plot import line_profile, plane_partition
from onnxlin.readings.path import walk
from onnxlin.readings.plane import partition
from tests.cli.helpers import pixels
from tests.small import model

LIN = "g (float[1,2] x) => (float[1,2] y) { y = Relu(x) }"
A, B, C = (np.array([x], np.float32) for x in ([-1, 0.5], [1, -0.5], [-1, -1]))


def test_a_line_has_a_stroke_for_each_class_change(tmp_path: Path) -> None:
    path = walk(Linearizer(model(LIN)), A, B)
    assert len(path.changes) == 1
    line_profile(path, ["one", "two"], title="a $ b", path=tmp_path / "p.png")
    shown = pixels(tmp_path / "p.png")
    assert shown.min() < 128
    assert shown.mean() > 200


def test_a_patch_is_filled(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plane = partition(Linearizer(model(LIN)), A, B, C)
    plane_partition(plane, ["one", "two"], title="patch", path=tmp_path / "q.png")
    shown = pixels(tmp_path / "q.png")
    middle = shown[0, 0, 300:400, 250:350]
    assert (middle.mean(axis=-1) < 250).all()
