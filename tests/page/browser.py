"""A real headless Chromium, or the reason why there is none."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60.0  # seconds until a page must have drawn itself


def start() -> Any:
    """Start Chromium by the system's own driver; nothing is downloaded."""
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        _absent("selenium is not installed")
    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        _absent("chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.add_argument("--headless=new")
    options.add_argument("--disable-dev-shm-usage")
    options.add_argument("--hide-scrollbars")
    if os.getuid() == 0:
        # Chromium's sandbox refuses to run as root.
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver))


def _absent(why: str) -> NoReturn:
    """Skip; fail where ONNXLIN_BROWSER says that there must be a browser."""
    if os.environ.get("ONNXLIN_BROWSER") == "required":
        pytest.fail(f"ONNXLIN_BROWSER=required, but {why}")
    pytest.skip(why)


class Page:
    """A page in the browser."""

    def __init__(self, driver: Any, path: Path) -> None:
        self.driver = driver
        self.resize(1280)
        driver.get(path.resolve().as_uri())
        end = time.monotonic() + PATIENCE
        while not self.js("return document.documentElement.dataset.ready"):
            assert time.monotonic() < end, f"the page did not draw itself: {self.errors()}"
            time.sleep(0.02)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def cdp(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def text(self, selector: str) -> str:
        """What is read there; an answer may put another element in its place meanwhile."""
        from selenium.common.exceptions import StaleElementReferenceException

        while True:
            try:
                return self.find(selector).text
            except StaleElementReferenceException:
                continue

    def errors(self) -> list[str]:
        """What the console has said since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def resize(self, width: int, height: int = 900) -> None:
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 500,
        )  # fmt: skip

    def look(self, scheme: str = "light", media: str = "") -> None:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.cdp("Emulation.setEmulatedMedia", media=media, features=[feature])

    def choose(self, control: str, value: int) -> None:
        """Choose an option by its value, as a person does."""
        from selenium.webdriver.support.ui import Select

        Select(self.find(f"#{control}")).select_by_value(str(value))

    def hover(self, element: Any, across: float, down: float) -> None:
        """Point at a place of an element, in CSS pixels from its upper left corner."""
        from selenium.webdriver import ActionChains

        self.js("arguments[0].scrollIntoView({block: 'center'})", element)
        size = element.size
        offset = round(across - size["width"] / 2), round(down - size["height"] / 2)
        ActionChains(self.driver, duration=0).move_to_element_with_offset(
            element, *offset
        ).perform()

    def press(self, *keys: str) -> None:
        """Press keys where the focus is."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def said(self, key: str, view: str = "") -> str:
        """Part of a readout."""
        return self.text(f"{view} .readout [data-key='{key}']".strip())


def number(text: str) -> float:
    """Read a number of the page."""
    return float(text.replace("\N{MINUS SIGN}", "-").replace("+", "").replace(",", ""))


def printed(value: float, digits: int = 5) -> float:
    """Round as the page does before it prints."""
    return float(f"{value:.{digits}g}")
