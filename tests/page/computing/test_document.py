"""What a page that computes is made of, without a browser and without the runtime it holds."""

from __future__ import annotations

import base64
import gzip
import json
import re
import sys
from types import ModuleType

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import page
from onnxlin.errors import CompileError, InputError, OnnxlinError
from onnxlin.page.computing import subject
from onnxlin.page.pack import unpack
from tests.cli.conftest import digit, run  # noqa: F401
from tests.page import subjects


@pytest.fixture(autouse=True)
def _runtime(tmp_path, monkeypatch):
    """A stand-in: these tests do not run the page."""
    monkeypatch.chdir(tmp_path)
    found = ModuleType("onnxlin_live")
    found.VERSION = "1.0"
    found.script = lambda: gzip.compress(b"script")
    found.kernels = lambda: gzip.compress(b"kernels")
    found.notices = lambda: "MIT </script>"
    monkeypatch.setitem(sys.modules, "onnxlin_live", found)


def held(text: str, name: str) -> str:
    return re.search(rf'id="{name}">(.*?)</script>', text, re.DOTALL)[1]


def unzipped(text: str, name: str) -> bytes:
    return gzip.decompress(base64.b64decode(held(text, name)))


def test_the_file_holds_graph_runtime_and_pythons_answer(tmp_path) -> None:
    pair = subjects.table(tmp_path)
    x = np.array([[5.1, 3.5, -1.4, 0, 42]], np.float32)
    names, ranges = list("abcde"), [[0] * 5, [9, 9, 9, 9, 99]]
    page.live(pair.model, "p.html", x, names=names, ranges=ranges, title="</script>")
    text = (tmp_path / "p.html").read_text("utf-8")
    assert (unzipped(text, "ort"), unzipped(text, "wasm")) == (b"script", b"kernels")
    assert unzipped(text, "notices") == b"MIT </script>"
    # Each script element ends where the page's own text says, and nowhere before.
    assert text.count("</script>") == 7
    graph = onnx.load_from_string(unzipped(text, "model"))
    shares = onnxlin.compile_model(pair.model, x=x, shares=True)
    assert graph.SerializeToString() == shares.SerializeToString()
    found = json.loads(held(text, "data"))
    m = onnxlin.linearize(pair.model, x)
    np.testing.assert_array_equal(unpack(found["y"]), m.y)
    np.testing.assert_array_equal(unpack(found["feeds"][0]["x"]), x)
    assert found["bound"] == m.bound.max()
    assert found["labels"][1] == 'versi"color'
    assert found["parts"][0]["names"] == names
    assert found["ranges"] == ranges
    assert found["ledger"]["nodes"] == list(m.bias_by_node)
    assert found["chances_are"] is None
    assert "connect-src" not in text
    assert "default-src 'none'" in text


def test_pixels_are_those_of_the_preprocessing(tmp_path) -> None:
    """Of an array as of a picture: what the page draws becomes x by the model's own scale."""
    pair = subjects.photo(tmp_path, 8)
    model = onnx.load(pair.model)
    told = {"mean": [0.5, 0.25, 0], "std": [0.5, 1, 2], "channels": "bgr"}
    onnx.helper.set_model_props(model, {"preprocessing": json.dumps(told)})
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    x = (pixels[..., ::-1] / 255 - told["mean"]) / told["std"]
    page.live(model, "p.html", np.moveaxis(x, -1, 0)[None].astype(np.float32))
    (part,) = json.loads(held((tmp_path / "p.html").read_text("utf-8"), "data"))["parts"]
    np.testing.assert_array_equal(unpack(part["pixels"]), pixels)
    assert part["scaling"]["turned"]
    assert part["scaling"]["told"]
    again = np.moveaxis(pixels[..., ::-1] * part["scaling"]["factor"], -1, 0)
    again += np.array(part["scaling"]["offset"])[:, None, None]
    np.testing.assert_allclose(again, np.moveaxis(x, -1, 0), rtol=1e-12, atol=1e-12)


def test_without_the_runtime_it_says_what_to_install(run, digit, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setitem(sys.modules, "onnxlin_live", None)
    code, _, err = run("explain", *digit, "--no-files", "--live", "p.html")
    assert code == 1
    assert 'pip install "onnxlin[live]"' in err
    assert "pip install ./live" in err
    with pytest.raises(OnnxlinError, match="onnxlin-live"):
        page.live(digit[0], "p.html", np.zeros((1, 1, 28, 28), np.float32))


def test_the_command_writes_it_and_replaces_nothing_given(run, digit, tmp_path) -> None:  # noqa: F811
    asked = ("--no-files", "--against", "1", "--smooth", "2", "--live", "made/p.html")
    code, out, _ = run("explain", *digit, *asked)
    assert code == 0
    assert "wrote made/p.html" in out
    found = json.loads(held((tmp_path / "made/p.html").read_text("utf-8"), "data"))
    assert found["source"] == "digit_7.png"
    assert found["chances_are"] == "softmax"
    assert (found["open"], found["smooth"]) == ([7, 1], 2)
    code, _, err = run("explain", *digit, "--no-files", "--live", digit[1])
    assert code == 1
    assert "is a file that was given" in err


def test_what_a_page_cannot_hold_or_feed_is_refused(tmp_path, monkeypatch) -> None:
    pair = subjects.table(tmp_path)
    x = np.zeros((1, 5), np.float32)
    with pytest.raises(InputError, match="classes= has 2 names; the model has 3 outputs"):
        page.live(pair.model, "p.html", x, classes=["a", "b"])
    with pytest.raises(InputError, match=r"ranges= has shape \(5,\); expected \(2, 5\)"):
        page.live(pair.model, "p.html", x, ranges=[1, 2, 3, 4, 5])
    with monkeypatch.context() as changed:
        changed.setattr(subject, "LARGEST", 100)
        with pytest.raises(CompileError, match=r"a page holds at most 0 MB.*--html"):
            page.live(pair.model, "p.html", x)
    wide = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]>'
        "g (float[1,2] x, uint64[1,2] k) => (float[1,2] y) { c = Cast<to=1>(k)  y = Add(x, c) }"
    )
    with pytest.raises(InputError, match="'k' is of uint64, which a page cannot feed"):
        page.live(wide, "p.html", {"x": x[:, :2], "k": np.ones((1, 2), np.uint64)})
