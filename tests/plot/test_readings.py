"""Pictures of readings show what the numbers are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from onnxlin import OptionError, plot
from onnxlin.plot import grid, ledger, margins

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

RNG = np.random.default_rng(0)
MARGINS = {name: RNG.standard_normal(50) for name in ("all", "W x", "b")}
ACCURACY = {"all": 1.0, "W x": 0.8, "b": 0.1}


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


@pytest.mark.parametrize("count", [1, 2, 7, 10, 11])
@pytest.mark.parametrize("shape", [(8, 8), (3, 6, 20), (1, 30, 4)])
def test_a_grid_has_a_panel_for_each_row(monkeypatch, tmp_path, count, shape) -> None:
    seen = []
    monkeypatch.setattr(grid, "show", lambda ax, p, note: seen.append(note))
    names = [f"row {i}" for i in range(count)]
    values = RNG.standard_normal((count, *shape))
    picture = RNG.random(shape[-2:])
    plot.heat_map_grid(values, names, picture, title=r"$\bad{$", path=tmp_path / "g.png")
    assert seen == ["input", *names]
    assert min(pixels(tmp_path / "g.png").shape[:2]) > 100


def test_colours_mean_the_same_in_all_panels(monkeypatch, tmp_path) -> None:
    seen = []
    monkeypatch.setattr(grid, "show", lambda ax, p, note: seen.append(p))
    values = np.zeros((2, 4, 4))
    values[0, 0, 0], values[1, 0, 0], values[1, 1, 1] = 1, 1, 100
    plot.heat_map_grid(values, "ab", title="", path=tmp_path / "g.png", percentile=100)
    np.testing.assert_array_equal(seen[0][0, 0], seen[1][0, 0])
    assert not np.array_equal(seen[1][0, 0], seen[1][1, 1])


def test_a_smoothed_grid_says_so(monkeypatch, tmp_path) -> None:
    titles = []
    monkeypatch.setattr(grid, "finish", lambda fig, title, path: titles.append(title))
    plot.heat_map_grid([np.eye(5)], ["a"], title="t", path=tmp_path / "g.png", smooth=2)
    assert titles == ["t\nsmoothed for the eye: Gaussian, sigma 2 px"]


@pytest.mark.parametrize("shares", [[], [1.0], [-3.0, 1.0, 0.0], list(range(-20, 20))])
def test_a_ledger_ends_at_f(monkeypatch, tmp_path, shares) -> None:
    drawn = []
    true = ledger.new_figure

    def kept(width, height):
        drawn.append(true(width, height))
        return drawn[-1]

    monkeypatch.setattr(ledger, "new_figure", kept)
    names = [f"$node_{i}[" for i in range(len(shares))]
    plot.ledger_bars(2.0, names, np.array(shares), title="t", path=tmp_path / "l.png", count=10)
    bars = [(patch.get_x(), patch.get_width()) for patch in drawn[0].axes[0].patches]
    assert len(bars) == min(len(shares), 10) + 2
    assert bars[0] == (0, 2)
    for (x, width), (after, _) in pairwise(bars[:-1]):
        assert after == pytest.approx(x + width)
    assert bars[-1] == pytest.approx((0, 2 + sum(shares)))


def test_the_smallest_shares_are_added_up_and_the_order_is_kept() -> None:
    labels, parts = ledger._shortened(list("abcde"), np.array([1, -9, 2, 8, 3.0]), 3)
    assert (labels, parts) == (["b", "d", "3 others"], [-9, 8, 6])


def test_evaluations_are_drawn(tmp_path) -> None:
    owned = {f"node {i}": 0.1 * (-1) ** i for i in range(20)}
    plot.evaluation(
        ACCURACY, MARGINS, owned, measure="accuracy", title="t", path=tmp_path / "e.png"
    )
    plot.margin_histogram(MARGINS, title="t", path=tmp_path / "m.png")
    for name in "em":
        assert min(pixels(tmp_path / f"{name}.png").shape[:2]) > 300
    one = {name: values[:1] for name, values in MARGINS.items()}
    plot.margin_histogram(one, title="t", path=tmp_path / "m.png")
    plot.margin_histogram({"all": np.zeros(3)}, title="t", path=tmp_path / "m.png")


def test_owners_beyond_the_count_are_added_up() -> None:
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    shares = {"W x": 0.9, "a": -0.2, "b": 0.05, "c": 0.15, "d": 0.1}
    margins._owners(ax, shares, 4)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["W x", "a", "c", "2 others"]
    assert [patch.get_width() for patch in ax.patches] == pytest.approx([90, -20, 15, 15])
    assert margins._short("a" * 20 + "b" * 20) == "a" * 16 + "..." + "b" * 16


def test_errors(tmp_path) -> None:
    path = tmp_path / "x.png"
    with pytest.raises(OptionError, match=r"A heat map has shape \(3,\); expected \(channels"):
        plot.heat_map_grid([np.ones(3)], ["a"], title="", path=path)
    with pytest.raises(OptionError, match=r"0 heat maps of shapes \[\] with 1 titles"):
        plot.heat_map_grid([], ["a"], title="", path=path)
    with pytest.raises(OptionError, match=r"2 heat maps of shapes \[\(2, 2\), \(3, 3\)\] with 2"):
        plot.heat_map_grid([np.eye(2), np.eye(3)], ["a", "b"], title="", path=path)
    with pytest.raises(OptionError, match=r"1 names for shares of shape \(2,\)"):
        plot.ledger_bars(0, ["a"], np.ones(2), title="", path=path)
    with pytest.raises(OptionError, match=r"margins of \['c'\]; expected some of \['all', 'W x'"):
        plot.margin_histogram({"c": np.ones(2)}, title="", path=path)
    with pytest.raises(OptionError, match="There are no margins to draw; give at least one"):
        plot.margin_histogram({"all": np.ones(0)}, title="", path=path)
