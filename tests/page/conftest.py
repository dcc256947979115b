"""Pages of every kind of input, written once, and a browser to look at them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxlin
from onnxlin import cli
from onnxlin.affine_map import AffineMap
from onnxlin.inputs import Preprocessing, read_input
from tests.page import subjects
from tests.page.browser import Page, start


@dataclass(frozen=True)
class Written:
    """A page, and the map that it must show."""

    path: Path
    m: AffineMap


@pytest.fixture(scope="session")
def pages(tmp_path_factory, fixtures):
    """Write the page of a kind of input by the command line, at its first use."""
    made: dict[str, Written] = {}

    def write(kind: str) -> Written:
        if kind not in made:
            made[kind] = _written(kind, tmp_path_factory.mktemp(kind), fixtures)
        return made[kind]

    return write


def _written(kind: str, folder: Path, fixtures: Path) -> Written:
    digit = subjects.Pair(fixtures / "lenet5_mnist.onnx", fixtures / "digit_7.png")
    pair = digit if kind == "digit" else getattr(subjects, kind)(folder)
    path = folder / "report.html"
    asked = ["explain", str(pair.model), str(pair.source), "--no-files", "--html", str(path)]
    with redirect_stdout(io.StringIO()):
        assert cli.main(asked) == 0
    lin = onnxlin.Linearizer(pair.model)
    told = {entry.key: entry.value for entry in lin.graph.model.metadata_props}
    given = read_input(pair.source, lin.graph.inputs, Preprocessing.of(told))
    y = next(iter(lin.run(dict(given.feeds)).values())).ravel()
    # Of 1,000 rows the page holds the strongest.
    rows = np.argsort(-y, kind="stable")[:5] if len(y) > 20 else None
    return Written(path, lin(dict(given.feeds), rows))


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    found = start()
    yield found
    found.quit()


@pytest.fixture
def visit(driver, pages):
    """Open the page of a kind of input; nothing may be left on the console."""
    opened = []

    def open_page(kind: str) -> Page:
        opened.append(Page(driver, pages(kind).path))
        return opened[-1]

    yield open_page
    for page in opened:
        assert page.errors() == []
        page.look()
