"""The programs of docs/ship.md, in other languages: they run as they stand and find the row."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import onnxlin
from tests.installed import require
from tests.pages import ROOT, blocks

PAGE = ROOT / "docs" / "ship.md"
NET = ROOT / "fixtures" / "lenet5_mnist.onnx"
HEADER = "onnxruntime_cxx_api.h"
PLACES = ("/usr/include/onnxruntime", "/usr/local/include/onnxruntime", "/usr/include")

# The module of onnxruntime-web that pages carry is made for browsers: in Node.js it is given its
# kernels, and the name by which it asks for modules. The package that npm installs needs neither.
SHIM = """
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
globalThis.require = createRequire(import.meta.url);
const ort = await import("onnxruntime-web");
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmBinary = readFileSync("kernels.wasm");
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """With the compiled graph that the programs open."""
    require(NET)
    (tmp_path / "explained").mkdir()
    onnxlin.compile_model(NET, tmp_path / "explained" / "lenet5_map.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def program(language: str) -> str:
    (found,) = blocks(PAGE, language)
    return found


def told(*command: str) -> dict[str, float]:
    """What a program prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, float] = json.loads(done.stdout)
    return found


def assert_right(found: dict[str, float]) -> None:
    """W x + b of seven less one, and the difference of the logits: those of another engine."""
    pixels = (np.arange(784) * 37 % 101 / 100).astype(np.float32).reshape(1, 1, 28, 28)
    why = np.eye(10)[7] - np.eye(10)[1]
    m = onnxlin.linearize(NET, pixels, rows=why[None], engine="reverse", dtype=np.float64)
    allowed = float((m.bound * m.scale)[0])
    assert allowed < 1e-2
    assert abs(found["margin"] - float(m.y[0])) <= 2 * allowed
    assert abs(found["total"] - float(m.y[0])) <= 2 * allowed


def test_javascript(folder: Path) -> None:
    live = pytest.importorskip("onnxlin_live", reason="onnxlin-live is not installed")
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    package = folder / "node_modules" / "onnxruntime-web"
    package.mkdir(parents=True)
    (package / "ort.mjs").write_bytes(gzip.decompress(live.script()))
    (package / "package.json").write_text('{"type": "module", "main": "ort.mjs"}')
    (folder / "kernels.wasm").write_bytes(gzip.decompress(live.kernels()))
    (folder / "shim.mjs").write_text(SHIM)
    (folder / "row.mjs").write_text(program("js"))
    assert_right(told(node, "--import", "./shim.mjs", "row.mjs"))


def test_cpp(folder: Path) -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed")
    include = headers()
    library(folder / "lib")
    (folder / "row.cpp").write_text(program("cpp"))
    build = ["-std=c++17", "row.cpp", "-I", include, "-L", "lib", "-lonnxruntime"]
    run([compiler, *build, "-Wl,-rpath,lib", "-o", "row"])
    assert_right(told("./row"))


def headers() -> str:
    """The folder of onnxruntime's headers; the Python package has none."""
    named = os.environ.get("ONNXLIN_ORT_INCLUDE")
    for place in (named,) if named else PLACES:
        if Path(place, HEADER).is_file():
            return place
    pytest.skip(f"no {HEADER}: ONNXLIN_ORT_INCLUDE names the folder of onnxruntime's headers")


def library(into: Path) -> None:
    """The library of the Python package, under the names that linkers and loaders ask for."""
    capi = Path(onnxruntime.__file__).parent / "capi"
    found = sorted(capi.glob("libonnxruntime.so.*"))
    if not found:
        pytest.skip("this onnxruntime's package has no libonnxruntime.so")
    into.mkdir()
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (into / name).symlink_to(found[0])


def run(command: Sequence[str]) -> Any:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
