"""A data set in any of its forms is the same stack of instances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxlin import InputError
from onnxlin.graph import TensorType
from onnxlin.inputs import Instances, Preprocessing, read_instances, read_labels

Image = pytest.importorskip("PIL.Image")

IMAGE = {"image": TensorType(onnx.TensorProto.FLOAT, (1, 1, 4, 4))}
TABLE = {"x": TensorType(onnx.TensorProto.FLOAT, ("n", 16))}
TWO = IMAGE | {"more": TensorType(onnx.TensorProto.FLOAT, (1, 2))}
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 4, 4), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "digits").mkdir()
    for name, pixels in zip("cab", PIXELS, strict=True):
        Image.fromarray(pixels).save(tmp_path / "digits" / f"{name}.png")
    (tmp_path / "digits" / "notes.txt").write_text("not a picture")
    return tmp_path


def read(path: Path, inputs: dict[str, TensorType] = IMAGE) -> Instances:
    return read_instances([path], inputs, Preprocessing())


def test_a_folder_of_pictures_in_the_order_of_their_names(folder: Path) -> None:
    found = read(folder / "digits")
    assert found.names == ("a.png", "b.png", "c.png")
    expected = PIXELS[[1, 2, 0]].astype(np.float32)[:, None] / 255
    np.testing.assert_allclose(found.stacks["image"], expected, rtol=1e-6)
    assert len(found) == 3
    assert len(found.first(2)) == len(found.first(2).names) == 2
    assert found.notes == ("gray, scale 1/255, as NCHW, 1 x 4 x 4",)
    files = [folder / "digits" / f"{name}.png" for name in "cab"]
    given = read_instances(files, IMAGE, Preprocessing())
    np.testing.assert_array_equal(given.stacks["image"][[1, 2, 0]], found.stacks["image"])
    assert len(read(folder / "digits" / "a.png")) == 1


@pytest.mark.parametrize("shape", [(3, 1, 4, 4), (3, 1, 1, 4, 4), (3, 16)])
def test_arrays_of_any_fitting_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "xs.npy", PIXELS.reshape(shape).astype(np.float64))
    (stack,) = read(tmp_path / "xs.npy").stacks.values()
    assert stack.dtype == np.float32
    np.testing.assert_array_equal(stack.reshape(3, 16), PIXELS.reshape(3, 16))
    assert stack[0].ndim in (3, 4)


def test_an_archive_may_hold_its_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", whatever=PIXELS, labels=[3, 1, 2])
    found = read(tmp_path / "one.npz")
    assert list(found.stacks) == ["image"]
    assert found.labels.tolist() == [3, 1, 2]
    assert found.first(1).labels.tolist() == [3]
    np.savez(tmp_path / "two.npz", image=PIXELS[:, None], more=np.ones((3, 2)))
    found = read(tmp_path / "two.npz", TWO)
    assert {name: len(stack) for name, stack in found.stacks.items()} == {"image": 3, "more": 3}
    assert found.labels is None


def test_a_table_has_an_instance_a_row(tmp_path: Path) -> None:
    rows = "\n".join(",".join(map(str, row)) for row in PIXELS.reshape(3, 16))
    (tmp_path / "plain.csv").write_text(rows)
    (tmp_path / "headed.csv").write_text(",".join(f"p{i}" for i in range(16)) + "\n" + rows)
    for name in ("plain.csv", "headed.csv"):
        np.testing.assert_array_equal(read(tmp_path / name, TABLE).stacks["x"],
                                      PIXELS.reshape(3, 16))  # fmt: skip


def test_labels_in_any_form(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", np.array([2, 0]))
    (tmp_path / "l.txt").write_text("2\nseven\n\n")
    (tmp_path / "l.csv").write_text("b.png,seven\na.png,2\n")
    assert read_labels(tmp_path / "l.npy") == ["2", "0"]
    assert read_labels(tmp_path / "l.txt") == ["2", "seven"]
    assert read_labels(tmp_path / "l.csv", ["a.png", "b.png"]) == ["2", "seven"]


def test_what_cannot_be_read_says_why(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "a.txt").write_text("1")
    np.save(folder / "scalar.npy", np.float32(1))
    np.save(folder / "odd.npy", np.ones((3, 5)))
    np.savez(folder / "uneven.npz", image=PIXELS[:, None], more=np.ones((2, 2)))
    np.save(folder / "none.npy", np.ones((0, 16)))
    cases = {
        "empty": (IMAGE, r"holds no pictures \(\.png"),
        "nothing.npy": (IMAGE, r"No such data: .*nothing\.npy'"),
        "a.txt": (IMAGE, r"ends in '\.txt'; expected a folder of pictures, pictures, \.npy"),
        "scalar.npy": (IMAGE, "holds a single number; expected instances on axis 0"),
        "odd.npy": (IMAGE, r"holds 3 instances of shape \(5,\); the model takes .* Stack"),
        "uneven.npz": (TWO, r"numbers of instances: \{'image': 3, 'more': 2\}"),
        "none.npy": (IMAGE, r"numbers of instances: \{'image': 0\}; .* one or more"),
    }
    for name, (inputs, message) in cases.items():
        with pytest.raises(InputError, match=message):
            read(folder / name, inputs)
    pair = [folder / "digits" / "a.png", folder / "odd.npy"]
    with pytest.raises(InputError, match=r"Several files must all be pictures; .*odd\.npy' is"):
        read_instances(pair, IMAGE)
    Image.fromarray(np.zeros((5, 7), np.uint8)).save(folder / "digits" / "d.png")
    any_size = {"image": TensorType(onnx.TensorProto.FLOAT, ("n", 1, "h", "w"))}
    with pytest.raises(InputError, match=r"have several: \(1, 1, 4, 4\) \(.*\.png\), \(1, 1, 5, 7"):
        read(folder / "digits", any_size)


def test_labels_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", np.ones((2, 2)))
    (tmp_path / "l.csv").write_text("b.png,1\na.png,2\n")
    with pytest.raises(InputError, match=r"No such file of labels: 'nowhere'"):
        read_labels("nowhere")
    with pytest.raises(InputError, match=r"has shape \(2, 2\) and dtype float64; expected one int"):
        read_labels(tmp_path / "l.npy")
    with pytest.raises(InputError, match=r"no label for \['c.png'\]\. Give one label a line"):
        read_labels(tmp_path / "l.csv", ["a.png", "c.png"])
    with pytest.raises(InputError, match="no label for data that is not a set of picture files"):
        read_labels(tmp_path / "l.csv")
