"""``onnxlin explain --flips``: what is shown is an input that the model decides otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import helper

import onnxlin
from onnxlin import page
from onnxlin.graph.picture import guess_geometry
from onnxlin.inputs import Given
from onnxlin.page.flips import NOTHING
from onnxlin.page.pack import unpack
from onnxlin.readings.region import find_change
from tests.cli.conftest import digit, run, run_json  # noqa: F401
from tests.cli.helpers import write_model
from tests.page import subjects
from tests.page.browser import Page, number, printed
from tests.page.test_command import document

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def decided(model: str, x: np.ndarray) -> np.ndarray:
    """By onnxruntime itself."""
    session = onnxruntime.InferenceSession(model)
    return session.run(None, {session.get_inputs()[0].name: x})[0].ravel()


def test_the_model_itself_decides_otherwise_there(run_json, digit) -> None:  # noqa: F811
    found = run_json("explain", *digit, "--flips", "--no-files", "--html", "page.html")["flips"]
    shown = document("page.html")["flips"]
    assert {key: shown[key] for key in found if key != "names"} == {
        key: found[key] for key in found if key != "names"
    }
    assert [row["label"] for row in shown["names"]] == found["names"] == ["7", "9"]
    lin = onnxlin.Linearizer(digit[0])
    x = unpack(document("page.html")["parts"][0]["x"]).reshape(1, 1, 28, 28)
    (own,) = shown["parts"]
    change = unpack(own["change"]).reshape(x.shape)
    assert np.linalg.norm(change.astype(np.float64)) == pytest.approx(found["distance"], rel=1e-6)
    assert found["of_x"] == pytest.approx(found["distance"] / np.linalg.norm(x.astype(float)))
    there = find_change(lin, x)
    assert decided(digit[0], x).argmax() == found["from"] == 7
    at = there.x.reshape(x.shape).astype(np.float32)
    y = decided(digit[0], at)
    assert y.argmax() == found["to"] == there.row == 9
    assert found["there"] == pytest.approx([y[7], y[9]], abs=1e-4)
    assert found["there"][1] > found["there"][0]
    assert found["at_x"] == pytest.approx(decided(digit[0], x)[[7, 9]].tolist(), abs=1e-4)
    np.testing.assert_allclose(x + change, at, atol=1e-6)
    assert found["changed"] == np.count_nonzero(at != x)
    assert found["outside"] == ((at < 0) | (at > x.max())).sum()
    first = found["strongest"][0]
    place = np.unravel_index(np.abs(at - x).argmax(), (28, 28))
    assert first["name"] == f"x[0,{place[0]},{place[1]}]"
    assert first["there"] == pytest.approx(float(at[0, 0][place]))
    # Grey levels of what is seen there: those of the file, moved and cut off.
    pixels = unpack(own["pixels"]).reshape(28, 28)
    np.testing.assert_allclose(pixels, np.clip(255 * at[0, 0], 0, 255), atol=1)


def test_it_is_printed_and_left_out_unless_asked_for(run, run_json, digit) -> None:  # noqa: F811
    out = run("explain", *digit, "--flips", "--no-files", "--top", "2")[1]
    words = out[out.index("What flips it?") :]
    assert "(l2, 18.3% of x) the model says 9, not 7" in words
    assert "proved by a run of the model; a nearer one may exist" in words
    assert words.count("x[0,") == 2
    found = run_json("explain", *digit, "--no-files", "--html", "page.html")
    assert found["flips"] is None
    assert document("page.html")["flips"] is None
    code, _, err = run("explain", *digit, "--flips", "--no-files", "--rows", "7")
    assert code == 1
    assert "--flips asks which of several outputs is the largest, and the map has 1 row." in err


def test_where_nothing_is_found_it_says_so(run, run_json) -> None:  # noqa: F811
    """Two outputs that are one and the same plus 1: no input changes their order."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Add", ["h", "c"], ["y"]),
    ]
    w = np.array([[1.0, 1.0], [2.0, 2.0]], np.float32)
    net = write_model("net.onnx", nodes, (1, 2), w=w, c=np.array([0.0, 1.0], np.float32))
    np.save("x.npy", np.ones((1, 2), np.float32))
    found = run_json("explain", net, "x.npy", "--flips", "--no-files", "--html", "page.html")
    assert found["flips"] == {"why_not": NOTHING}
    assert document("page.html")["flips"] == {"why_not": NOTHING}
    assert f"nothing: {NOTHING}" in run("explain", net, "x.npy", "--flips", "--no-files")[1]


def test_tokens_have_vectors_that_move(run_json, tmp_path) -> None:  # noqa: F811
    pair = subjects.tokens(tmp_path)
    found = run_json("explain", pair.model, pair.source, "--flips", "--no-files")["flips"]
    assert found["distance"] > 0
    assert all("x" not in one for one in found["strongest"])
    sizes = [one["size"] for one in found["strongest"]]
    assert sizes == sorted(sizes, reverse=True)
    assert np.linalg.norm(sizes) == pytest.approx(found["distance"])


PREPARED = {"rgb": [], "bgr": ["--channels", "bgr", "--std", "0.5,1,2"]}


