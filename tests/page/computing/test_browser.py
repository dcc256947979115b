"""What a page computes in a real browser is what Python computes, however x came about."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

import onnxlin
from onnxlin.inputs import read_input
from tests.agree import assert_close, assert_same_rows
from tests.page.browser import number, printed
from tests.page.computing.conftest import Live
from tests.page.test_looks import CONTRAST

pytest.importorskip("PIL")

KINDS = ("digit", "table", "series", "tokens", "photo")


def change(page, kind) -> None:
    """Change x as a person does."""
    if kind in ("digit", "photo"):
        page.drag(".pad canvas", (0.3, 0.2), (0.32, 0.5), (0.6, 0.55))
    elif kind == "series":
        page.drag(".editor canvas", (0.2, 0.2), (0.4, 0.4), (0.6, 0.3))
    elif kind == "table":
        field = page.find(".field input[type=number]")
        field.clear()
        field.send_keys("6.25")
    else:
        box = page.find("textarea")
        box.clear()
        box.send_keys("A bad film, unheard")
    page.settled()


def assert_is_pythons(page, told) -> None:
    """F within both roundings, rows of W and b within what composing may do."""
    m = page.map(told)
    room = 2 * m.error_bound
    assert_close(np.array([row["F"] for row in told["rows"]]), m.y, room)
    assert_same_rows(m, np.array([row["W"] for row in told["rows"]]))
    assert_close(np.array([row["b"] for row in told["rows"]]), m.b, room)
    assert_close(np.array([row["Wx"] for row in told["rows"]]), m.Wx, room)
    for name, values in m.bias_by_node.items():
        assert_close(np.array([row["shares"].get(name, 0) for row in told["rows"]]), values, room)


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_python_at_every_input(visit_live, kind) -> None:
    page = visit_live(kind)
    assert not page.find("#failure").is_displayed()
    assert page.js("return performance.getEntriesByType('resource').length") == 0
    before = page.numbers()
    assert_is_pythons(page, before)
    change(page, kind)
    told = page.numbers()
    assert told["feeds"] != before["feeds"]
    assert_is_pythons(page, told)
    # What stands there is this answer.
    top = max(told["rows"], key=lambda row: row["F"])
    assert number(page.text("#outputs tbody .number")) == printed(top["F"])
    assert page.text("#strongest") in (top["label"], f"{top['output']} {top['label']}")
    assert page.text("#verdict").startswith("W x + b is F(x)")
    for width in (375, 1280):
        page.resize(width)
        assert page.js("return document.documentElement.scrollWidth") <= width


OPENED: dict[str, Live] = {}

AS_OPENED = """
DOC.bound = arguments[0];
Object.assign(PINS, {A: null, B: null});
drawPins();
$("changes").replaceChildren();
for (const part of PARTS) part.history = [];
heldAgainst(LIVE.answer.y);
$("first").click();
"""


@pytest.fixture
def digit(driver, live_pages):
    """The page of a seven, as when it was opened; nothing may be left on the console."""
    path, model = live_pages("digit")
    if driver.current_url != path.as_uri():
        OPENED["digit"] = Live(driver, path, model)
    page = OPENED["digit"]
    page.js(AS_OPENED, page.bound)
    page.settled()
    yield page
    assert page.errors() == []
    page.look()


def test_files_are_opened_as_python_opens_them(digit, fixtures, tmp_path) -> None:
    """To the last bit: size, grey, centre cut and scale."""
    from PIL import Image

    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (41, 67, 3), dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "colours.png")
    for path in (fixtures / "digit_4.png", tmp_path / "colours.png"):
        digit.js("LIVE.opened = LIVE.runs")
        digit.find("input.open").send_keys(str(path))
        end = time.monotonic() + 20
        while digit.js("return LIVE.runs === LIVE.opened"):
            assert time.monotonic() < end
            time.sleep(0.02)
        found = next(iter(digit.numbers()["feeds"].values()))
        given = read_input(path, digit.lin.graph.inputs)
        (expected,) = given.feeds.values()
        np.testing.assert_array_equal(
            np.array(found["values"], np.float32).reshape(found["shape"]), expected
        )
    said = digit.text(".tools [role=status]")
    assert said.startswith("colours.png: 67 \N{MULTIPLICATION SIGN} 41 to 28")
    assert digit.find("input.camera").get_attribute("capture") == "environment"


def test_pictures_are_brought_to_size_as_pillow_does(digit) -> None:
    from PIL import Image, ImageOps
    from PIL.Image import Resampling

    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (19, 30, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    for how in ("bilinear", "bicubic", "nearest", "lanczos", "box", "hamming"):
        for width, height in ((12, 12), (45, 20), (30, 8)):
            kind, size = Resampling[how.upper()], (width, height)
            both = {
                "fit": image.resize(size, kind),
                "crop": ImageOps.fit(image, size, kind),
            }
            for resize, expected in both.items():
                made = digit.js(
                    "const [data, width, height, how] = arguments;"
                    "return [...prepared({width: 30, height: 19, depth: 3,"
                    "data: new Uint8ClampedArray(data)}, how, width, height).data]",
                    pixels.ravel().tolist(), width, height,
                    {"resize": resize, "resample": how, "edge": None, "size": None},
                )  # fmt: skip
                np.testing.assert_array_equal(made, np.asarray(expected).ravel(), f"{how} {resize}")


def test_sixty_strokes_leave_nothing_behind(digit) -> None:
    """After as many as can be taken back: no element, no listener, no half of the answers' W."""
    rng = np.random.default_rng(2)

    def strokes(count: int) -> None:
        before = digit.js("return LIVE.runs")
        digit.js("document.querySelector('.pad').scrollIntoView()")
        for _ in range(count):
            digit.drag(".pad canvas", *rng.uniform(0.2, 0.8, (2, 2)).tolist(), view=False)
        assert digit.js("return LIVE.runs") >= before + count

    def held() -> dict:
        digit.cdp("HeapProfiler.collectGarbage")
        counts = digit.cdp("Memory.getDOMCounters")
        heap = digit.cdp("Runtime.getHeapUsage")
        counts["bytes"] = heap["usedSize"] + heap.get("backingStorageSize", 0)
        return counts

    strokes(12)
    before = held()
    strokes(60)
    after = held()
    assert after["jsEventListeners"] <= before["jsEventListeners"]
    assert after["documents"] == before["documents"]
    # Tables have as many lines as x has pixels that count: never those of half the answers.
    lines = digit.js("return document.querySelectorAll('main *').length")
    assert after["nodes"] - before["nodes"] < lines
    assert after["bytes"] - before["bytes"] < 60 * 10 * 784 * 4 / 2


