"""Names that would steer a terminal, a page or a drawing come out as letters, wherever they do."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnxlin
from onnxlin import cli, texts
from onnxlin.affine_map import AffineMap
from onnxlin.cli.screen import Progress, Screen
from onnxlin.readings import to_dot
from onnxlin.readings.compare.compare import compare
from tests.cli.test_screen import Terminal
from tests.hostile import NAME, RAW, SHOWN

pytest.importorskip("matplotlib")


def of(what: str) -> str:
    """A hostile name; all that is told apart has its own."""
    return what + NAME


@pytest.fixture
def model() -> str:
    rng = np.random.default_rng(0)
    weights = {of("v"): rng.standard_normal((2, 4)), of("w"): rng.standard_normal((4, 3))}
    weights |= {of("c"): rng.standard_normal(4)}
    nodes = [
        helper.make_node("MatMul", [of("x"), of("v")], [of("h")], of("first")),
        helper.make_node("Add", [of("h"), of("c")], [of("s")], of("second")),
        helper.make_node("Relu", [of("s")], [of("r")], of("third")),
        helper.make_node("MatMul", [of("r"), of("w")], [of("y")], of("fourth")),
    ]
    return written("model.onnx", nodes, weights)


def written(path: str, nodes, weights=(), domain: str = "my.domain") -> str:
    graph = helper.make_graph(
        nodes, of("graph"),
        [helper.make_tensor_value_info(of("x"), TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(v.astype(np.float32), k) for k, v in dict(weights).items()],
        doc_string=of("doc"),
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name=of("made"))
    told = {"classes": [of(c) for c in "ABC"], "features": [of("f"), of("g")], of("key"): of("v")}
    for key, value in told.items():
        text = value if isinstance(value, str) else json.dumps(value)
        proto.metadata_props.add(key=key, value=text)
    onnx.save(proto, path)
    return path


@pytest.fixture
def x() -> str:
    np.save("x.npy", np.array([[1.0, -2.0]], np.float32))
    np.save("x1.npy", np.array([[-1.5, 2.0]], np.float32))
    np.save("many.npy", np.random.default_rng(1).standard_normal((6, 2)).astype(np.float32))
    np.save("map.npy", np.array([[0.25, 3.0]], np.float32))
    return "x.npy"


def assert_clean(text: str, *, lines: bool = True) -> None:
    """No raw letter is there but line ends, which are those of the text itself."""
    found = {letter for letter in text if letter in RAW and not (lines and letter == "\n")}
    assert not found, repr(text)
    assert "\n§" not in text  # what stands behind the line end of a name
    assert "\ud800" not in text


COMMANDS = {
    "explain": ["explain", "MODEL", "x.npy", "--html", "page.html", "--dot", "map.dot",
                "--baseline", "x1.npy"],
    "explain rows": ["explain", "MODEL", "x.npy", "--no-files", "--outputs", "HIDDEN"],
    "evaluate": ["evaluate", "MODEL", "many.npy"],
    "region": ["region", "MODEL", "x.npy", "--to", "x1.npy"],
    "regions": ["regions", "MODEL", "many.npy", "--picture", "groups.png", "--merge", "2"],
    "path": ["path", "MODEL", "x.npy", "x1.npy"],
    "compare": ["compare", "MODEL", "OTHER", "x.npy"],
    "compare each": ["compare", "MODEL", "OTHER", "many.npy", "--each"],
    "audit": ["audit", "MODEL", "x.npy", "map.npy", "--judge"],
    "check": ["check", "MODEL"],
    "check missing": ["check", "MISSING"],
    "verify": ["verify", "MODEL", "--random", "1", "--laws", "at-x,ledger"],
    "compile": ["compile", "MODEL", "-o", "out.onnx", "--shares"],
}  # fmt: skip
NAMELESS = {"regions", "verify"}  # they tell of numbers
WRONG = {
    "no rule": ["explain", "MISSING", "x.npy"],
    "no tensor": ["explain", "MODEL", "x.npy", "--outputs", of("none")],
    "no class": ["explain", "MODEL", "x.npy", "--class", of("none")],
    "no file": ["explain", of("none"), "x.npy"],
    "no input": ["explain", "MODEL", of("none")],
    "no folder": ["explain", "MODEL", "x.npy", "--html", "x.npy/" + of("none")],
    "no model": ["check", "x.npy"],
    "an engine": ["explain", "MODEL", "x.npy", "--engine", of("none")],
    "an argument": ["explain", "MODEL", "x.npy", of("--none")],
    "a command": [of("none")],
    "a shape": ["compile", "MODEL", "-o", "o.onnx", "--shape", of("none")],
    "a law": ["verify", "MODEL", "--laws", of("none")],
    "a name that is none": ["explain", "MODEL", "x.npy", "--html", "half\ud800"],
}  # fmt: skip


def made_of(arguments: list[str], model: str) -> list[str]:
    places = {"MODEL": model, "HIDDEN": texts.shown(of("s")), "OTHER": "other.onnx"}
    if "OTHER" in arguments:
        proto = onnx.load(model)
        changed = onnx.numpy_helper.to_array(proto.graph.initializer[0]) * -1.5
        proto.graph.initializer[0].CopyFrom(
            onnx.numpy_helper.from_array(changed, proto.graph.initializer[0].name)
        )
        onnx.save(proto, "other.onnx")
    if "MISSING" in arguments:
        nodes = [
            helper.make_node(of("Gate"), [of("x")], [of("h")], of("gate"), domain=of("domain")),
            helper.make_node("Relu", [of("h")], [of("y")], of("end")),
        ]
        places["MISSING"] = written("missing.onnx", nodes, domain=of("domain"))
    return [places.get(argument, argument) for argument in arguments]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.usefixtures("x")
def test_no_command_prints_a_raw_letter(run, model, name) -> None:
    arguments = made_of(COMMANDS[name], model)
    code, out, err = run(*arguments)
    assert code in (0, 3, 5), err
    assert (SHOWN in out) == (name not in NAMELESS)
    assert_clean(out + err)
    code, out, err = run(*arguments, "--json")
    assert_clean(out + err)
    # Programs get the names themselves.
    assert (NAME in "".join(strings(json.loads(out)))) == (name not in NAMELESS)


def strings(value):
    """Every text in a document."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.usefixtures("x")
