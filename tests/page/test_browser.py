"""What a person sees in a real browser is what the library says."""

from __future__ import annotations

import re

import numpy as np
import pytest

from onnxlin import linearize
from onnxlin.readings import depths, hidden_maps, margin
from tests.page.browser import Page, number, printed
from tests.readings.stream.nets import IDS, WORDS, T, transformer

pytest.importorskip("PIL")

KINDS = ("digit", "table", "series", "tokens", "photo")
VIEWS = {"digit": "picture", "photo": "picture", "series": "series", "tokens": "text"}
CARDS = ("contributions", "ledger", "rows", "residual", "region", "nodes", "about")


def place_of(label: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", label)))


def image(page: Page, at: int) -> str:
    """A canvas as it is."""
    return page.js("return document.querySelectorAll('canvas')[arguments[0]].toDataURL()", at)


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_is_there_and_nothing_is_fetched(visit, kind) -> None:
    page = visit(kind)
    assert not page.find("#failure").is_displayed()
    for card in CARDS:
        assert page.find(f"#{card}").is_displayed(), card
        assert len(page.text(f"#{card}")) > 20
    if kind in VIEWS:
        assert page.find(f".view.{VIEWS[kind]}").is_displayed()
    assert page.text("#verdict").startswith("PASS")
    assert page.js("return performance.getEntriesByType('resource').length") == 0
    assert len(page.all("script")) == 2


@pytest.mark.parametrize("kind", ["digit", "photo"])
def test_pointing_at_a_pixel_says_its_value_and_contribution(visit, pages, kind) -> None:
    page, m = visit(kind), pages(kind).m
    first = int(np.argmax(m.y))
    shape = next(iter(m.inputs.values())).shape[1:]
    contributions = m.contributions[first].reshape(shape).astype(np.float64)
    x = m.x.reshape(shape)
    canvas = page.all("canvas")[1]
    for row, column in ((8, 12), (16, 17), (20, 3)):
        size = canvas.size
        page.hover(
            canvas,
            (column + 0.5) * size["width"] / shape[2],
            (row + 0.5) * size["height"] / shape[1],
        )
        at = place_of(page.said("place"))
        assert max(abs(at[0] - row), abs(at[1] - column)) <= (shape[1] > 100)
        seen = [number(part) for part in page.said("x").split(", ")]
        assert seen == [printed(v) for v in x[:, at[0], at[1]]]
        told = contributions[:, at[0], at[1]].sum()
        assert number(page.said("value-0")) == printed(told)
    marker = page.all(".marker")[1].rect
    assert abs(marker["x"] - canvas.rect["x"] - at[1] * canvas.size["width"] / shape[2]) < 2


def test_arrow_keys_move_the_cursor(visit, pages) -> None:
    from selenium.webdriver import Keys

    page, m = visit("digit"), pages("digit").m
    page.js("document.querySelector('.panels').focus()")
    page.press(Keys.ARROW_UP, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert place_of(page.said("place")) == (13, 12)
    page.press(Keys.HOME, Keys.ARROW_DOWN)
    assert place_of(page.said("place")) == (14, 0)
    page.press(Keys.END)
    for _ in range(9):
        page.press(Keys.ARROW_LEFT)
    row, column = place_of(page.said("place"))
    told = m.contributions[7].reshape(28, 28)[row, column]
    assert (row, column) == (14, 18)
    assert number(page.said("value-0")) == printed(float(told))


def test_everything_is_reached_by_tab_and_the_focus_is_seen(visit) -> None:
    from selenium.webdriver import Keys

    page = visit("digit")
    reached = []
    for _ in range(8):
        page.press(Keys.TAB)
        reached.append(page.js("const e = document.activeElement; return e.id || e.className"))
        outline = page.js("return getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", reached
    assert reached[:4] == ["a", "b", "at", "panels two"]
    page.js("document.getElementById('a').focus()")
    before = image(page, 1)
    page.press(Keys.ARROW_DOWN)
    assert page.text("#contributions-lead").count("to 9.")
    assert image(page, 1) != before


def test_a_choice_redraws_heat_maps_bars_and_ledger(visit, pages) -> None:
    page, m = visit("digit"), pages("digit").m
    before = image(page, 1)
    page.choose("a", 1)
    second = int(np.argsort(-m.y)[1])
    assert image(page, 1) != before
    assert page.text("#ledger-lead").startswith(
        f"The biases of the nodes add {'+' if m.b[second] > 0 else ''}"
    )
    shares = {row.find_element("tag name", "th").text: row for row in page.all("#shares tbody tr")}
    assert set(shares) == set(m.bias_by_node)
    for node, row in shares.items():
        shown = number(row.find_elements("tag name", "td")[-1].text)
        assert shown == printed(float(m.bias_by_node[node][second]), 4)


def test_one_class_against_another(visit, pages) -> None:
    page, m = visit("digit"), pages("digit").m
    page.choose("b", 1)
    first, second = (int(i) for i in np.argsort(-m.y)[:2])
    assert [c.text for c in page.all("figcaption")] == [
        "input", f"W x: {first}", f"W x: {second}", f"W x: {first} against {second}",
    ]  # fmt: skip
    assert len({image(page, i) for i in range(4)}) == 4
    why = margin(m, first, second)
    order = np.argsort(-np.abs(why.values[0]), kind="stable")
    listed = page.all("#features tbody tr")
    for i, row in zip(order[:10], listed, strict=False):
        assert place_of(row.find_element("tag name", "th").text) == divmod(int(i), 28)
        shown = number(row.find_elements("tag name", "td")[-1].text)
        # The page subtracts float32 products, the reading float64 ones.
        assert shown == pytest.approx(why.values[0, i], rel=1e-3)
    bias = [number(row.find_elements("tag name", "td")[-1].text)
            for row in page.all("#shares tbody tr")]  # fmt: skip
    assert sum(bias) == pytest.approx(m.b[first] - m.b[second], abs=1e-3)


def test_channels_and_smoothing_are_for_the_eye(visit, pages) -> None:
    page, m = visit("photo"), pages("photo").m
    whole = image(page, 1)
    page.choose("channel", 1)
    green = image(page, 1)
    assert green != whole
    page.js("document.querySelector('.panels').focus()")
    page.press("\ue013")  # arrow up
    row, column = place_of(page.said("place"))
    told = float(m.contributions[0].reshape(3, 224, 224)[1, row, column])
    assert number(page.said("value-0")) == printed(told)
    page.choose("blur", 4)
    assert image(page, 1) != green
    assert "smoothed for the eye, sigma 4 px" in page.all("figcaption")[1].text
    page.js("document.querySelector('.panels').focus()")
    page.press("\ue013")
    assert number(page.said("value-0")) == printed(told)


def test_named_bars_hold_value_and_contribution(visit, pages) -> None:
    page, m = visit("table"), pages("table").m
    first = int(np.argmax(m.y))
    names = ["sepal length", "sepal width", "petal length", "petal width", "<i>age</i>"]
    rows = page.all("#features tbody tr")
    assert len(rows) == 5
    sizes = []
    for row in rows:
        name, (x, _, value) = (
            row.find_element("tag name", "th").text,
            row.find_elements("tag name", "td"),
        )
        at = names.index(name)
        assert number(x.text) == printed(float(m.x[at]))
        assert number(value.text) == printed(float(m.contributions[first, at]), 4)
        sizes.append(abs(number(value.text)))
    assert sizes == sorted(sizes, reverse=True)


def test_names_of_a_model_never_become_markup(visit) -> None:
    page = visit("table")
    assert "<img src=x onerror=alert(1)>" in page.text("#shares")
    assert "hidden </script>" in page.text("#nodes")
    assert page.all("img, i, b.alert") == []
    options = [o.text for o in page.all("#a option")]
    assert any("</script><script>alert(1)</script>" in text for text in options)


@pytest.mark.parametrize("width", [375, 1280])
def test_a_series_is_read_by_pointing_and_by_keys(visit, pages, width) -> None:
    from selenium.webdriver import Keys

    page, m = visit("series"), pages("series").m
    page.resize(width)
    first = int(np.argmax(m.y))
    contributions = m.contributions[first].reshape(2, 40)
    canvas = page.find("canvas")
    page.hover(canvas, canvas.size["width"] - 12, 180)  # where the line ends
    channel, time = place_of(page.said("place"))
    assert (channel, time) == (1, 39)
    assert number(page.said("x")) == printed(float(m.x.reshape(2, 40)[channel, time]))
    assert number(page.said("value-0")) == printed(float(contributions[channel, time]))
    page.js("document.querySelector('.lines').focus()")
    page.press(Keys.HOME, Keys.ARROW_UP, Keys.ARROW_RIGHT)
    assert place_of(page.said("place")) == (0, 1)
    assert number(page.said("value-0")) == printed(float(contributions[0, 1]))
    drawn = image(page, 0)
    page.choose("a", 1)
    assert image(page, 0) != drawn


def test_tokens_are_coloured_text(visit, pages) -> None:
    from selenium.webdriver import Keys

    page, m = visit("tokens"), pages("tokens").m
    words = page.all(".token")
    assert [word.text for word in words] == ["a", "not", "good", "</script>", "film", "<b>"]
    first = int(np.argmax(m.y))
    sums = m.contributions[first].reshape(6, 3).astype(np.float64).sum(axis=1)
    page.hover(words[2], 5, 5)
    assert page.said("place") == "token 2: good"
    assert number(page.said("value-0")) == printed(sums[2])
    page.js("document.querySelector('.tokens').focus()")
    page.press(Keys.ARROW_RIGHT)
    assert page.said("place") == "token 3: </script>"
    assert number(page.said("value-0")) == printed(sums[3])
    before = [word.value_of_css_property("background-color") for word in words]
    page.choose("a", 1)
    after = [w.value_of_css_property("background-color") for w in page.all(".token")]
    assert before != after


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_the_rows_are_those_of_the_map(visit, pages, kind) -> None:
    page, m = visit(kind), pages(kind).m
    order = np.argsort(-m.y, kind="stable")
    for i, row in zip(order, page.all("#outputs tbody tr"), strict=True):
        cells = [cell.text for cell in row.find_elements("css selector", "td.number")]
        assert number(cells[0]) == printed(float(m.y[i]))
        assert [number(cell) for cell in cells[-2:]] == [
            printed(float(m.Wx[i])), printed(float(m.b[i])),
        ]  # fmt: skip
    for i, row in zip(order, page.all("#residuals tbody tr"), strict=True):
        cells = [number(cell.text) for cell in row.find_elements("css selector", "td.number")]
        said = (m.residual, m.bound, m.error, m.error_bound)
        assert cells == [printed(float(each[i]), 2) for each in said]


def test_a_row_is_chosen_in_the_table_of_rows(visit) -> None:
    page = visit("digit")
    button = page.all("#outputs button")[3]
    name = button.text
    button.click()
    assert page.find("#outputs tr.here th").text == name
    assert page.js("return document.getElementById('a').selectedOptions[0].text") == name
    assert f"to {name}." in page.text("#contributions-lead")


def test_more_bars_are_shown_when_asked_for(visit) -> None:
    page = visit("digit")
    assert len(page.all("#features tbody tr")) == 16
    page.find("#features button").click()
    assert len(page.all("#features tbody tr")) > 100
    page.find("#features button").click()
    assert len(page.all("#features tbody tr")) == 16


def test_a_transformer_is_shown_layer_by_layer(visit) -> None:
    page, last = visit("transformer"), range((T - 1) * WORDS, T * WORDS)
    m = linearize(transformer(), IDS, rows=last)
    found, at = depths(m), int(np.argmax(m.y))
    rows = page.js(
        "return [...document.querySelectorAll('.depths tbody tr')].map((row) =>"
        "[...row.querySelectorAll('th, td')].map((cell) => cell.textContent))"
    )
    assert [row[0] for row in rows] == [depth.label for depth in found.depths]
    for row, values, rest in zip(rows, found.values[:, at], found.rest[:, at], strict=True):
        shown = [number(cell) for cell in row[1:]]
        # Cells have two digits, sums four.
        np.testing.assert_allclose(shown[:-2], values, rtol=0.051)
        np.testing.assert_allclose(shown[-2:], [values.sum(), rest], rtol=6e-4)
    places = page.js(
        "return [...document.querySelectorAll('#depths details tr')].map((row) =>"
        "[row.querySelector('th').textContent, row.querySelector('.number').textContent])"
    )
    assert [name for name, _ in places][:2] == ["embedding", "norm 1"]
    shares = sum(number(value) for _, value in places)
    assert shares == pytest.approx(m.b[at], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("kind", ["digit", "photo"])
def test_a_net_with_convolutions_is_shown_from_hidden_tensors(visit, pages, kind) -> None:
    page, m = visit(kind), pages(kind).m
    found = {one.tensor: one for one in hidden_maps(m)}
    at, before = int(np.argmax(m.y)), image(page, 1)
    options = page.js("return [...document.querySelectorAll('#at option')].map((o) => o.text)")
    assert options[0] == "pixels"
    assert page.js("return document.querySelectorAll('.grid').length") == 0
    for i, text in enumerate(options[1:]):
        name = text.rsplit(" (", 1)[0]
        one = found[name]
        height, width = one.grid
        assert text == f"{name} ({height} x {width})"
        page.js(
            "const at = document.getElementById('at'); at.value = arguments[0];"
            "at.dispatchEvent(new Event('change'))",
            i,
        )
        assert image(page, 1) != before
        assert page.js("return document.querySelectorAll('.grid').length") == 1
        told = page.js("return document.querySelectorAll('figcaption')[1].textContent")
        assert told.endswith(": PASS")
        numbers = re.search(r"W_h h (\S+), b_h (\S+); off by", told)
        assert numbers is not None
        both = [number(part) for part in numbers.groups()]
        np.testing.assert_allclose(both, [one.Wh[at], one.rest[at]], rtol=6e-4, atol=1e-4)
        canvas = page.all("canvas")[1]
        size, high, wide = canvas.size, *next(iter(m.inputs.values())).shape[2:]
        page.hover(canvas, size["width"] * 0.6, size["height"] * 0.4)
        row, column, down, across, *_ = place_of(page.said("place"))
        assert (down, across) == (row * height // high, column * width // wide)
        value = one.values[at, down, across]
        assert number(page.said("value-0")) == pytest.approx(value, rel=1e-4, abs=1e-7)
