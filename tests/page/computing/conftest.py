"""Pages that compute, written once each, and one of a digit that stays open."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

import onnxlin
from onnxlin import cli
from tests.page import subjects
from tests.page.browser import Page


@pytest.fixture(scope="session")
def live_pages(tmp_path_factory, fixtures):
    """Write the page of a kind of input by the command line, at its first use."""
    pytest.importorskip(
        "onnxlin_live", reason="onnxlin-live is not installed: pip install ./live (needs npm)"
    )
    made: dict[str, tuple[Path, str]] = {}

    def write(kind: str) -> tuple[Path, str]:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            digit = subjects.Pair(
                str(fixtures / "lenet5_mnist.onnx"), str(fixtures / "digit_7.png")
            )
            small = {"photo": (48,)}.get(kind, ())
            pair = digit if kind == "digit" else getattr(subjects, kind)(folder, *small)
            path = folder / "live.html"
            asked = ["explain", pair.model, pair.source, "--no-files", "--live", str(path)]
            with redirect_stdout(io.StringIO()):
                assert cli.main(asked) == 0
            made[kind] = path, pair.model
        return made[kind]

    return write


class Live(Page):
    """A page that computes."""

    def __init__(self, driver, path: Path, model: str) -> None:
        super().__init__(driver, path)
        self.lin = onnxlin.Linearizer(model)
        self.bound = self.js("return DOC.bound")

    def settled(self) -> None:
        """Wait until every change is answered."""
        done = "const done = arguments[0]; (async () => { while (LIVE.busy) await LIVE.busy;"
        self.driver.execute_async_script(f"{done} done(); }})();")

    def numbers(self) -> dict:
        self.settled()
        return json.loads(self.js("return JSON.stringify(numbers())"))

    def click(self, selector: str) -> None:
        self.js("document.querySelector(arguments[0]).click()", selector)
        self.settled()

    def drag(self, selector: str, *places: tuple[float, float], view: bool = True) -> None:
        """Press the mouse, move and let go, as a browser hears it: shares of an element's size."""
        if view:
            self.js(
                "document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector
            )
        box = self.js(
            "const b = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return [b.left, b.top, b.width, b.height]",
            selector,
        )
        at = [(box[0] + x * box[2], box[1] + y * box[3]) for x, y in places]
        kinds = ["mousePressed", *["mouseMoved"] * (len(at) - 1)]
        for kind, (x, y) in [*zip(kinds, at, strict=True), ("mouseReleased", at[-1])]:
            self.cdp(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1,
                clickCount=1,
            )  # fmt: skip
        self.settled()

    def map(self, told: dict):
        """Python's map of the same rows at the page's own feeds."""
        feeds = {
            name: np.array(feed["values"], feed["type"]).reshape(feed["shape"])
            for name, feed in told["feeds"].items()
        }
        return self.lin(feeds, np.array([row["output"] for row in told["rows"]]))


@pytest.fixture
def visit_live(driver, live_pages):
    """Open a page that computes; nothing may be left on the console."""
    opened = []

    def open_page(kind: str) -> Live:
        opened.append(Live(driver, *live_pages(kind)))
        return opened[-1]

    yield open_page
    for page in opened:
        assert page.errors() == []
        page.look()
