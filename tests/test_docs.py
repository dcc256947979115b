"""The Python blocks of README.md and docs/ run as they stand."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{i}")
    for page in PAGES
    for i, block in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    )
]


def test_there_are_blocks_to_run():
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("block", BLOCKS)
def test_block_runs(block, monkeypatch, tmp_path):
    """In a folder of its own; a picture that it writes is the one that the page shows."""
    import onnxlin

    if "PIL" in block:
        pytest.importorskip("PIL")
        pytest.importorskip("matplotlib")
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    monkeypatch.chdir(tmp_path)
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
