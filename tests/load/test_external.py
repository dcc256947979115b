"""Weights in files beside a model: read where the model lies, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxlin
from onnxlin import cli
from onnxlin.testing import assert_linearizes
from tests.load.faults import X, branching, info, model, node

W = np.array([3.0, -2.0], np.float32)
DATA = b"12345678" + W.tobytes()


def beside(name: str = "w", location: str | None = "w.bin", **told: object) -> TensorProto:
    """A weight in a file, of which only the first 8 bytes are not its own."""
    tensor = TensorProto(name=name, data_type=1, dims=[2], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": 8, "length": 8, **told}.items():
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    return tensor


def times(tensor: TensorProto) -> onnx.ModelProto:
    return model([node("Mul", "x", tensor.name)], [tensor])


def in_a_constant() -> onnx.ModelProto:
    made = helper.make_node("Constant", [], ["w"], "held")
    made.attribute.append(onnx.AttributeProto(name="value", type=4, t=beside("")))
    return model([made, node("Mul", "x", "w")])


def in_a_sparse_one() -> onnx.ModelProto:
    made = model([node("Mul", "x", "w")])
    weight = made.graph.sparse_initializer.add(dims=[2])
    weight.values.CopyFrom(beside())
    weight.indices.CopyFrom(numpy_helper.from_array(np.array([0, 1]), ""))
    return made


def in_a_function() -> onnx.ModelProto:
    held = helper.make_node("Constant", [], ["w"])
    held.attribute.append(onnx.AttributeProto(name="value", type=4, t=beside("")))
    nodes = [held, helper.make_node("Mul", ["a", "w"], ["b"])]
    imports = [helper.make_opsetid("", 17)]
    function = helper.make_function("q", "F", ["a"], ["b"], nodes, imports)
    return model([node("F", "x", domain="q")], functions=[function])


PLACES: dict[str, Callable[[], onnx.ModelProto]] = {
    "a weight": lambda: times(beside()),
    "without a length": lambda: times(beside(length=None)),
    "a constant": in_a_constant,
    "a branch": lambda: branching(node("Mul", "x", "w"), beside()),
    "a sparse weight": in_a_sparse_one,
    "a function": in_a_function,
}


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "model" / "sub").mkdir(parents=True)
    for name in ("model/w.bin", "model/sub/w.bin", "outside.bin"):
        (tmp_path / name).write_bytes(DATA)
    return tmp_path / "model"


@pytest.mark.parametrize("place", PLACES)
def test_weights_lie_beside_the_model_wherever_they_are_used(folder, place) -> None:
    made = PLACES[place]()
    path = folder / "m.onnx"
    path.write_bytes(made.SerializeToString())
    assert np.array_equal(onnxlin.linearize(path, X).W, np.diag(W))
    onnxlin.compile_model(path)
    for given in (made, made.SerializeToString()):
        # Not even where they lie in the folder that we are in.
        with pytest.raises(onnxlin.ModelError, match=r"in a file beside the model \('w\.bin'\)"):
            onnxlin.linearize(given, X)
        assert np.array_equal(onnxlin.linearize(given, X, base_dir=folder).W, np.diag(W))
        assert onnxlin.check_model(given, base_dir=folder).compiles
        assert len(onnxlin.compile_model(given, base_dir=str(folder)).graph.node)
        onnxlin.Linearizer(given, base_dir=folder)(X).verify()
    assert made == PLACES[place]()


def test_no_file_is_read_for_a_model_given_as_bytes(folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(onnxlin.ModelError, match=r"say base_dir="):
        onnxlin.check_model(times(beside()))
    assert onnxlin.check_model(times(beside()), base_dir=".").ok
    with pytest.raises(onnxlin.ModelError, match="cannot be opened"):
        onnxlin.check_model(times(beside()), base_dir="sub/none")


def links(folder: Path) -> None:
    os.symlink(folder / "w.bin", folder / "link.bin")
    os.symlink(folder.parent, folder / "up")
    os.link(folder.parent / "outside.bin", folder / "second.bin")
    os.mkfifo(folder / "pipe")


FAULTS = {
    "missing": ({"location": "none.bin"}, "'none.bin' cannot be opened: No such file"),
    "no location": ({"location": None}, "names no file"),
    "an empty location": ({"location": ""}, "names no file"),
    "a NUL": ({"location": "w\0.bin"}, "names no file"),
    "above": ({"location": "../outside.bin"}, "outside of the model's folder"),
    "above, on a detour": ({"location": "sub/../../outside.bin"}, "outside of the model's folder"),
    "an absolute path": ({"location": "/etc/passwd"}, "outside of the model's folder"),
    "a drive": ({"location": "c:\\w.bin"}, "outside of the model's folder"),
    "a link": ({"location": "link.bin"}, "is a link, or lies behind one"),
    "behind a link": ({"location": "up/outside.bin"}, "is a link, or lies behind one"),
    "a second name": ({"location": "second.bin"}, "has a second name"),
    "a folder": ({"location": "sub"}, "'sub'"),
    "a pipe": ({"location": "pipe"}, "no regular file"),
    "too short": ({"offset": 12}, "has 16 bytes, and it takes 8 from byte 12 on"),
    "another length": ({"length": 4}, "its length is 4 bytes, but its dims take 8"),
    "an offset below 0": ({"offset": -1}, "its offset '-1' is no number"),
    "an offset of text": ({"offset": "a"}, "its offset 'a' is no number"),
    "an offset past all": ({"offset": 2**62}, "has 16 bytes"),
    "a length of digits": ({"length": "9" * 5000}, "is no number"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_lies_elsewhere_or_is_something_else_is_refused(folder, fault, capsys) -> None:
    links(folder)
    told, words = FAULTS[fault]
    path = folder / "m.onnx"
    path.write_bytes(times(beside(**told)).SerializeToString())
    for call in (
        onnxlin.check_model,
        onnxlin.compile_model,
        lambda m: onnxlin.linearize(m, X),
        lambda m: assert_linearizes(m, X),
        lambda m: onnxlin.check_model(m.read_bytes(), base_dir=folder),
    ):
        with pytest.raises(onnxlin.ModelError, match="weight 'w' cannot be read") as raised:
            call(path)
        assert words in str(raised.value)
    for command in (["check"], ["verify", "--no-files"], ["compile", "-o", str(folder / "o.onnx")]):
        assert cli.main([*command, str(path)]) == 1
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert words in err


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dims": [-2]}, r"its dims are \[-2\]"),
        ({"data_type": 99}, "there is no element type 99"),
        ({"data_type": TensorProto.STRING}, "text is not stored"),
        ({"dims": [2**40, 2**20]}, "its length is 8 bytes, but its dims take"),
    ],
)
def test_what_a_tensor_says_of_itself(folder, fields, words) -> None:
    tensor = beside()
    for name, value in fields.items():
        if name == "dims":
            del tensor.dims[:]
            tensor.dims.extend(value)
        else:
            setattr(tensor, name, value)
    with pytest.raises(onnxlin.ModelError, match=words):
        onnxlin.check_model(times(tensor), base_dir=folder)


def test_narrow_numbers_are_packed(folder) -> None:
    tensor = beside("w", length=2)
    tensor.data_type = TensorProto.INT4
    del tensor.dims[:]
    tensor.dims.append(3)
    scale, read = numpy_helper.from_array(np.float32(2), "s"), ["w", "s"]
    nodes = [helper.make_node("DequantizeLinear", read, ["d"]), node("Add", "x", "d")]
    made = model(nodes, [tensor, scale], inputs=[info("x", [3])], opset=21)
    m = onnxlin.linearize(made, np.zeros(3, np.float32), base_dir=folder)
    packed = DATA[8:10]
    low_first = [packed[0] & 15, packed[0] >> 4, packed[1] & 15]
    assert np.array_equal(m.b, [2 * (n - 16 * (n > 7)) for n in low_first])
