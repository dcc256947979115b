"""Pages of maps that are unlike a classifier of one picture."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import numpy as np
import pytest

import onnxlin
from onnxlin import cli
from onnxlin.affine_map import AffineMap
from tests.page.browser import Page, number, printed

pytest.importorskip("PIL")


@pytest.fixture
def explained(driver, tmp_path):
    """Write a page and open it; the console must stay empty, and no phone scroll sideways."""
    opened = []

    def open_page(model, source, *more, code: int = 0) -> Page:
        path = tmp_path / "report.html"
        asked = ["explain", str(model), str(source), "--no-files", "--html", str(path), *more]
        with redirect_stdout(io.StringIO()):
            assert cli.main(asked) == code
        opened.append(Page(driver, path))
        return opened[-1]

    yield open_page
    for page in opened:
        assert page.errors() == []
        assert page.text("#failure") == ""
        page.resize(375)
        assert page.js("return document.documentElement.scrollWidth") <= 375


@pytest.mark.parametrize(
    "name",
    ["scalar_input", "scalar_output", "empty_rows", "empty_slice", "constant_output", "conv3d",
     "mixed_dtypes", "opset7_image", "ties_relu"],
)  # fmt: skip
def test_odd_maps_have_a_page(explained, fixtures, name) -> None:
    pair = fixtures / "odd" / f"{name}.onnx", fixtures / "odd" / f"{name}.npz"
    page = explained(*pair)
    assert page.text("#verdict").startswith("PASS")


def test_every_input_has_its_own_part(explained, fixtures) -> None:
    pair = fixtures / "odd" / "two_in_two_out.onnx", fixtures / "odd" / "two_in_two_out.npz"
    page = explained(*pair)
    with np.load(pair[1]) as file:
        m = onnxlin.linearize(pair[0], dict(file))
    first = int(np.argmax(m.y))
    leads = {row.text.split(" ")[0] for row in page.all("#features tbody th")}
    assert leads == set(m.inputs)
    values = [row.find_elements("tag name", "td") for row in page.all("#features tbody tr")]
    sizes = np.sort(np.abs(m.contributions[first].astype(np.float64)))[::-1]
    shown = [abs(number(cells[-1].text)) for cells in values[: min(len(sizes), 10)]]
    assert shown == [printed(float(size), 4) for size in sizes[: len(shown)]]


def test_a_baseline_stands_in_the_ledger(explained, fixtures) -> None:
    pair = fixtures / "lenet5_mnist.onnx", fixtures / "digit_7.png"
    page = explained(*pair, "--baseline", str(fixtures / "digit_1.png"))
    assert "W (x - x0) adds" in page.text("#contributions-lead")
    shares = {row.find_element("tag name", "th").text: row for row in page.all("#shares tbody tr")}
    assert "W x0" in shares
    total = number(page.text("#contributions-lead").split("adds ")[1].split(" to")[0])
    parts = [number(row.find_elements("tag name", "td")[-1].text) for row in shares.values()]
    F = number(page.text("#outputs td.number"))
    assert total + sum(parts) == pytest.approx(F, abs=1e-2)


def test_a_map_past_its_bound_is_not_explained(explained, fixtures, monkeypatch) -> None:
    right = AffineMap.b.func
    monkeypatch.setattr(AffineMap, "b", property(lambda m: right(m) + 1))
    pair = fixtures / "lenet5_mnist.onnx", fixtures / "digit_7.png"
    page = explained(*pair, code=4)
    assert page.text("#verdict").startswith("FAIL")
    assert "past what rounding allows" in page.text("#verdict")
    assert page.find("#rows").is_displayed()
    assert page.find("#residual").is_displayed()
    for part in ("controls", "input", "contributions", "ledger", "region", "nodes"):
        assert not page.find(f"#{part}").is_displayed(), part


def test_smooth_nodes_are_listed_in_place_of_a_region(explained, tmp_path) -> None:
    from onnx import helper

    from tests.cli.helpers import write_model

    nodes = [helper.make_node("Sigmoid", ["x"], ["y"], "squash")]
    model = write_model(tmp_path / "smooth.onnx", nodes)
    np.save(tmp_path / "x.npy", np.float32([[1, -2, 3, 0]]))
    page = explained(model, tmp_path / "x.npy")
    assert "Sigmoid 'squash' is smooth" in page.text("#region")


def test_bounds_of_a_radius_are_shown_as_bounds(explained, fixtures) -> None:
    pair = fixtures / "lenet5_mnist.onnx", fixtures / "digit_7.png"
    page = explained(*pair, "--sweeps", "1")
    row = page.all("#reach table.reach")[0].find_element("css selector", "tbody tr")
    size, how, unit = (cell.text for cell in row.find_elements("tag name", "td"))
    low, high = (number(text) for text in size.split(" to "))
    assert 0 < low < high
    assert how == "bounds"
    assert unit
    assert "After 1 gradient a radius is still a pair of bounds" in page.text("#region")
