"""A part is what the whole has there, in any process; what changes or is broken is told."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxlin
from onnxlin.data.source import Source
from onnxlin.data.sources import open_source
from onnxlin.data.sources.opening import source_of
from onnxlin.errors import DataError, InputError
from onnxlin.graph import Array
from onnxlin.inputs import read_instances
from onnxlin.inputs.preprocessing import Preprocessing

COUNT = 700  # more than what is looked at first, and than rows between places of a text file
Writer = Callable[[Path, Array, Array], Any]


@pytest.fixture(scope="module")
def lin(fixtures: Path) -> onnxlin.Linearizer:
    return onnxlin.Linearizer(fixtures / "mlp2_mnist.onnx")


@pytest.fixture(scope="module")
def digits() -> Array:
    return np.random.default_rng(0).integers(0, 256, (COUNT, 784)).astype(np.uint8)


@pytest.fixture(scope="module")
def labels() -> Array:
    return np.random.default_rng(1).integers(0, 10, COUNT)


def npy(folder: Path, x: Array, _: Array) -> Path:
    np.save(folder / "d.npy", x)
    return folder / "d.npy"


def fortran(folder: Path, x: Array, _: Array) -> Path:
    np.save(folder / "f.npy", np.asfortranarray(x))
    return folder / "f.npy"


def npz(folder: Path, x: Array, labels: Array) -> Path:
    np.savez(folder / "d.npz", x=x, labels=labels)
    return folder / "d.npz"


def packed(folder: Path, x: Array, labels: Array) -> Path:
    np.savez_compressed(folder / "p.npz", x=x, labels=labels)
    return folder / "p.npz"


def text(folder: Path, x: Array, labels: Array) -> Path:
    lines = ["labels," + ",".join(f"p{i}" for i in range(784))]
    lines += [f"{a}," + ",".join(map(str, row)) for a, row in zip(labels, x, strict=True)]
    lines.insert(5, ",,,")  # empty rows are none
    (folder / "d.csv").write_text("\n".join(lines) + "\n")
    return folder / "d.csv"


def parquet(folder: Path, x: Array, labels: Array) -> Path:
    arrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"pixels": list(x), "label": labels})
    files.write_table(table, folder / "d.parquet", row_group_size=100)
    return folder / "d.parquet"


def wide_parquet(folder: Path, x: Array, labels: Array) -> Path:
    arrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = arrow.table({f"p{i:03}": x[:, i] for i in range(784)} | {"labels": labels})
    files.write_table(table, folder / "w.parquet", row_group_size=300)
    return folder / "w.parquet"


def zarr(folder: Path, x: Array, labels: Array) -> Path:
    group = pytest.importorskip("zarr").open_group(folder / "d.zarr", mode="w")
    group.create_array("x", data=x, chunks=(64, 784))
    group.create_array("labels", data=labels)
    return folder / "d.zarr"


def hugging_face(_: Path, x: Array, labels: Array) -> Any:
    """A table that the caller has open: a list of numbers a row."""
    return pytest.importorskip("datasets").Dataset.from_dict({"x": x, "label": labels})


def wide_hugging_face(_: Path, x: Array, labels: Array) -> Any:
    """A column a number."""
    columns = {f"p{i:03}": x[:, i] for i in range(784)}
    return pytest.importorskip("datasets").Dataset.from_dict({**columns, "labels": labels})


WRITERS = (npy, fortran, npz, packed, text, parquet, wide_parquet, zarr, hugging_face,
           wide_hugging_face)  # fmt: skip
READ_BY_THE_CORE = (npy, fortran, npz, packed, text)


def whole(source: Source) -> Array:
    parts = [source[slice(at, at + 99)] for at in range(0, len(source), 99)]
    assert not any(part.errors for part in parts)
    return np.concatenate([next(iter(part.stacks.values())) for part in parts])


@pytest.mark.parametrize("write", WRITERS)
def test_parts_are_what_the_whole_has_there(
    tmp_path: Path, write: Writer, lin: onnxlin.Linearizer, digits: Array, labels: Array
) -> None:
    how = Preprocessing.of({"preprocessing": '{"scale": 0.00392156862745098}'})
    source = open_source(write(tmp_path, digits, labels), lin.graph.inputs, how)
    found = whole(source)
    expected = (digits / 255).astype(np.float32).reshape(found.shape)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-7)
    assert any("pixels" in note for note in source.notes)
    if write not in (npy, fortran):
        np.testing.assert_array_equal(np.asarray(source.labels).astype(int), labels)
    again: Source = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(whole(again), found)
    assert again.digest == source.digest
    if write in READ_BY_THE_CORE:
        core = read_instances([write(tmp_path, digits, labels)], lin.graph.inputs, how)
        np.testing.assert_array_equal(next(iter(core.stacks.values())), found)


@pytest.mark.parametrize("write", [npy, npz, text, parquet])
def test_what_changes_is_told(
    tmp_path: Path, write: Writer, lin: onnxlin.Linearizer, digits: Array, labels: Array
) -> None:
    path = write(tmp_path, digits, labels)
    source = open_source(path, lin.graph.inputs)
    digest = source.digest
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / path.name).write_bytes(path.read_bytes())
    assert open_source(other / path.name, lin.graph.inputs).digest == digest  # by its contents
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataError, match="has changed since the run began"):
        source[0:3]
    path.unlink()
    with pytest.raises(DataError, match="cannot be read: No such file"):
        source[0:3]


def test_a_bad_row_is_an_error_of_its_own(
    tmp_path: Path, lin: onnxlin.Linearizer, digits: Array, labels: Array
) -> None:
    path = text(tmp_path, digits, labels)
    lines = path.read_text().splitlines()
    lines[400] = lines[400].replace(lines[400].split(",")[7], "seven", 1)
    lines[3] = lines[3].rsplit(",", 1)[0] + ",x"
    path.write_text("\n".join(lines))
    source = open_source(path, lin.graph.inputs)
    part = source[390:410]
    assert len(part) == 20
    (at,) = part.errors
    assert "'seven' is no number" in part.errors[at]
    np.testing.assert_array_equal(
        next(iter(part.stacks.values()))[at + 1].ravel(), digits[390 + at + 1]
    )


def test_pictures_are_labelled_by_their_folders(
    tmp_path: Path, lin: onnxlin.Linearizer, digits: Array
) -> None:
    image = pytest.importorskip("PIL.Image")
    for i in range(12):
        folder = tmp_path / f"class {i % 3}"
        folder.mkdir(exist_ok=True)
        image.fromarray(digits[i].reshape(28, 28)).save(folder / f"{i:02}.png")
    (tmp_path / "class 0" / "06.png").write_bytes(b"no picture")
    source = open_source(tmp_path, lin.graph.inputs)
    assert list(source.names[:2]) == [os.path.join("class 0", f"{i:02}.png") for i in (0, 3)]
    assert list(np.asarray(source.labels)) == [f"class {i}" for i in range(3) for _ in range(4)]
    part = pickle.loads(pickle.dumps(source))[0:12]
    assert list(part.errors) == [2]
    assert "is not a readable picture" in part.errors[2]
    expected = (digits[9] / 255).astype(np.float32)
    np.testing.assert_allclose(next(iter(part.stacks.values()))[3].ravel(), expected, rtol=1e-7)
    (tmp_path / "class 1" / "01.png").unlink()
    assert "cannot be read" in source[4:5].errors[0]


def test_a_data_set_of_pictures_is_scaled_as_the_model_says(
    lin: onnxlin.Linearizer, digits: Array, labels: Array
) -> None:
    datasets, image = pytest.importorskip("datasets"), pytest.importorskip("PIL.Image")
    pictures = [image.fromarray(digit.reshape(28, 28)) for digit in digits[:9]]
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=10)}
    )
    data = datasets.Dataset.from_dict({"image": pictures, "label": labels[:9]}, features=features)
    source = source_of(lin.graph, data, None, None)
    expected = (digits[:9] / 255).astype(np.float32)
    np.testing.assert_allclose(whole(source).reshape(9, 784), expected, rtol=1e-7)
    np.testing.assert_array_equal(np.asarray(source.labels), labels[:9])


def test_data_sets_whose_rows_have_no_numbers_are_refused(
    lin: onnxlin.Linearizer, digits: Array
) -> None:
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"x": digits[:9]})
    with pytest.raises(InputError, match=r"is several data sets. Give one: data\['train'\]"):
        open_source(datasets.DatasetDict({"train": data}), lin.graph.inputs)
    with pytest.raises(InputError, match="only be read from its beginning on"):
        open_source(data.to_iterable_dataset(), lin.graph.inputs)
    ragged = datasets.Dataset.from_dict({"x": [[1.0, 2.0], [3.0]]})
    with pytest.raises(InputError, match="does not hold numbers of one shape"):
        open_source(ragged, lin.graph.inputs)[0:2]


def test_labels_given_come_first(
    tmp_path: Path, lin: onnxlin.Linearizer, digits: Array, labels: Array
) -> None:
    np.save(tmp_path / "y.npy", labels[::-1])
    source = open_source(digits, lin.graph.inputs, labels=tmp_path / "y.npy")
    np.testing.assert_array_equal(np.asarray(source.labels).astype(int), labels[::-1])
    with pytest.raises(InputError, match=r"labels of shape \(3,\) for 700 samples"):
        open_source(digits, lin.graph.inputs, labels=[1, 2, 3])


@pytest.mark.parametrize("name", ["a.xyz", "none.npy", "empty"])
def test_what_cannot_be_read_is_refused(tmp_path: Path, name: str, lin: onnxlin.Linearizer) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.xyz").write_bytes(b"")
    with pytest.raises(InputError):
        open_source(tmp_path / name, lin.graph.inputs)
