"""Models as text, in every format that onnx reads; what is none is refused with its place."""

from __future__ import annotations

import os

import numpy as np
import onnx
import onnx.printer
import pytest

import onnxlin
from onnxlin import cli
from tests.load.faults import X, model, node

GOOD = model([node("Relu", "x")])
ENDINGS = {
    ".onnx": "protobuf", ".pb": "protobuf", ".any": "protobuf", "": "protobuf",
    ".json": "json", ".onnxjson": "json",
    ".textproto": "textproto", ".prototxt": "textproto", ".pbtxt": "textproto",
    ".txtpb": "textproto",
    ".onnxtxt": "onnxtxt", ".onnxtext": "onnxtxt",
}  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_model_is_read_in_the_format_that_its_name_tells(ending, tmp_path, capsys) -> None:
    path = tmp_path / f"m{ending}"
    if ENDINGS[ending] == "onnxtxt":  # onnx warns that the format is young
        path.write_text(onnx.printer.to_text(GOOD))
    else:
        onnx.save(GOOD, path, format=ENDINGS[ending])
    assert np.array_equal(onnxlin.linearize(path, X).W, np.diag([1.0, 0.0]))
    assert onnxlin.check_model(str(path)).compiles
    assert cli.main(["check", str(path)]) == 0
    assert cli.main(["compile", str(path), "-o", str(tmp_path / "out.onnx")]) == 0
    capsys.readouterr()


DEEP = 20_000
BAD = {
    "no JSON": (".json", b"graph {"),
    "JSON of something else": (".json", b'{"a": 1}'),
    "JSON of other types": (".json", b'{"irVersion": "x", "graph": []}'),
    "deep JSON": (".json", b'{"graph":' * DEEP),
    "numbers that are none": (".json", b'{"irVersion": 1e400}'),
    "no text": (".textproto", b"x = 1"),
    "a number too large": (".textproto", b"ir_version: 99999999999999999999"),
    "deep text": (".textproto", b"graph{node{attribute{g{" * DEEP),
    "not ONNX": (".onnxtxt", b"x = 1"),
    "not UTF-8": (".onnxtxt", b"\xff\xfe"),
    "not UTF-8 either": (".json", b'{"\xff\xfe": 1}'),
    "nor this": (".pbtxt", b'producer_name: "\xff"'),
    "protobuf in a text's name": (".json", GOOD.SerializeToString()),
    "text in a protobuf's name": (".onnx", b"g (float[2] x) => (float[2] y) { y = Relu(x) }"),
    "half of it": (".onnx", GOOD.SerializeToString()[:-9]),
    # onnx's own parser dies of these.
    "deep types": (".onnxtxt", b"<ir_version: 8> g (" + b"seq(" * DEEP),
    "deep branches": (".onnxtxt", b"<ir_version: 8> g (float x) => (float y) {"
                                  + b"y = If(x) <then_branch = g () => (float y) {" * DEEP),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_what_is_no_model_is_told_by_its_file(fault, tmp_path, capsys) -> None:
    ending, data = BAD[fault]
    path = tmp_path / f"bad{ending}"
    path.write_bytes(data)
    for call in (onnxlin.check_model, onnxlin.compile_model, lambda m: onnxlin.linearize(m, X)):
        with pytest.raises(onnxlin.ModelError, match=rf"bad\{ending}") as raised:
            call(path)
        assert len(str(raised.value)) < 1000
    assert cli.main(["check", str(path)]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


def test_brackets_in_names_do_not_nest(tmp_path) -> None:
    name = "(" * 5000
    path = tmp_path / "m.onnxtxt"
    text = onnx.printer.to_text(GOOD).replace("Relu (x)", f'Relu <alpha: string = "{name}"> (x)')
    assert name in text
    path.write_text(f"# {name}\n".join(text.split("\n")))
    assert len(onnxlin.check_model(path).nodes) == 1


@pytest.mark.parametrize("kind", ["folder", "pipe", "missing", "NUL", "long"])
def test_what_is_no_file(kind, tmp_path, capsys) -> None:
    path = str(tmp_path / kind)
    if kind == "folder":
        (tmp_path / kind).mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    path += {"NUL": "\0", "long": "g" * 5000}.get(kind, "")
    with pytest.raises(onnxlin.ModelError, match=kind):
        onnxlin.linearize(path, X)
    assert cli.main(["check", path]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_past_its_limit_is_not_read(tmp_path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(GOOD, path)
    size = path.stat().st_size
    with onnxlin.limits.raised(file_bytes=size):
        assert onnxlin.check_model(path).ok
    with (
        onnxlin.limits.raised(file_bytes=size - 1),
        pytest.raises(onnxlin.LimitError, match="file_bytes"),
    ):
        onnxlin.check_model(path)


def test_text_that_is_no_name_is_read_where_nobody_reads_it() -> None:
    """onnxruntime runs such models."""
    made = model([node("Relu", "x")])
    made.doc_string = made.graph.doc_string = made.graph.node[0].doc_string = "QQQQ"
    made.graph.input[0].doc_string = made.graph.output[0].doc_string = "QQQQ"
    data = made.SerializeToString().replace(b"QQQQ", b"\xff\xfe\xfdQ")
    assert np.array_equal(onnxlin.linearize(data, X).W, np.diag([1.0, 0.0]))
    assert onnxlin.check_model(data).compiles
    assert onnxlin.compile_model(onnx.load_model_from_string(data)).graph.node
