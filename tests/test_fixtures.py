"""Every model that the project ships is linear at its example, to within rounding."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import onnxlin
from tests.agree import assert_close
from tests.installed import require
from tests.proofs import assert_linear_or_listed, instance
from tests.twin import by_hand

FOLDER = Path(__file__).parent.parent / "fixtures"
TRAINED = sorted(FOLDER.glob("*.onnx"))
GALLERY = FOLDER / "gallery"
ODD = sorted((FOLDER / "odd").glob("*.onnx"))


def named(path: Path) -> str:
    return path.stem


def test_there_are_fixtures() -> None:
    assert len(TRAINED) >= 10
    assert len(ODD) >= 30


@pytest.mark.parametrize("path", TRAINED, ids=named)
def test_trained_model(path: Path) -> None:
    require(path)
    model = onnx.load(path)
    assert assert_linear_or_listed(model, instance(model, seed=0)) == "linear"


@pytest.mark.parametrize("path", TRAINED, ids=named)
def test_trained_model_at_zero(path: Path) -> None:
    require(path)
    model = onnx.load(path)
    x = {name: np.zeros_like(value) for name, value in instance(model, seed=0).items()}
    assert assert_linear_or_listed(model, x) == "linear"


@pytest.mark.parametrize("path", ODD, ids=named)
def test_odd_model(path: Path) -> None:
    model = onnx.load(path)
    x = dict(np.load(path.with_suffix(".npz")))
    assert assert_linear_or_listed(model, x) == "linear"
    m = onnxlin.linearize(path, x, dtype=np.float64)
    hand = by_hand(m)
    for engine in ("explicit", "reverse", "forward", "live", "cut"):
        other = onnxlin.linearize(path, x, dtype=np.float64, engine=engine)
        assert (np.abs(other.W - hand.W) <= hand.slack).all()
        assert (np.abs(other.b - hand.b) <= hand.bias_slack).all()


def test_small_model_by_hand() -> None:
    """The layers of LeNet-5, multiplied by hand, are W."""
    model = onnx.load(FOLDER / "lenet5_mnist.onnx")
    m = onnxlin.linearize(model, instance(model, seed=1), dtype=np.float64)
    hand = by_hand(m)
    assert (np.abs(m.W - hand.W) <= hand.slack).all()
    assert (np.abs(m.b - hand.b) <= hand.bias_slack).all()


@pytest.mark.parametrize("name", ["wine", "beats", "topics", "patches"])
def test_gallery_net_at_its_example(name: str) -> None:
    model = onnx.load(GALLERY / f"{name}.onnx")
    (given,) = model.graph.input
    if name == "wine":
        x = np.loadtxt(GALLERY / "wine.csv", delimiter=",", skiprows=1, dtype=np.float32)[None]
    else:
        x = np.load(GALLERY / f"{name}.npy")
    assert assert_linear_or_listed(model, {given.name: x}) == "linear"


def test_wines_that_were_held_out() -> None:
    data = np.load(GALLERY / "wine_held_out.npz")
    scores = [run("wine", row[None]) for row in data["measurements"]]
    assert_accuracy_is_as_recorded("wine", np.concatenate(scores), data["labels"])


def test_series_of_the_generator(makers: Any) -> None:
    """What the seed gives is what the net was measured on; the shipped one has a wide beat."""
    beats = makers.make_beats(recorded("beats")["test_size"], seed=1000)
    scores = np.concatenate([run("beats", series[None]) for series in beats.series])
    assert_accuracy_is_as_recorded("beats", scores, beats.labels)
    first = recorded("beats")["classes"].index("wide beat")
    # Another processor's exponential may be off in its last bit, and float32 then one number off.
    shipped, series = np.load(GALLERY / "beats.npy")[0], beats.series[first]
    assert_close(shipped, series, np.spacing(np.abs(series)))


def test_sentence_reads_as_it_should(makers: Any) -> None:
    model = onnx.load(GALLERY / "topics.onnx")
    known = json.loads({p.key: p.value for p in model.metadata_props}["vocabulary"])
    assert len(known) == len(set(known))
    ids = np.load(GALLERY / "topics.npy")
    np.testing.assert_array_equal(ids[0], makers.tokens(makers.split_words(makers.SHOWN), known))
    assert recorded("topics")["classes"][int(run("topics", ids).argmax())] == "files"


def test_the_decoder_and_its_tokenizer_know_the_same_words(makers: Any) -> None:
    model = onnx.load(GALLERY / "words.onnx")
    known = json.loads({p.key: p.value for p in model.metadata_props}["vocabulary"])
    vocabulary = json.loads((GALLERY / "words.json").read_text())["model"]["vocab"]
    assert vocabulary == {word: i for i, word in enumerate(known)}
    words = ("<start>", *makers.split_words("Write the bytes to the"))
    scores = run("words", np.array([[vocabulary[word] for word in words]]))
    assert known[int(scores[0, -1].argmax())] == "file"


@pytest.fixture
def makers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that makes the gallery's data; it needs only NumPy."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import gallery_data

    yield gallery_data
    sys.modules.pop("gallery_data")


def recorded(name: str) -> dict[str, Any]:
    entries = json.loads((FOLDER / "MODELS.json").read_text())["gallery"]
    return next(entry for entry in entries if entry["file"] == f"gallery/{name}.onnx")


def run(name: str, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(GALLERY / f"{name}.onnx")
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x})[0])


def assert_accuracy_is_as_recorded(name: str, scores: np.ndarray, labels: np.ndarray) -> None:
    entry = recorded(name)
    assert len(labels) == entry["test_size"]
    assert round(float((scores.argmax(axis=1) == labels).mean()), 4) == entry["test_accuracy"]
