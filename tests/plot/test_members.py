"""The picture of groups shows each sample and each line where it is."""

from __future__ import annotations

import numpy as np
import pytest

from onnxlin import OptionError, plot
from onnxlin.plot.members import colours

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def count(path, colour) -> int:
    return int((np.abs(pixels(path) - np.array(colour)).max(axis=-1) <= 2).sum())


def drawn(path, W, b, panels=1) -> int:
    """Black pixels beside those of an empty picture."""
    x = np.random.default_rng(0).normal(size=(60, 2))
    member = np.zeros(60, int)
    found = []
    for maps in ([], [(np.array(W, float), float(b))]):
        shown = [plot.Panel("one", member, maps)] * panels
        plot.members(x, shown, title="a $title$", path=path)
        found.append(count(path, (0, 0, 0)))
    return found[1] - found[0]


def test_a_line_is_drawn_where_the_map_is_zero(tmp_path) -> None:
    path = tmp_path / "p.png"
    assert drawn(path, [1, 0], 0) > 200
    assert drawn(path, [1, 2], 0.5, panels=2) > 400
    assert drawn(path, [1, 0], 100) == 0  # all samples lie on one side
    assert drawn(path, [0, 0], 1) == 0


def test_each_group_has_its_colour(tmp_path) -> None:
    x = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], float)
    member = np.array([0, 1, 2, 0])
    plot.members(x, [plot.Panel("three", member)], title="", path=tmp_path / "p.png")
    shades = np.rint(255 * colours(member)).astype(int)
    assert len({tuple(shade) for shade in shades}) == 3
    assert all(count(tmp_path / "p.png", shade) > 3 for shade in shades)
    many = colours(np.arange(60))
    near = np.abs(many[:, None] - many).max(axis=-1) + np.eye(60)
    assert near.min() > 0.01


def test_many_maps_have_no_lines(tmp_path) -> None:
    x = np.random.default_rng(0).normal(size=(90, 2))
    member = np.repeat(np.arange(45), 2)
    found = []
    for maps in ([], [(np.array([1.0, 0.0]), 0.0)] * 45):
        panels = [plot.Panel("many", member, maps)]
        plot.members(x, panels, title="", path=tmp_path / "p.png")
        found.append(pixels(tmp_path / "p.png"))
    np.testing.assert_array_equal(*found)


def test_only_two_features_can_be_drawn(tmp_path) -> None:
    with pytest.raises(OptionError, match=r"x has shape \(4, 3\); only samples of two features"):
        plot.members(np.ones((4, 3)), [], title="", path=tmp_path / "p.png")
