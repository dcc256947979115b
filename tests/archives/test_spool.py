"""A spool gives its rows back in their order, as often as it is asked, from a file or not."""

from __future__ import annotations

import io

import numpy as np
import pytest

from onnxlin.archives import Spool, spool
from onnxlin.errors import FileError


@pytest.mark.parametrize("held", [2**8, 2**22])
def test_rows_come_back(monkeypatch, held: int) -> None:
    monkeypatch.setattr(spool, "HELD", held)
    monkeypatch.setattr(spool, "BLOCK", 16)
    rows, made = np.random.default_rng(0).random((100, 3)), Spool(3)
    assert list(made) == []
    for start in range(0, 90, 9):
        made.add(rows[start : start + 9])
    np.testing.assert_array_equal(np.concatenate(list(made)), rows[:90])
    made.add(np.asfortranarray(rows[90:]))
    assert max(map(len, made)) == 16
    np.testing.assert_array_equal(np.concatenate(list(made)), rows)


def test_a_full_disk_is_told_of(monkeypatch) -> None:
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool.tempfile, "SpooledTemporaryFile", lambda **_: Full())
    made = Spool(1)
    with pytest.raises(FileError, match=r"No space left on device\. Make room"):
        made.add(np.ones((1, 1)))