def test_no_error_prints_a_raw_letter(run, model, name) -> None:
    code, out, err = run(*made_of(WRONG[name], model))
    assert code in (1, 2)
    assert not out
    assert "error: " in err
    assert_clean(err)


@pytest.mark.parametrize("name", ["explain", "check", "verify", "compile"])
@pytest.mark.usefixtures("x")
def test_a_terminal_is_given_colours_and_nothing_else(monkeypatch, model, name) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "400")
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert cli.main(made_of(COMMANDS[name], model)) == 0
    for text in (out.getvalue(), err.getvalue()):
        # What rich itself writes: colours, and on stderr a bar that moves and vanishes.
        plain = re.sub(r"\x1b\[[0-9;]*m|\x1b\[\??[0-9]*[A-Khl]|\r", "", text)
        assert_clean(plain)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert ("[red]:warning:" in plain) == (name != "verify")


def test_progress_and_screens(monkeypatch, capsys) -> None:
    screen = Screen(json=False)
    for call in (screen.line, screen.heading, lambda text: screen.verdict(True, text)):
        call(NAME.replace("\n", ""))
    screen.line("a\nb")
    screen.table(
        [NAME],
        [
            [
                NAME,
            ],
            [1.5],
        ],
    )
    printed = capsys.readouterr().out
    assert_clean(printed)
    assert r"a\x0ab" in printed
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress(NAME) as progress:
        monkeypatch.setattr(progress, "_start", progress._start - 2)
        progress(1, 2)
    assert_clean(sys.stderr.getvalue().replace("\r\x1b[K", ""))