def test_keys_draw_erase_and_take_back(digit) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    digit.js("document.querySelector('.pad').focus()")
    before = digit.numbers()["x"]
    digit.press(Keys.HOME, Keys.ARROW_UP, Keys.ARROW_RIGHT, " ")
    drawn = digit.numbers()["x"]
    place = 13 * 28 + 1
    assert (before[place], drawn[place]) == (0, 1)
    digit.press(Keys.DELETE)
    assert digit.numbers()["x"][place] == 0
    ActionChains(digit.driver).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()
    assert digit.numbers()["x"] == drawn
    # All that is done by the mouse can be reached.
    for found in digit.all("main button, main input, main select, main textarea"):
        if not found.is_displayed():
            continue
        assert digit.js("return arguments[0].tabIndex", found) >= 0
        named = found.text or found.get_attribute("aria-label")
        assert named or digit.js("return arguments[0].labels.length", found) == 1


def test_two_pinned_inputs_and_the_line_between_them(digit, fixtures) -> None:
    digit.click("#pin-A")
    digit.find("input.open").send_keys(str(fixtures / "digit_1.png"))
    end = time.monotonic() + 20
    while digit.text("#strongest") != "1":
        assert time.monotonic() < end
        time.sleep(0.02)
    digit.click("#pin-B")
    while "Looked for" not in digit.text("#line-said"):
        assert time.monotonic() < end + 20
        time.sleep(0.02)
    changes = digit.js("return LINE.changes")
    assert (changes[0]["from"], changes[-1]["to"]) == (7, 1)
    given = [read_input(fixtures / f"digit_{n}.png", digit.lin.graph.inputs) for n in (7, 1)]
    a, b = (next(iter(each.feeds.values())) for each in given)
    for change_ in changes:
        for t, strongest in ((change_["before"], change_["from"]), (change_["t"], change_["to"])):
            y = next(iter(digit.lin.run(a + np.float32(t) * (b - a)).values())).ravel()
            # At the border two outputs are level but for rounding.
            assert y[strongest] == pytest.approx(y.max(), abs=1e-3 * float(np.abs(y).max()))
    digit.click("#next")
    assert digit.text("#strongest") == str(changes[0]["to"])
    assert_is_pythons(digit, digit.numbers())
    digit.click("#back")
    assert digit.text("#strongest") == "7"
    table = digit.all("#changes table")[0].text.split()
    m7, m1 = (digit.lin(x) for x in (a, b))
    assert "W" in table
    rows = digit.js(
        "return [...document.querySelectorAll('#changes .reach tbody tr')].map("
        "(row) => [...row.cells].map((cell) => cell.textContent))"
    )
    one = digit.js("return chosen().name").split(" against ")
    first, other = int(one[0]), int(one[1])
    for name, p, q, _ in rows:
        for m, text in ((m7, p), (m1, q)):
            values = {"F(x)": m.y, "W x": m.Wx, "b": m.b}[name]
            expected = values[first] - values[other]
            room = 2 * m.error_bound[[first, other]].sum() + 1e-4 * abs(expected)
            assert number(text) == pytest.approx(expected, abs=room)


