"""What evaluate prints and writes is what the library says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import onnxlin
from onnxlin.readings import evaluate
from tests.cli.helpers import write_model
from tests.cli.test_exit_codes import plant_a_wrong_bias
from tests.installed import require

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def digits(fixtures) -> list[str]:
    Path("labels.txt").write_text("\n".join("0123456789"))
    return [str(fixtures / "cnn_bn_mnist.onnx"),
            *(str(fixtures / f"digit_{i}.png") for i in range(10))]  # fmt: skip


def test_evaluate_prints_what_a_person_asks_for(run, digits) -> None:
    code, out, err = run("evaluate", *digits, "--labels", "labels.txt", "--top", "3")
    assert (code, err) == (0, "")
    for words in (
        "10 instances of digit_0.png and 9 more",
        "gray, scale 1/255",
        "Is W x enough? Accuracy, 10 classes",
        "W x alone",
        "b alone",
        "What the margin of the right class over its strongest rival is made of",
        "/1/BatchNormalization",
        "2 smaller ones are left out; --top shows more",
        "PASS  W x + b equals F(x) within its bound at every instance",
        "wrote cnn_bn_mnist.evaluation.png",
    ):
        assert words in out
    with Image.open("cnn_bn_mnist.evaluation.png") as picture:
        assert picture.size[0] > 1000
    out = run("evaluate", *digits, "--no-files", "--limit", "4")[1]
    assert "Is W x enough? Agreement with F(x), 10 classes" in out
    assert "4 instances" in out
    assert "the class that F(x) says" in out


def test_json_agrees_with_the_library(run_json, digits) -> None:
    found = run_json("evaluate", *digits, "--labels", "labels.txt", "--out", "made/")
    xs = np.stack([np.asarray(Image.open(path))[None] for path in digits[1:]]) / 255
    expected = evaluate(onnxlin.Linearizer(digits[0]), xs.astype(np.float32), np.arange(10))
    assert found["accuracy"] == expected.accuracy
    assert found["instances"] == found["classes"] == 10
    margins = {part["part"]: part for part in found["margins"]}
    assert margins["all"]["mean"] == expected.margin.mean()
    assert {n: p["share"] for n, p in margins.items() if n != "all"} == expected.owned
    assert found["files"] == [str(Path("made/cnn_bn_mnist.evaluation.png"))]
    assert run_json("evaluate", *digits, "--out", "b")["files"] == ["b.png"]


def test_every_form_of_data_gives_the_same(run_json, digits) -> None:
    model, *files = digits
    expected = run_json("evaluate", *digits, "--labels", "labels.txt", "--no-files")
    Path("folder").mkdir()
    for file in files:
        shutil.copy(file, "folder")
    xs = np.stack([np.asarray(Image.open(path))[None] for path in files]).astype(np.float32) / 255
    np.save("xs.npy", xs)
    np.savez("xs.npz", xs=xs, labels=np.arange(10))
    np.savetxt("xs.csv", xs.reshape(10, -1), delimiter=",")
    np.save("labels.npy", np.arange(10))
    Path("pairs.csv").write_text("\n".join(f"digit_{i}.png,{i}" for i in range(10)))
    for data, labels in (
        ("folder", "pairs.csv"), ("folder", "labels.npy"), ("xs.npy", "labels.txt"),
        ("xs.npz", None), ("xs.csv", "labels.npy"),
    ):  # fmt: skip
        asked = [] if labels is None else ["--labels", labels]
        found = run_json("evaluate", model, data, *asked, "--no-files")
        assert found["accuracy"] == expected["accuracy"]
        assert found["margins"] == expected["margins"]


def test_sources_of_run_and_a_store_give_the_same(run_json, run, digits) -> None:
    for package in ("zarr", "pyarrow", "distributed"):
        pytest.importorskip(package)
    import pyarrow
    import pyarrow.parquet
    import zarr

    model, *files = digits
    expected = run_json("evaluate", *digits, "--labels", "labels.txt", "--no-files")
    xs = np.stack([np.asarray(Image.open(path))[None] for path in files]).astype(np.float32) / 255
    group = zarr.open_group("xs.zarr", mode="w", zarr_format=3)
    group.create_array("image", data=xs, chunks=(4, 1, 28, 28))
    group.create_array("labels", data=np.arange(10))
    table = {"image": list(xs.reshape(10, -1)), "label": np.arange(10)}
    pyarrow.parquet.write_table(pyarrow.table(table), "xs.parquet")
    for i, file in enumerate(files):
        Path(f"sorted/{i}").mkdir(parents=True)
        shutil.copy(file, f"sorted/{i}")
    store = ("--store", "made.zarr", "--workers", "1")
    for source, more in {"xs.zarr": (), "xs.parquet": (), "sorted": store}.items():
        found = run_json("evaluate", model, source, *more, "--no-files")
        assert found["labels"]
        assert found["accuracy"] == expected["accuracy"]
        assert found["margins"] == expected["margins"]
    again = run_json("evaluate", model, "sorted", *store, "--resume", "--no-files")
    assert again["margins"] == expected["margins"]
    code, _, err = run("evaluate", model, "sorted", *store, "--no-files")
    assert code == 1
    assert "Give resume=True (--resume) to go on with it" in err


def test_data_and_a_store_at_addresses(run_json, run, digits) -> None:
    for package in ("zarr", "pyarrow", "fsspec"):
        pytest.importorskip(package)
    import fsspec

    model, *files = digits
    expected = run_json("evaluate", *digits, "--labels", "labels.txt", "--no-files")
    xs = np.stack([np.asarray(Image.open(path))[None] for path in files]).astype(np.float32) / 255
    np.save("xs.npy", xs)
    fs = fsspec.filesystem("memory")
    try:
        fs.pipe_file("/evaluate/xs.npy", Path("xs.npy").read_bytes())
        words = ("evaluate", model, "memory://evaluate/xs.npy", "--labels", "labels.txt",
                 "--store", "memory://evaluate/made.zarr", "--no-files")  # fmt: skip
        for more in ((), ("--resume", "--storage-option", "skip_instance_cache=true")):
            found = run_json(*words, *more)
            assert found["accuracy"] == expected["accuracy"]
            assert found["margins"] == expected["margins"]
        code, _, err = run(*words, "--resume", "--storage-option", "anon")
        assert code == 1
        assert "storage option 'anon': expected KEY=VALUE" in err
    finally:
        fs.rm("/evaluate", recursive=True)


def test_labels_may_be_class_names(run_json, run, fixtures) -> None:
    model = fixtures / "mlp2_fashion.onnx"
    require(model)
    pair = [fixtures / "garment_bag.png", fixtures / "garment_ankle_boot.png"]
    Path("l.txt").write_text("BAG\nankle boot\n")
    assert run_json("evaluate", model, *pair, "--labels", "l.txt", "--no-files")["labels"]
    Path("l.txt").write_text("bag\nhat\n")
    code, _, err = run("evaluate", model, *pair, "--labels", "l.txt")
    assert code == 1
    assert "l.txt: 'hat' is no index and no class name. Known: T-shirt/top" in err
    Path("l.txt").write_text("bag\n")
    code, _, err = run("evaluate", model, *pair, "--labels", "l.txt")
    assert code == 1
    assert "'l.txt' has 1 labels, and the data 2 instances" in err


def test_notes_on_many_pictures_are_cut_short(run, fixtures) -> None:
    Path("sizes").mkdir()
    with Image.open(fixtures / "digit_7.png") as picture:
        for side in range(30, 36):
            picture.resize((side, side)).save(f"sizes/{side}.png")
    out = run("evaluate", fixtures / "mlp2_mnist.onnx", "sizes", "--no-files")[1]
    assert "resized and centre-cropped 30 x 30 -> 28 x 28" in out
    assert "and 4 more such notes; --json has them" in out


def test_outputs_that_are_probabilities_are_noted(run_json, fixtures) -> None:
    xs = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    np.save("xs.npy", xs)
    model = write_model("soft.onnx", [helper.make_node("Softmax", ["x"], ["y"])])
    found = run_json("evaluate", model, "xs.npy", "--no-files")
    assert "--outputs logits ends before the softmax" in found["notes"][-1]


def test_refusals(run, digits, monkeypatch) -> None:
    code, _, err = run("evaluate", digits[0], "nowhere")
    assert code == 1
    assert "No such data: 'nowhere'" in err
    code, _, err = run("evaluate", *digits, "--out", "labels.txt/deep/")
    assert code == 1
    assert "Cannot write" in err
    plant_a_wrong_bias(monkeypatch)
    code, _, err = run("evaluate", *digits, "--no-files")
    assert code == 4
    assert "W x + b against F(x): row" in err
