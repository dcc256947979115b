"""The audits of a data set add up to what each of them says."""

from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from onnxlin import data
from onnxlin.errors import OptionError
from onnxlin.readings.audit import audit
from onnxlin.readings.question.question import Question
from tests.data.stores import LENET, digits


@pytest.fixture
def maps(tmp_path):
    """Contributions of class 3, one of them spoilt, and one for which there is no x."""
    lin, xs = onnxlin.Linearizer(LENET), digits(6)
    given = np.stack([lin(x[None], [3]).contributions[0] for x in xs]).astype(np.float32)
    given[1] += 1
    np.save(tmp_path / "maps.npy", given.reshape(6, 1, 28, 28))
    xs[4, 0, 0, 0] = np.inf
    return lin, xs, given, tmp_path / "maps.npy"


def test_audits_add_up(maps) -> None:
    lin, xs, given, path = maps
    found = data.audit(lin, xs, path, (3,), chunk=4)
    assert (found.count, found.failed) == (6, 1)
    assert [i for i, _ in found.errors] == [4]
    assert "infinite" in found.errors[0][1]
    good = [0, 1, 2, 3, 5]
    own = [audit(Question(lin, xs[i][None], 3), given[i], methods={}) for i in good]
    cosines = [each.exact["W x"].cosine for each in own]
    spread = found.agreement["cosine"]
    assert spread.count == 5
    assert spread.mean == pytest.approx(np.mean(cosines), abs=1e-12)
    assert (spread.lowest, spread.highest) == pytest.approx((min(cosines), max(cosines)), abs=1e-12)
    assert found.adds_up["W x"] == sum("W x" in each.complete for each in own) == 4
    assert found.adds_up["F(x)"] == sum("F(x)" in each.complete for each in own)


def test_a_map_explains_one_output(maps) -> None:
    lin, xs, _, path = maps
    for rows in ("all", (1, 2)):
        with pytest.raises(OptionError, match="a map explains one output"):
            data.audit(lin, xs, path, rows)
    assert data.audit(lin, xs[:4], path, limit=2).count == 2
