"""The file of a page: whole, and closed against what names may hold."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from onnxlin.errors import FileError
from onnxlin.page import render, write
from onnxlin.page.computing.live import OWN
from onnxlin.page.render import SCRIPTS, embedded
from onnxlin.texts import shown

EVIL = "</script><script>alert(1)</script><!--<script> {{data}} & \u2028 \"'"


class Elements(HTMLParser):
    """Starts of elements, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        if self.found and self.found[-1][0] in ("script", "title"):
            self.texts.append(data)


def test_names_cannot_leave_their_element() -> None:
    document = {"model": EVIL, "source": EVIL, "nodes": [EVIL]}
    page = Elements(render(document))
    scripts = [attributes for tag, attributes in page.found if tag == "script"]
    assert len(scripts) == 2
    assert "alert(1)" not in [text.strip() for text in page.texts]
    data = next(text for text in page.texts if text.startswith("{"))
    assert json.loads(data) == document
    assert page.texts[0] == shown(f"{EVIL} on {EVIL}")


def test_data_holds_no_markup() -> None:
    assert "<" not in embedded({"a": EVIL})


def test_a_page_needs_no_network() -> None:
    text = render({"model": "m", "source": "x"})
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) == {"http://www.w3.org/2000/svg"}
    for tag, attributes in Elements(text).found:
        assert not {"src", "srcset"} & set(attributes), tag
        assert attributes.get("href", "data:,") == "data:,"
    assert "default-src 'none'" in text
    assert not re.search(r"@import|url\(|\bfetch\(|XMLHttpRequest|innerHTML", text)


def test_every_asset_is_in_the_page() -> None:
    folder = files("onnxlin.page").joinpath("assets")
    names = {asset.name for asset in folder.iterdir() if asset.is_file()}
    assert names == {*SCRIPTS, "page.css", "page.html"}
    text = render({"model": "m", "source": "x"})
    for name in names - {"page.html"}:
        assert folder.joinpath(name).read_text("utf-8") in text


def test_so_is_every_asset_of_a_page_that_computes() -> None:
    folder = files("onnxlin.page").joinpath("assets", "live")
    names = {asset.name for asset in folder.iterdir()}
    assert names == {*(f"{name}.js" for name in (*OWN, "worker")), "live.css", "live.html"}


def test_a_page_makes_its_folder_or_says_why_not(tmp_path) -> None:
    document = {"model": "m", "source": "x"}
    write(tmp_path / "a" / "b" / "page.html", document)
    assert (tmp_path / "a" / "b" / "page.html").read_text("utf-8") == render(document)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"Cannot write .*: .*Give --html another name\."):
        write(tmp_path / "file" / "page.html", document)
