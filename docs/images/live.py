"""Take the README's picture of a page that computes: python docs/images/live.py (browser, live)."""

import base64
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

# Below the line by which they are found.
from onnxlin import cli  # noqa: E402
from tests.page.browser import start  # noqa: E402
from tests.page.computing.conftest import Live  # noqa: E402

WIDTH = 1200
# A four: shares of the pad's width and height.
STROKES = [[(0.34, 0.2), (0.3, 0.35), (0.29, 0.5), (0.45, 0.52), (0.68, 0.5)],
           [(0.64, 0.22), (0.62, 0.5), (0.6, 0.82)]]  # fmt: skip

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "live.html"
    model, digit = ROOT / "fixtures/lenet5_mnist.onnx", ROOT / "fixtures/digit_7.png"
    assert cli.main(["explain", str(model), str(digit), "--no-files", "--live", str(path)]) == 0
    driver = start()
    page = Live(driver, path, str(model))
    page.resize(WIDTH)
    page.click(".tools .buttons button")
    for stroke in STROKES:
        page.drag(".pad canvas", *stroke)
    page.js("document.activeElement.blur()")
    end = page.js("return document.querySelector('#ledger').getBoundingClientRect().top + scrollY")
    page.resize(WIDTH, round(end) - 6)
    page.js("scrollTo(0, 0)")
    shot = page.cdp("Page.captureScreenshot", format="png")["data"]
    (ROOT / "docs/images/live.png").write_bytes(base64.b64decode(shot))
    driver.quit()
