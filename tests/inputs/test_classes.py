"""Names of classes and samples of tables, as people hold them."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

from onnxlin import InputError, LimitError, cli, limits
from onnxlin.data import open_source
from onnxlin.graph import TensorType
from onnxlin.inputs import Columns, read_input, read_instances
from onnxlin.inputs.classes import read_classes

ROOT = Path(__file__).parents[2]
WINE = [str(ROOT / "fixtures/gallery/wine.onnx"), str(ROOT / "fixtures/gallery/wine.csv")]
FLOATS = {"x": TensorType(onnx.TensorProto.FLOAT, ("n", 3))}
NAMES = Columns(("a", "b", "c"), "the model")
TABLE = "id,c,b,a,labels\nu7,3,2,1,0\nu8,6,5,4,1\nu9,9,8,7,1\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", json.dumps({"model_type": "vit", "id2label": {"1": "dog", "0": "cat"}})),
        ("list.json", '["cat", "dog"]'),
        ("index.json", '{"0": ["n02121808", "cat"], "1": ["n02084071", "dog"]}'),
        ("names.txt", "cat\ndog\n"),
    ],
)
def test_names_in_every_form(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_classes(str(tmp_path / name)) == ("cat", "dog")
    if name == "config.json":
        assert read_classes(str(tmp_path)) == ("cat", "dog")


@pytest.mark.parametrize(
    "text", ['{"id2label": {"0": "a", "2": "b"}}', "3", "[1]", "{", '{"a": "b"}', "{}"]
)
def test_what_holds_no_names(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(InputError, match=r"holds no names.*id2label"):
        read_classes(str(tmp_path / "c.json"))


def test_names_of_imagenet_come_from_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torchvision", "torchvision.models", "timm", "timm.data"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match="torchvision or timm"):
        read_classes("imagenet")
    timm, data = ModuleType("timm"), ModuleType("timm.data")
    info = SimpleNamespace(index_to_description="ab".__getitem__, num_classes=lambda: 2)
    vars(data)["ImageNetInfo"] = lambda: info
    monkeypatch.setitem(sys.modules, "timm", timm)
    monkeypatch.setitem(sys.modules, "timm.data", data)
    assert read_classes("imagenet") == ("a", "b")


@pytest.mark.parametrize("package", ["torchvision", "timm"])
@pytest.mark.filterwarnings("ignore")
def test_the_packages_have_a_thousand(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(package)
    if package == "timm":
        monkeypatch.setitem(sys.modules, "torchvision.models", None)
    found = read_classes("imagenet")
    assert len(found) == 1000
    assert found[0].startswith("tench")


def test_explain_names_rows_by_a_file(tmp_path: Path, capsys: Any) -> None:
    names = tmp_path / "names.txt"
    names.write_text("red\nwhite\nrosé\n")
    asked = ["explain", *WINE, "--no-files", "--json", "--classes"]
    assert cli.main([*asked, str(names)]) == 0
    assert '"white"' in (text := capsys.readouterr().out)
    assert "Barolo" not in text
    names.write_text("red\n")
    assert cli.main([*asked, str(names)]) == 1
    assert "1 names for 3 outputs" in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".tsv.gz"])
def test_one_sample_of_a_table(tmp_path: Path, ending: str) -> None:
    text = TABLE.replace(",", "\t") if "tsv" in ending else TABLE
    path = tmp_path / f"t{ending}"
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith(".gz") else text.encode())
    found = read_input(path, FLOATS, columns=NAMES, sample="u8")
    np.testing.assert_array_equal(found.feeds["x"], [[4, 5, 6]])
    for wrong in ("u1", "1"):
        with pytest.raises(InputError, match=f"has 0 rows with the id '{wrong}'"):
            read_input(path, FLOATS, columns=NAMES, sample=wrong)


def test_a_sample_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n1,2,3\n4,5,6\n")
    for i, row in enumerate(([1, 2, 3], [4, 5, 6])):
        np.testing.assert_array_equal(read_input(path, FLOATS, sample=str(i)).feeds["x"], [row])
    for wrong in ("2", "-1", "x"):
        with pytest.raises(InputError, match="has 2 rows, 0 to 1"):
            read_input(path, FLOATS, sample=wrong)
    np.save(tmp_path / "t.npy", np.ones((1, 3)))
    with pytest.raises(InputError, match="about tables"):
        read_input(tmp_path / "t.npy", FLOATS, sample="0")


def test_packed_tables_are_read_and_held_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b,c,labels\n1,2,3,7\n4,5,6,8\n"))
    found = read_instances([path], FLOATS)
    np.testing.assert_array_equal(found.stacks["x"], [[1, 2, 3], [4, 5, 6]])
    assert list(found.labels) == ["7", "8"]
    with limits.raised(unpacked_bytes=20), pytest.raises(LimitError, match="unpacks to"):
        read_instances([path], FLOATS)
    source = open_source(path, FLOATS)
    assert list(source.labels) == ["7", "8"]
    np.testing.assert_array_equal(source[slice(1, 2)].stacks["x"], [[4, 5, 6]])
    with limits.raised(unpacked_bytes=20), pytest.raises(LimitError, match="unpacks to"):
        open_source(path, FLOATS)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(InputError, match="not a readable table"):
        read_instances([path], FLOATS)
