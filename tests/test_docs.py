"""What README.md and docs/ say runs as it stands: Python, commands, errors, lists of names."""

import doctest
import glob
import importlib
import inspect
import re
import runpy
import shlex
import subprocess

import pytest

import onnxlin
from onnxlin import cli, errors
from tests.installed import require
from tests.pages import PAGES, ROOT, blocks, sections

DOCS = ROOT / "docs"
ERRORS = DOCS / "errors.md"  # whose blocks raise
# A line that shows what may be given, not a command; and files that are not shipped.
SYNOPSIS = re.compile(r"\b(MODEL|INPUT|DATA|MAP)\b|\[-")
NOT_HERE = {"mnist_test.npz", "net_int8.onnx"}


def named(page):
    return str(page.relative_to(ROOT))


PYTHON = [
    pytest.param(block, id=f"{named(page)}-{i}")
    for page in PAGES
    if page != ERRORS
    for i, block in enumerate(blocks(page, "python"))
]


def commands(block):
    """Lines of a shell block, continued lines joined."""
    return [line.strip() for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def is_ours(line):
    return re.match(r"(\.venv/bin/)?onnxlin ", line) and not SYNOPSIS.search(line)


SHELL = [
    pytest.param(lines, id=f"{named(page)}-{i}")
    for page in PAGES
    for i, block in enumerate(blocks(page, "sh", "bash"))
    for lines in [commands(block)]
    if any(map(is_ours, lines)) and not any(word in block for word in NOT_HERE)
]
COMPILING = [line for param in SHELL for line in param.values[0] if " compile " in line]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder with the fixtures in it, as the pages assume; rules are put back."""
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    (tmp_path / "explained").mkdir()
    (tmp_path / "docs" / "images").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    before = dict(onnxlin.RULES)
    yield tmp_path
    onnxlin.RULES.clear()
    onnxlin.RULES.update(before)


def test_there_is_something_to_run():
    assert len(PYTHON) >= 20
    assert len(SHELL) >= 5
    assert COMPILING


@pytest.mark.parametrize("block", PYTHON)
def test_python_runs(block, folder):
    """In a folder of its own; a picture that it writes is the one that the page shows."""
    if "PIL" in block or "plot" in block:
        pytest.importorskip("PIL")
        pytest.importorskip("matplotlib")
    if "explained/" in block:
        for line in COMPILING:
            assert cli.main(shlex.split(line)[1:]) == 0
    require_nets(block)
    exec(compile(block, "block", "exec"), {"__name__": "block"})
    assert_pictures_are_shown(folder)


@pytest.mark.parametrize("lines", SHELL)
def test_commands_run(lines, folder):
    """Ours in this process and to exit code 0; others, which make their files, in a shell."""
    pytest.importorskip("rich")
    pytest.importorskip("matplotlib")
    if any(".txt" in line for line in lines if is_ours(line)):
        pytest.importorskip("tokenizers", reason="cuts texts into tokens")
    require_nets(" ".join(lines))
    for line in lines:
        if is_ours(line):
            words = shlex.split(line)[1:]
            found = [sorted(glob.glob(word)) or [word] for word in words]
            assert cli.main([word for several in found for word in several]) == 0, line
        else:
            subprocess.run(["bash", "-euo", "pipefail", "-c", line], check=True, timeout=60)
    assert_pictures_are_shown(folder)


def require_nets(text):
    """Skip where the runtime does not open a net that is named, or a page needs what is missing."""
    if "--live" in text or "page.live(" in text:
        pytest.importorskip("onnxlin_live", reason="onnxlin-live is not installed")
    require(*(p for p in ROOT.glob("fixtures/*.onnx") if re.search(rf"\b{p.stem}\b", text)))


def assert_pictures_are_shown(folder):
    for made in folder.rglob("*.png"):
        shown = DOCS / "images" / made.name
        if not made.is_relative_to(folder / "fixtures") and shown.exists():
            assert size(made) == size(shown), f"{made.name} has changed: put the new one there"


def size(png):
    """Width and height."""
    image = pytest.importorskip("PIL.Image")
    with image.open(png) as picture:
        return picture.size


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_local_links_exist(page):
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / target).exists(), target


RAISED = [
    name
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.OnnxlinError) and kind is not errors.OnnxlinError
]


def test_every_error_has_its_section():
    assert set(sections(ERRORS, 3)) == set(RAISED)


@pytest.mark.parametrize("name", RAISED)
@pytest.mark.usefixtures("folder")
def test_error_is_raised_and_reads_as_the_page_says(name, tmp_path):
    before = blocks(ERRORS, "python")[0]
    page = tmp_path / "section.md"
    page.write_text(sections(ERRORS, 3)[name])
    (call,), (text,) = blocks(page, "python"), blocks(page, "text")
    place = {}
    exec(compile(before, "preamble", "exec"), place)
    with pytest.raises(getattr(errors, name)) as caught:
        exec(compile(call, "block", "exec"), place)
    assert type(caught.value).__name__ == name
    said, shown = " ".join(str(caught.value).split()), " ".join(text.split())
    assert re.fullmatch(re.escape(shown).replace(r"\.\.\.", ".+"), said), said


def test_command_line_page_is_up_to_date():
    made = runpy.run_path(str(DOCS / "command_line.py"))["page"]()
    assert (DOCS / "command_line.md").read_text().rstrip() == made.rstrip(), (
        "python docs/command_line.py > docs/command_line.md"
    )


def test_examples_in_docstrings_run():
    """There may be none; those that there are must hold."""
    for file in sorted((ROOT / "onnxlin").rglob("*.py")):
        if ">>> " in file.read_text("utf-8"):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            found = doctest.testmod(importlib.import_module(name.removesuffix(".__init__")))
            assert found.failed == 0
