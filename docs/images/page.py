"""Take the README's picture of the page: python docs/images/page.py (needs the browser extra)."""

import base64
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

# Below the line by which they are found.
from onnxlin import cli  # noqa: E402
from tests.page.browser import Page, start  # noqa: E402

WIDTH = 1200

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "report.html"
    pair = str(ROOT / "fixtures/lenet5_mnist.onnx"), str(ROOT / "fixtures/digit_7.png")
    assert cli.main(["explain", *pair, "--no-files", "--html", str(path)]) == 0
    driver = start()
    page = Page(driver, path)
    page.resize(WIDTH)
    page.choose("b", 1)
    # As far as what follows the choice goes.
    end = page.js("return document.getElementById('explained').getBoundingClientRect().bottom")
    page.resize(WIDTH, round(end) + 14)
    page.js("document.activeElement.blur()")
    canvas = page.all("canvas")[1]
    page.hover(canvas, 17.5 * canvas.size["width"] / 28, 15.5 * canvas.size["height"] / 28)
    page.js("scrollTo(0, 0)")
    shot = page.cdp("Page.captureScreenshot", format="png")["data"]
    (ROOT / "docs/images/page.png").write_bytes(base64.b64decode(shot))
    driver.quit()
