"""How a page looks: widths, colours, print, and what those hear who do not see it."""

from __future__ import annotations

import base64
import re

import pytest

from tests.page.browser import Page, number

pytest.importorskip("PIL")

KINDS = ("digit", "table", "series", "tokens", "photo", "transformer")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("kind", KINDS)
def test_no_page_is_wider_than_the_window(visit, kind, width, scheme) -> None:
    page = visit(kind)
    page.resize(width)
    page.look(scheme)
    assert page.js("return document.documentElement.scrollWidth") <= width
    for card in page.all("main section"):
        if card.is_displayed():
            assert card.rect["x"] >= 0
            assert card.rect["x"] + card.rect["width"] <= width


CONTRAST = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
  .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const below = (e) => { while (e) {
  const found = getComputedStyle(e).backgroundColor;
  if (!/, 0\\)$/.test(found)) return parse(found);
  e = e.parentElement; } };
return [...document.querySelectorAll('body *')].filter((e) =>
  [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && e.offsetParent
  && !e.disabled).map((e) => {
  const [a, b] = [light(parse(getComputedStyle(e).color)), light(below(e))].sort((p, q) => q - p);
  return [(a + 0.05) / (b + 0.05), e.tagName + '.' + e.className + ': ' + e.textContent];
}).sort((p, q) => p[0] - q[0])[0];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["digit", "tokens"])
def test_text_has_contrast_in_both_schemes(visit, kind, scheme) -> None:
    """4.5 to 1, as WCAG 2.2 asks (success criterion 1.4.3, level AA)."""
    page = visit(kind)
    page.look(scheme)
    ratio, where = page.js(CONTRAST)
    assert ratio >= 4.5, where
    paper = page.find("body").value_of_css_property("background-color")
    assert (number(re.findall(r"\d+", paper)[0]) < 128) == (scheme == "dark")


def test_it_prints_without_its_controls(visit) -> None:
    page = visit("digit")
    page.look(media="print")
    assert not page.find(".readout").is_displayed()
    assert not page.find("#features button").is_displayed()
    assert page.find("#nodes").is_displayed()
    pdf = base64.b64decode(page.cdp("Page.printToPDF", printBackground=True)["data"])
    assert pdf.startswith(b"%PDF")


def test_charts_are_named_for_those_who_do_not_see_them(visit) -> None:
    for kind in ("digit", "series", "tokens"):
        page = visit(kind)
        for found in page.all("canvas, svg, [role=application], [role=region], [role=img]"):
            named = found.get_attribute("aria-label") or found.get_attribute("aria-labelledby")
            assert named, found.get_attribute("outerHTML")[:100]
        for found in page.all("select"):
            assert page.js("return arguments[0].labels.length", found) == 1


def test_a_browser_that_cannot_draw_the_page_says_so(driver, pages) -> None:
    added = driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": "delete window.DecompressionStream"}
    )
    page = Page(driver, pages("digit").path)
    driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    assert page.find("#failure").is_displayed()
    assert "DecompressionStream" in page.text("#failure")
    assert any("DecompressionStream" in text for text in page.errors())