@pytest.fixture
def colour(fixtures) -> subjects.Pair:
    """A net of colour pictures whose channels have means and deviations of their own."""
    at = np.linspace(0, 1, 32)
    waves = [np.outer(np.sin(3 * at * (c + 1)), np.cos(2 * at)) for c in range(3)]
    noise = np.random.default_rng(5).uniform(0, 40, (32, 32, 3))
    picture = np.clip(110 + 100 * np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(picture).save("picture.png")
    return subjects.Pair(
        str(fixtures / "studies/nets/lenet5_plain_cifar10.onnx"), str(Path("picture.png"))
    )


@pytest.mark.parametrize("order", PREPARED)
def test_a_colour_picture_is_seen_there_in_its_own_colours(run_json, colour, order) -> None:  # noqa: F811
    asked = [colour.model, colour.source, *PREPARED[order], "--flips", "--no-files"]
    found = run_json("explain", *asked, "--html", "page.html")["flips"]
    shown = document("page.html")
    (own,), (part,) = shown["flips"]["parts"], shown["parts"]
    change = unpack(own["change"]).reshape(3, 32, 32).astype(float)
    assert np.linalg.norm(change) == pytest.approx(found["distance"], rel=1e-6)
    # What the preprocessing did to a pixel, undone by hand; one of BGR gets its channels reversed.
    told = onnxlin.Linearizer(colour.model).graph.model.metadata_props
    how = json.loads(next(entry.value for entry in told if entry.key == "preprocessing"))
    std = [0.5, 1, 2] if order == "bgr" else how["std"]
    levels = np.moveaxis(change * np.reshape(std, (3, 1, 1)) / how["scale"], 0, -1)
    levels = levels[..., ::-1] if order == "bgr" else levels
    picture = np.asarray(Image.open(colour.source)).astype(float)
    assert np.abs(levels).max() > 3
    np.testing.assert_array_equal(unpack(part["pixels"]).reshape(32, 32, 3), picture)
    there = unpack(own["pixels"]).reshape(32, 32, 3)
    np.testing.assert_allclose(there, np.clip(picture + levels, 0, 255), atol=0.51)
    assert own["cut"] == np.count_nonzero((picture + levels < 0) | (picture + levels > 255))


def test_pixels_of_unknown_preparation_are_not_guessed(colour) -> None:
    """Which channel is which, and in what units, nobody said: the change alone is drawn."""
    lin = onnxlin.Linearizer(colour.model)
    pixels = np.asarray(Image.open(colour.source))
    x = np.moveaxis(pixels, -1, 0)[None].astype(np.float32) / 128 - 1
    m, found = lin(x), find_change(lin, x)
    given = Given({"image": x}, tensor="image", geometry=guess_geometry(x.shape), pixels=pixels)
    parts = page.parts(m, given, lin.graph)
    (own,) = page.document(page.Explained(m, parts, flips=found))["flips"]["parts"]
    assert (own["pixels"], own["cut"]) == (None, 0)
    assert len(unpack(own["change"])) == 3 * 32 * 32


def test_in_python_a_page_takes_what_was_found() -> None:
    net = write_model("net.onnx", [helper.make_node("Relu", ["x"], ["y"])], (1, 1, 8, 8))
    lin, x = onnxlin.Linearizer(net), np.arange(64, dtype=np.float32).reshape(1, 1, 8, 8)
    m, found = lin(x), find_change(lin, x)
    parts = page.parts(m, Given({"x": x}), lin.graph)
    made = page.document(page.Explained(m, parts, flips=found))["flips"]
    assert (made["from"], made["to"]) == (63, 62)
    assert made["distance"] == pytest.approx(np.sqrt(0.5), rel=1e-3)
    assert made["parts"][0]["pixels"] is not None


PAINTED = """const canvas = arguments[0];
return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];"""


@pytest.mark.parametrize("kind", ["digit", "colour", "table"])
def test_a_person_sees_it(driver, run_json, digit, colour, kind) -> None:  # noqa: F811
    table = subjects.table(Path())
    pair = {
        "digit": digit,
        "colour": (colour.model, colour.source),
        "table": (table.model, table.source),
    }[kind]
    found = run_json("explain", *pair, "--flips", "--no-files", "--html", "page.html")["flips"]
    seen = Page(driver, Path("page.html"))
    text = seen.text("#flips")
    assert "What flips it?" in text
    assert number(seen.text("#flipped p b")) == printed(found["distance"])
    cells = [
        cell.text for cell in seen.all("#flipped table")[0].find_elements("css selector", "td")
    ]
    told = [found["at_x"][0], found["there"][0], found["at_x"][1], found["there"][1]]
    assert [number(cell) for cell in cells] == [printed(value) for value in told]
    assert len(seen.all("#flipped canvas")) == (0 if kind == "table" else 3)
    if kind == "colour":
        pixels = document("page.html")["flips"]["parts"][0]["pixels"]
        drawn = seen.js(PAINTED, seen.all("#flipped canvas")[1])
        rgb = np.reshape(drawn, (-1, 4))[:, :3]
        np.testing.assert_array_equal(rgb.ravel(), unpack(pixels).ravel())
    assert ("What changes most" in text) == (kind == "table")
    assert seen.errors() == []
    plain = run_json("explain", *pair, "--no-files", "--html", "plain.html")
    assert plain["flips"] is None
    assert not Page(driver, Path("plain.html")).find("#flips").is_displayed()