def test_what_is_saved_can_be_read(digit, tmp_path) -> None:
    digit.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    for button in ("picture", "numbers", "x"):
        digit.click(f"#save-{button}")
    names = {"lenet5_mnist.png", "lenet5_mnist.json", "x.npy"}
    end = time.monotonic() + 20
    while {path.name for path in tmp_path.iterdir()} != names:
        assert time.monotonic() < end, list(tmp_path.iterdir())
        time.sleep(0.05)
    told = json.loads((tmp_path / "lenet5_mnist.json").read_text())
    x = read_input(tmp_path / "x.npy", digit.lin.graph.inputs)
    (tensor,) = x.feeds.values()
    np.testing.assert_array_equal(tensor.ravel(), np.array(told["x"], np.float32))
    assert (tmp_path / "lenet5_mnist.png").read_bytes().startswith(b"\x89PNG")


def test_a_map_may_start_at_a_hidden_tensor(driver, live_pages, fixtures, tmp_path) -> None:
    """The picture is drawn on all the same, and x is what the graph makes of it."""
    model, name = fixtures / "lenet5_mnist.onnx", "/2/MaxPool_output_0"
    lin = onnxlin.Linearizer(model, inputs=name)
    given = read_input(fixtures / "digit_7.png", lin.graph.inputs)
    onnxlin.page.live(model, tmp_path / "hidden.html", given.feeds, inputs=name)
    page = Live(driver, tmp_path / "hidden.html", str(model))
    page.lin = lin
    change(page, "digit")
    told = page.numbers()
    m = page.map(told)
    assert len(m.x) == len(told["x"]) != 784
    assert_close(np.array([row["F"] for row in told["rows"]]), m.y, 2 * m.error_bound)
    assert_same_rows(m, np.array([row["W"] for row in told["rows"]]))
    assert page.errors() == []


def test_a_residual_past_the_bound_is_red(digit) -> None:
    digit.js("DOC.bound = 0; changed()")
    digit.settled()
    assert digit.find("#verdict .fail").text == "do not trust this"
    assert "past the bound" in digit.text("#verdict")
    digit.js("DOC.bound = null; changed()")
    digit.settled()
    assert "no bound is known" in digit.text("#verdict")


def test_a_browser_that_computes_otherwise_is_told_of(digit) -> None:
    digit.js("heldAgainst(LIVE.answer.y.map((value) => value + 1)); drawVerdict()")
    assert digit.find("#verdict .fail").is_displayed()
    assert "NOT Python's" in digit.text("#verdict")


def test_text_has_contrast_in_both_schemes(digit) -> None:
    """4.5 to 1, as WCAG 2.2 asks (success criterion 1.4.3, level AA)."""
    digit.click("#pin-A")
    for scheme in ("light", "dark"):
        digit.look(scheme)
        ratio, where = digit.js(CONTRAST)
        assert ratio >= 4.5, where


def test_licences_are_on_the_page(digit) -> None:
    digit.js("document.querySelector('#licences').open = true")
    end = time.monotonic() + 20
    while "Microsoft Corporation" not in digit.js("return $('licence-text').textContent"):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert "THIRD PARTY SOFTWARE NOTICES" in digit.js("return $('licence-text').textContent")
