"""The Python blocks of README.md and docs/ run as they stand."""

import pathlib
import re
import shlex

import pytest

from onnxlin import cli

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{i}")
    for page in PAGES
    for i, block in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    )
]


COMPILING = sorted(
    {
        line
        for page in PAGES
        for line in re.findall(r"^\S*onnxlin (compile .*)$", page.read_text("utf-8"), re.MULTILINE)
    }
)


@pytest.fixture
def _files_of_the_commands(tmp_path, monkeypatch):
    """A folder that holds what the pages' own commands write."""
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    (tmp_path / "explained").mkdir()
    monkeypatch.chdir(tmp_path)
    for line in COMPILING:
        assert cli.main(shlex.split(line)) == 0


def test_there_are_blocks_to_run():
    assert len(BLOCKS) >= 2
    assert COMPILING


@pytest.mark.usefixtures("_files_of_the_commands")
@pytest.mark.parametrize("block", BLOCKS)
def test_block_runs(block, tmp_path):
    """In a folder of its own; a picture that it writes is the one that the page shows."""
    import onnxlin

    if "PIL" in block:
        pytest.importorskip("PIL")
        pytest.importorskip("matplotlib")
    before = dict(onnxlin.RULES)
    try:
        exec(compile(block, "block", "exec"), {"__name__": "block"})
    finally:
        onnxlin.RULES.clear()
        onnxlin.RULES.update(before)
    for made in tmp_path.glob("*.png"):
        shown = ROOT / "docs" / "images" / made.name
        if shown.exists():
            assert size(made) == size(shown), f"{made.name} has changed: put the new one there"


def size(png):
    """Width and height."""
    image = pytest.importorskip("PIL.Image")
    with image.open(png) as picture:
        return picture.size


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_local_links_exist(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
