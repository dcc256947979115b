"""The picture of deletion and insertion curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxlin import Linearizer, OptionError
from onnxlin.plot import judged_curves
from onnxlin.readings.judging.judge import Judgement, judge
from onnxlin.readings.question.question import Question
from tests.cli.helpers import pixels
from tests.readings.exact_nets import bent


def test_each_attribution_has_a_line_in_both_panels(tmp_path: Path) -> None:
    proto, x = bent()
    q = Question(Linearizer(proto), x, 0)
    rng = np.random.default_rng(0)
    few = judge(q, {"one": q.x}, samples=2, steps=6)
    many = judge(q, {f"m$ {i}": rng.normal(size=12) for i in range(14)}, samples=2, steps=6)
    inks = []
    for i, found in enumerate((few, many)):
        judged_curves(found, title="a $ b", path=tmp_path / f"{i}.png", first="m$ 3", what="F $")
        shown = pixels(tmp_path / f"{i}.png")[0, 0]
        half = shown.shape[1] // 2
        inks.append(
            [
                (shown[:, part] < 128).any(axis=-1).sum()
                for part in (slice(0, half), slice(half, None))
            ]
        )
    assert (np.array(inks[1]) > 2 * np.array(inks[0])).all()


def test_nothing_to_draw(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(OptionError, match="There are no curves to draw"):
        judged_curves(Judgement({}, "zero", 0, 0), title="", path=tmp_path / "x.png")
