"""What the pictures show is what the numbers are."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from onnxlin import OnnxlinError, OptionError, plot
from onnxlin.plot import attribution, colours

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

RNG = np.random.default_rng(0)


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def has_colour(path, colour: tuple[float, ...]) -> bool:
    return bool((np.abs(pixels(path) - np.array(colour)).max(axis=-1) <= 1).any())


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (3, 9, 16), (1, 1, 1), (1, 40, 4)])
@pytest.mark.parametrize("picture", [None, "grey", "colour"])
def test_heat_maps_are_written_for_any_shape(tmp_path, shape, picture) -> None:
    values = RNG.standard_normal(shape)
    shown = {
        None: None,
        "grey": RNG.random(shape[-2:]),
        "colour": RNG.integers(0, 256, (*shape[-2:], 3), dtype=np.uint8),
    }[picture]
    plot.heat_map(values, shown, title="a title", path=tmp_path / "h.png")
    assert min(pixels(tmp_path / "h.png").shape[:2]) > 100


def test_red_raises_and_blue_lowers_and_the_limits_are_symmetric(tmp_path) -> None:
    red, blue = (103, 0, 31), (5, 48, 97)  # both ends of RdBu_r
    values = np.zeros((6, 6))
    values[1, 2] = 5
    plot.heat_map(values, None, title="", path=tmp_path / "h.png")
    body = pixels(tmp_path / "h.png")
    left = body[:, : int(body.shape[1] * 0.7)]  # without the colour bar
    assert (np.abs(left - red).max(axis=-1) <= 1).any()
    assert not (np.abs(left - blue).max(axis=-1) <= 1).any()
    plot.heat_map(-values, None, title="", path=tmp_path / "h.png")
    left = pixels(tmp_path / "h.png")[:, : left.shape[1]]
    assert (np.abs(left - blue).max(axis=-1) <= 1).any()
    assert not (np.abs(left - red).max(axis=-1) <= 1).any()


def test_limits_are_a_percentile_of_what_is_not_zero() -> None:
    values = np.concatenate([np.zeros(1000), np.arange(-100, 101)])
    assert plot.limit_of(values, 100) == 100
    assert plot.limit_of(values, 50) == np.percentile(np.abs(values[values != 0]), 50)
    assert plot.limit_of(np.zeros(5)) == 1
    assert plot.limit_of(np.zeros(0)) == 1


def test_strong_entries_keep_the_colour_that_the_bar_gives_them() -> None:
    grey = np.zeros((1, 3))
    grey[:] = colours.GREY_LOW
    over = colours.over(np.array([[-1.0, 0.0, 1.0]]), grey)
    np.testing.assert_allclose(over[0, 0], colours.colours_of(np.array(-1.0))[:3])
    np.testing.assert_allclose(over[0, 2], colours.colours_of(np.array(1.0))[:3])
    middle = colours.colours_of(np.zeros(1))[0, :3]
    np.testing.assert_allclose(over[0, 1], middle * colours.GREY_LOW)


def test_smoothing_keeps_the_sum_and_0_keeps_the_values() -> None:
    values = np.zeros((2, 41, 41))
    values[0, 20, 20], values[1, 20, 20] = 1.0, -3.0
    assert plot.smoothed(values, 0) is values
    np.testing.assert_allclose(plot.smoothed(values, 2).sum(axis=(1, 2)), [1, -3])
    for sigma in (-1, np.nan):
        with pytest.raises(OptionError, match="smooth="):
            plot.smoothed(values, sigma)


def test_the_title_says_what_was_smoothed_and_added_up(tmp_path, monkeypatch) -> None:
    notes = []
    monkeypatch.setattr(attribution, "show", lambda ax, image, note: notes.append(note))
    values = RNG.standard_normal((3, 8, 8))
    plot.heat_map(values, np.zeros((8, 8)), title="", path=tmp_path / "h.png", smooth=1.5)
    assert notes == [
        "input",
        "W x per pixel, 3 channels added up\nsmoothed for the eye: Gaussian, sigma 1.5 px",
    ]


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (3, 20)])
def test_series(tmp_path, shape) -> None:
    values = RNG.standard_normal(shape)
    plot.series(values, values, title="", path=tmp_path / "s.png", names=["first"])
    assert min(pixels(tmp_path / "s.png").shape[:2]) > 100


@pytest.mark.parametrize("values", [[1.0, -2.0, 0.0], [0.0], [], list(range(-40, 40))])
def test_bars(tmp_path, values) -> None:
    names = [rf"[bold]$\bad{{{i}$" for i in range(len(values))]
    plot.bars(np.array(values), names, title=r"$\bad{$", path=tmp_path / "b.png")
    assert has_colour(tmp_path / "b.png", (178, 24, 43)) == any(v > 0 for v in values)
    assert has_colour(tmp_path / "b.png", (33, 102, 172)) == any(v < 0 for v in values)


def test_no_global_state_is_touched(tmp_path) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = pyplot.get_fignums()
    plot.heat_map(np.ones((4, 4)), None, title="", path=tmp_path / "h.png")
    assert pyplot.get_fignums() == before


def test_a_notebook_shows_what_the_file_holds(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    figure = plot.heat_map(np.eye(4), None, title="a title")
    assert not list(tmp_path.iterdir())
    plot.heat_map(np.eye(4), None, title="a title", path="h.png")
    (tmp_path / "shown.png").write_bytes(figure._repr_png_())
    np.testing.assert_array_equal(pixels("shown.png"), pixels("h.png"))


def test_errors(tmp_path, monkeypatch) -> None:
    with pytest.raises(OptionError, match=r"values has shape \(4,\); expected"):
        plot.heat_map(np.ones(4), None, title="", path=tmp_path / "h.png")
    with pytest.raises(OptionError, match=r"Cannot write .*No such file"):
        plot.heat_map(np.ones((4, 4)), None, title="", path=tmp_path / "none" / "h.png")
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OnnxlinError, match=r'pip install "onnxlin\[cli\]"'):
        plot.bars(np.ones(3), ["a", "b", "c"], title="", path=tmp_path / "b.png")


def test_depths_are_drawn_line_by_line(tmp_path) -> None:
    values = np.zeros((3, 4))
    values[0, 0], values[2, 3] = 2, -2
    names = ["x", "attention 1", "MLP 1"]
    plot.depth_map(values, names, list("abcd"), title="", path=tmp_path / "d.png")
    body = pixels(tmp_path / "d.png")
    left = body[:, : int(body.shape[1] * 0.7)]
    red, blue = (
        np.argwhere(np.abs(left - c).max(axis=-1) <= 1) for c in ((103, 0, 31), (5, 48, 97))
    )
    assert (red.max(axis=0) < blue.min(axis=0)).all()
    many = RNG.normal(size=(3, 200))
    plot.depth_map(many, names, ["$a_"] * 200, title="", path=tmp_path / "many.png")
    with pytest.raises(OptionError, match=r"\(3, 4\) for 3 depths and 5 positions"):
        plot.depth_map(values, names, list("abcde"), title="", path=tmp_path / "d.png")


def test_a_coarse_map_covers_the_picture_with_its_grid(tmp_path) -> None:
    values = np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    fig = plot.heat_map(values, RNG.random((20, 31)), title="t", what="W_h h")
    ax = fig.axes[1]
    (drawn,) = ax.get_images()
    assert drawn.get_array().shape[:2] == (20, 31)
    assert "per place of 2 x 3" in ax.get_title()
    lines = [np.ravel(line.get_data()) for line in ax.get_lines()]
    assert [line[2] for line in lines if line[2] == line[3]] == [9.5]
    # 31 pixels of 3 places: where the place of a pixel, 3 i // 31, becomes the next.
    assert [line[0] for line in lines if line[0] == line[1]] == [10.5, 20.5]
    own = plot.heat_map(values, RNG.random((2, 3)), title="t").axes[1]
    assert not own.get_lines()
    fine = plot.heat_map(np.ones((4, 6)), RNG.random((2, 3)), title="t").axes
    assert fine[0].get_images()[0].get_array().shape[:2] == (4, 6)