def test_a_stream_without_the_letter_gets_its_escape(monkeypatch, tmp_path) -> None:
    with open(tmp_path / "out", "w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        Screen(json=False).line("Käse → half \ud800")
    assert (tmp_path / "out").read_text() == "K\\xe4se \\u2192 half \\ud800\n"


# Files


class Texts(HTMLParser):
    """Elements and texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.elements.append(tag)


@pytest.mark.usefixtures("x")
def test_pages_and_drawings_hold_no_raw_letter(run, model) -> None:
    assert run(*made_of(COMMANDS["explain"], model))[0] == 0
    with open("page.html", encoding="utf-8", newline="") as file:
        page = file.read()
    assert_clean(page)
    data = re.search(r'<script[^>]*id="data"[^>]*>(.*?)</script>', page, re.DOTALL)
    document = json.loads(data[1])
    for text in strings(document):
        assert_clean(text, lines=False)
    assert SHOWN in "".join(strings(document))
    with open("map.dot", encoding="utf-8", newline="") as file:
        drawn = file.read()
    assert_clean(drawn)
    assert SHOWN.replace("\\", "\\\\") in drawn


@pytest.mark.parametrize("name", ["explain", "evaluate", "regions", "path", "audit"])
@pytest.mark.usefixtures("x")
def test_pictures_show_no_raw_letter_and_no_formula(run, model, name, monkeypatch) -> None:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    drawn: list[Text] = []
    save = Figure.savefig

    def saved(figure, *arguments, **more):
        save(figure, *arguments, **more)
        drawn.extend(text for text in figure.findobj(Text) if text.get_text())

    monkeypatch.setattr(Figure, "savefig", saved)
    assert run(*made_of(COMMANDS[name], model))[0] == 0
    for text in drawn:
        assert_clean(text.get_text())
        assert not text.get_usetex()
        assert "frac" not in text.get_text() or not text.get_parse_math()
    # The others have no names, or cut them short.
    assert name not in ("explain", "path") or "frac" in "".join(text.get_text() for text in drawn)


def test_a_notebook_shows_no_raw_letter(model) -> None:
    m = onnxlin.linearize(model, np.array([[1.0, -2.0]], np.float32))
    found = m._repr_html_()
    assert_clean(found)
    parser = Texts()
    parser.feed(found)
    assert "script" not in parser.elements
    assert parser.elements.count("b") == 1  # of onnxlin's own
    assert_clean(m._repr_html_() + to_dot(m) + repr(m))


def test_texts_of_readings_hold_no_raw_letter(model) -> None:
    from onnxlin.readings import structural_zero

    at = np.array([[1.0, -2.0]], np.float32)
    lin = onnxlin.Linearizer(model)
    m = lin(at)
    proto = onnx.load(model)
    proto.graph.initializer[0].float_data[:] = []
    weight = onnx.numpy_helper.to_array(proto.graph.initializer[0]) * 2
    proto.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, of("v")))
    assert_clean(str(compare(lin, onnxlin.Linearizer(proto), at)))
    assert_clean(str(structural_zero(m)))
    assert_clean(str(m.doubt(0)))


def test_errors_in_python_hold_no_raw_letter() -> None:
    assert_clean(str(onnxlin.ModelError(f"Node {NAME!s} is wrong.".replace("\n", ""))))
    assert str(onnxlin.ModelError("two\nlines")) == "two\nlines"


def test_a_name_can_be_typed_as_it_is_shown(run, model, x) -> None:
    shown = texts.shown(of("s"))
    _, direct, _ = run("explain", model, x, "--no-files", "--outputs", of("s"), "--json")
    _, typed, _ = run("explain", model, x, "--no-files", "--outputs", shown, "--json")
    kept = [json.loads(text) for text in (direct, typed)]
    assert kept[0]["rows"] == kept[1]["rows"]
    code, out, _ = run("explain", model, x, "--no-files", "--class", texts.shown(of("B")))
    assert code == 0
    assert "What raises or lowers 1 B" in out


def test_a_reproducer_names_any_input(tmp_path, model) -> None:
    from onnxlin.testing.run.reproduce import reproducer

    feeds = {of("x") + "\x00": np.ones(2), "y.npy": np.zeros(3), "y": np.arange(4)}
    files = reproducer(tmp_path / "it", model, feeds, {})
    text = Path(files[1]).read_text("utf-8")
    assert_clean(text)
    line = next(line for line in text.splitlines() if line.startswith("x = "))
    scope = {"numpy": np}
    exec(line, scope)
    assert list(scope["x"]) == list(feeds)
    for name, value in feeds.items():
        np.testing.assert_array_equal(scope["x"][name], value)


def test_a_map_keeps_its_names(tmp_path, model) -> None:
    m = onnxlin.linearize(model, np.array([[1.0, -2.0]], np.float32))
    m.save(tmp_path / "map")
    again = AffineMap.load(tmp_path / "map")
    assert list(again.inputs) == [of("x")]
    assert list(again.bias_by_node) == list(m.bias_by_node)
