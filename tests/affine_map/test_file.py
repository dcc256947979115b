"""The file of a map is what docs/map_file.md says it is."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onnxlin import AffineMap, linearize
from onnxlin.testing import GrownModel, onnx_models

PAGE = Path(__file__).parents[2] / "docs" / "map_file.md"


def documented(page: str) -> tuple[set[str], set[str]]:
    """Names in the first column of both tables: arrays, and keys of "about"."""
    tables = page.split("`about` is one JSON object:")
    found = [re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE) for table in tables]
    arrays, keys = ({n for cell in cells for n in re.findall(r"`(\w+)`", cell)} for cells in found)
    return arrays, keys


@given(onnx_models(), st.booleans(), st.booleans())
def test_every_array_and_key_is_documented(
    grown: GrownModel, combine: bool, verified: bool
) -> None:
    arrays, keys = documented(PAGE.read_text("utf-8"))
    m = linearize(grown.model, grown.x)
    if combine:
        m = linearize(grown.model, grown.x, rows=np.ones((1, len(m.y))))
    if verified:
        m.verify()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.npz"
        m.save(path)
        with np.load(path, allow_pickle=False) as file:
            found = dict(file)
        again = AffineMap.load(path)
    kept_out = {"own_output", "row_index" if combine else "row_matrix"}
    kept_out |= set() if verified else {"bound"}
    assert set(found) == arrays - kept_out
    assert set(json.loads(str(found["about"]))) == keys
    for name in ("W", "b", "x", "y", "residual"):
        np.testing.assert_array_equal(getattr(again, name), getattr(m, name))
        np.testing.assert_array_equal(getattr(again, name), found[name])
