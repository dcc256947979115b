"""Packages that import nothing until they are asked offer all the same what they list."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from onnxlin.lazy import MOVED

PACKAGES = ("onnxlin", "onnxlin.testing")


@pytest.mark.parametrize("name", PACKAGES)
def test_every_name_that_is_listed_is_there(name: str) -> None:
    package = importlib.import_module(name)
    assert set(package.__all__) <= set(dir(package))
    for public in package.__all__:
        assert getattr(package, public) is not None


@pytest.mark.parametrize("name", PACKAGES)
def test_type_checkers_see_the_same_names(name: str) -> None:
    package = importlib.import_module(name)
    source = Path(str(package.__file__)).read_text("utf-8")
    checked = next(
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name)
    )
    imported = {a.name: node.module for node in checked.body
                if isinstance(node, ast.ImportFrom) for a in node.names}  # fmt: skip
    assert imported == package._HOMES
    assert {*imported, "__version__"} - {*package.__all__} <= {"__version__"}
    assert {*package.__all__} - {*imported} <= {"__version__"}


@pytest.mark.parametrize("name", PACKAGES)
def test_other_names_are_an_attribute_error(name: str) -> None:
    package = importlib.import_module(name)
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        _ = package.nothing


@pytest.mark.parametrize(
    "first",
    [
        "from onnxlin import *; linearize, RULES['', 'Relu'], __version__",
        "import onnxlin; onnxlin.readings.ledger; onnxlin.errors.OnnxlinError; onnxlin.rules.rule",
        "from onnxlin import cli, readings, rule",
        "import onnxlin.engines.compiled; import onnxlin.readings.region",
        "from onnxlin.engines import plan",
        "from onnxlin.primitives import Diagonal",
        "from onnxlin.testing import assert_linearizes",
    ],
)
def test_any_module_may_be_the_first(first: str) -> None:
    subprocess.run([sys.executable, "-c", first], check=True)


def test_without_hypothesis(monkeypatch: pytest.MonkeyPatch) -> None:
    """The strategies say what to install, and the assertions work."""
    code = """
import sys
sys.modules["hypothesis"] = None
import importlib.util
true = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "hypothesis" else true(name, *a)
import onnxlin, onnxlin.testing
onnxlin.testing.assert_linearizes
for name in ("onnx_models", "inputs_for"):
    try:
        getattr(onnxlin.testing, name)
    except onnxlin.OnnxlinError as error:
        assert isinstance(error, ImportError)
        print(error)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.count('pip install "onnxlin[testing]"') == 2
    assert "onnxlin.testing.inputs_for needs hypothesis" in found.stdout


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_a_documented_module_that_moved_has_a_face(old: str, new: str) -> None:
    target = importlib.import_module(new)
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} is {new} now"):
        face = importlib.import_module(old)
    public = [name for name in vars(target) if not name.startswith("_")]
    assert public
    for name in public:
        assert getattr(face, name) is getattr(target, name)
    with pytest.raises(AttributeError):
        _ = face.nothing_of_that_name


def test_an_old_path_that_was_never_documented_is_missing() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("onnxlin.map_html")
