"""A map in a notebook: it never raises, and does no heavy work."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given

import onnxlin
from onnxlin import AffineMap, MemoryBudgetError
from onnxlin.affine_map import html as map_html
from onnxlin.testing import GrownModel, onnx_models
from tests.small import model

VOID = {"img"}


class Balanced(HTMLParser):
    """Fails where elements do not close in order; gathers names and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.words = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        self.names.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.words += data


@given(onnx_models())
def test_any_map_is_shown(grown: GrownModel) -> None:
    m = onnxlin.linearize(grown.model, grown.x)
    assert "script" not in Balanced(m._repr_html_()).names


@pytest.mark.parametrize(
    "name",
    ["conv1d", "two_in_two_out", "scalar_input", "scalar_output", "empty_rows", "empty_slice",
     "constant_output", "mixed_dtypes", "opset7_image", "duplicate_names", "no_batch"],
)  # fmt: skip
def test_odd_maps_are_shown_also_from_a_file(fixtures, tmp_path, name) -> None:
    with np.load(fixtures / "odd" / f"{name}.npz") as file:
        x = dict(file)
    m = onnxlin.linearize(fixtures / "odd" / f"{name}.onnx", x)
    Balanced(m._repr_html_())
    m.save(tmp_path / "map.npz")
    Balanced(AffineMap.load(tmp_path / "map.npz")._repr_html_())


@pytest.fixture
def digit(fixtures) -> AffineMap:
    x = np.random.default_rng(0).random((1, 1, 28, 28))
    return onnxlin.linearize(fixtures / "lenet5_mnist.onnx", x)


def test_rows_and_verdict_are_those_of_the_map(digit) -> None:
    shown = digit._repr_html_()
    assert "m.verify()" in shown
    assert "PASS" not in shown
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>.*?</tr>", shown)]
    rows = [row[:4] for row in cells if row]
    order = np.argsort(-digit.y)[:5]
    assert [int(row[0]) for row in rows] == order.tolist()
    for i, row in zip(order, rows, strict=True):
        told = digit.y[i], digit.Wx[i], digit.b[i]
        assert list(row[1:]) == [f"{v:.5g}" for v in told]
    assert "The 5 largest of 10 rows" in shown
    strongest = max(digit.bias_by_node.items(), key=lambda item: abs(item[1][order[0]]))
    assert f"b of row {order[0]}: {strongest[0]} {strongest[1][order[0]]:+.5g}" in shown
    assert "PASS" in digit.verify()._repr_html_()
    assert digit._repr_html_().count("<img") == 4  # x, and W x of three rows


def test_a_residual_past_its_bound_is_said(digit, monkeypatch) -> None:
    digit.verify()
    right = AffineMap.b.func
    monkeypatch.setattr(AffineMap, "b", property(lambda m: right(m) + 1))
    assert "FAIL" in Balanced(digit._repr_html_()).words


def test_a_heat_map_has_the_colours_of_the_contributions(digit) -> None:
    image = pytest.importorskip("PIL.Image")
    first, second = re.findall(r"base64,([^\"]+)", digit._repr_html_())[:2]
    with image.open(io.BytesIO(base64.b64decode(first))) as picture:
        grey = np.asarray(picture)
    x = digit.x.reshape(28, 28, 1)
    whole = np.rint(255 * (x - x.min()) / (x.max() - x.min()))
    np.testing.assert_array_equal(grey, np.broadcast_to(whole, (28, 28, 3)))
    with image.open(io.BytesIO(base64.b64decode(second))) as picture:
        found = np.asarray(picture)
    top = int(np.argmax(digit.y))
    plane = (digit.W[top].astype(np.float64) * digit.x).reshape(28, 28)
    np.testing.assert_array_equal(found, map_html.ramp(plane / np.abs(plane).max()))
    assert found[plane > 0.5 * plane.max(), 0].mean() > 150
    assert (found[plane > 0.5 * plane.max(), 2] < 150).all()


def test_blocks_of_a_large_picture_are_added_up() -> None:
    image = pytest.importorskip("PIL.Image")
    x = np.random.default_rng(0).standard_normal((1, 1, 300, 513))
    m = onnxlin.linearize(
        model("g (float[1,1,300,513] x) => (float[1,1] y) "
              "{ g = GlobalAveragePool(x) y = Flatten(g) }"), x, dtype=np.float64,
    )  # fmt: skip
    assert m.W.size > map_html.SMALL
    shown = m._repr_html_()
    assert "3 x 3 pixels added up" in shown
    with image.open(io.BytesIO(base64.b64decode(re.findall(r"base64,([^\"]+)", shown)[1]))) as png:
        found = np.asarray(png)
    plane = (m.W[0] * m.x).reshape(100, 3, 171, 3).sum(axis=(1, 3))
    expected = map_html.ramp(plane / np.abs(plane).max()).astype(int)
    assert np.abs(found - expected).max() <= 1  # sums in another order


def test_colours_are_those_of_the_plots() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    at = np.linspace(0, 1, 11)
    theirs = matplotlib.colormaps["RdBu_r"](at)[:, :3] * 255
    # Matplotlib rounds to one of 256 colours.
    assert np.abs(np.array(map_html.COLOURS) - theirs).max() <= 2.5


def test_a_large_map_is_not_computed_for_being_shown(fixtures) -> None:
    proto = model("g (float[1,70000] x) => (float[1,70000] y) { y = Relu(x) }")
    m = onnxlin.linearize(proto, np.ones((1, 70000)), rows=[0, 1])
    shown = Balanced(m._repr_html_()).words
    assert "W (2 x 70,000) has not been computed yet: m.W does." in shown
    assert "_solution" not in vars(m)
    assert m.W.shape == (2, 70000)
    assert "has not been computed" not in m._repr_html_()


def test_an_error_on_the_way_is_shown_and_not_raised(fixtures) -> None:
    lin = onnxlin.Linearizer(fixtures / "lenet5_mnist.onnx", memory=1)
    m = lin(np.ones((1, 1, 28, 28)), engine="explicit")
    with pytest.raises(MemoryBudgetError):
        m.W  # noqa: B018
    assert "memory=" in Balanced(m._repr_html_()).words


def test_names_are_escaped() -> None:
    proto = model("g (float[1,3] x) => (float[1,3] y) { y = Relu(x) }")
    proto.graph.input[0].name = proto.graph.node[0].input[0] = "<script>"
    m = onnxlin.linearize(proto, np.ones((1, 3)))
    found = Balanced(m._repr_html_())
    assert "script" not in found.names
    assert "<script>[0,2]" in found.words


def test_combinations_have_names(fixtures) -> None:
    m = onnxlin.linearize(fixtures / "mlp2_mnist.onnx", np.ones((1, 1, 28, 28)), rows=np.eye(10))
    assert f">combination {np.argmax(m.y)}</td>" in m._repr_html_()
