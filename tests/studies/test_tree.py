"""The studies keep the house's measures, and nothing that's shipped is too large."""

from __future__ import annotations

import ast

import pytest

from fixtures.studies.shared.places import HERE, NETS, PICTURES
from tests.test_house import FULLEST_FOLDER, LONGEST_FILE, too_long

FILES = sorted(HERE.rglob("*.py"))
LARGEST_NET, ALL_NETS, LARGEST_PICTURE = 1_500_000, 20_000_000, 130_000


def test_functions_and_files_are_short() -> None:
    assert FILES
    for path in FILES:
        text = path.read_text("utf-8")
        assert not list(too_long(ast.parse(text))), path.name
        assert len(text.splitlines()) <= LONGEST_FILE, path.name


def test_folders_are_not_full() -> None:
    for folder in {path.parent for path in FILES}:
        assert len(list(folder.glob("*.py"))) <= FULLEST_FOLDER, folder.name


@pytest.mark.parametrize("folder", ["shared", "training/specs.py"])
def test_what_tests_import_needs_no_torch(folder: str) -> None:
    place = HERE / folder
    for path in [place] if place.is_file() else place.glob("*.py"):
        assert "import torch" not in path.read_text(), path.name


def test_shipped_files_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in NETS.glob("*.onnx")}
    assert all(size <= LARGEST_NET for size in sizes.values()), sizes
    assert sum(sizes.values()) <= ALL_NETS
    pictures = {path.name: path.stat().st_size for path in PICTURES.glob("*.png")}
    assert all(size <= LARGEST_PICTURE for size in pictures.values()), pictures
