"""The parts that studies share."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fixtures.studies.shared import data, results
from fixtures.studies.shared.claims import ClaimError, claim
from fixtures.studies.shared.intervals import interval, median_interval
from fixtures.studies.shared.places import FIXTURES, net_file
from fixtures.studies.shared.prose import WIDTH, filled
from fixtures.studies.shared.tables import percent_between, table
from fixtures.studies.training.specs import SPECS, Spec


def test_a_claim_that_results_deny_is_told_with_its_words() -> None:
    shares = [0.2, 0.1]
    assert claim(shares[0] > shares[1], "more") == "more"
    with pytest.raises(ClaimError, match="'less'"):
        claim(shares[0] < shares[1], "less")


def test_intervals_hold_the_mean_and_shrink_with_more_values() -> None:
    random = np.random.default_rng(0)
    few, many = (interval(random.random(size) < 0.9) for size in (50, 5000))
    for found in (few, many):
        assert found["low"] < found["mean"] < found["high"]
    assert many["high"] - many["low"] < (few["high"] - few["low"]) / 5
    # The interval of a share of n is that of the normal approximation, to a tenth.
    half = 1.96 * np.sqrt(many["mean"] * (1 - many["mean"]) / 5000)
    assert (many["high"] - many["low"]) / 2 == pytest.approx(half, rel=0.1)


def test_an_interval_of_a_ratio_is_that_of_sums() -> None:
    found = interval([1, 2, 3], [2, 4, 6])
    assert found == {"mean": 0.5, "low": 0.5, "high": 0.5}
    assert np.isnan(interval([])["mean"])


def test_a_median_is_not_thrown_off_by_one_image() -> None:
    values = np.random.default_rng(0).random(101)
    found = median_interval([*values, 1e6])
    assert found["low"] < found["median"] < found["high"] < 1
    assert np.isnan(median_interval([])["median"])


def test_tables() -> None:
    made = table(["a", "b"], [["x", percent_between({"mean": 0.5, "low": 0.25, "high": 0.75})]])
    assert made == "| a | b |\n| --- | ---: |\n| x | 50.0 (25.0 to 75.0) |"
    with pytest.raises(ValueError, match="2 columns"):
        table(["a", "b"], [["x"]])


def test_results_are_rounded_and_plain() -> None:
    given = {"a": np.float32(1 / 3), "b": [np.int64(7), True], "c": float("nan"), 3: None}
    found = results.rounded(given)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found == {"a": 0.33333, "b": [7, True], "c": None, "3": None}


def test_bytes_become_what_the_metadata_say() -> None:
    images = np.full((2, 3, 4, 4), 51, np.uint8)
    found = data.prepared(images, data.preprocessing("cifar10"))
    mean, std = data.STANDARD["cifar10"]
    assert found.dtype == np.float32
    assert found.shape == images.shape
    np.testing.assert_allclose(found[1, :, 2, 3], (0.2 - np.array(mean)) / std, rtol=1e-6)


@pytest.mark.parametrize("name", data.TITLES)
def test_data_sets(name: str) -> None:
    if not data.available(name):
        pytest.skip(f"{data.TITLES[name]} isn't here: set ONNXLIN_DATA or ONNXLIN_FASHION")
    found = data.load(name, "test", 30)
    assert len(found) == len(found.labels) == 30
    assert found.images.dtype == np.uint8
    shape = (3, 224, 224) if name == "photos" else (1, 28, 28)
    assert found.images.shape[1:] == ((3, 32, 32) if name in data.STANDARD else shape)
    assert found.labels.max() < len(found.classes)


@pytest.mark.parametrize("name", ["mnist", "fashion"])
def test_shipped_pictures_are_one_of_each_class(name: str) -> None:
    found = data.shipped(name)
    assert found.images.shape == (10, 1, 28, 28)
    assert found.images.reshape(10, -1).max(axis=1).min() > 100
    np.testing.assert_array_equal(found.labels, np.arange(10))


def test_data_that_is_missing_is_told_with_the_way_to_set_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ONNXLIN_DATA", "/nowhere")
    with pytest.raises(FileNotFoundError, match="Set ONNXLIN_DATA"):
        data.load("cifar10", "test")
    with pytest.raises(ValueError, match="there are mnist, fashion"):
        data.load("imagenet", "test")


def test_names_of_specs() -> None:
    assert Spec("resnet", "cifar10", "batch").name == "resnet_bn_cifar10"
    assert Spec("vgg", "mnist", activation="gelu", seed=3).name == "vgg_plain_gelu_mnist_seed3"
    assert not any((FIXTURES / f"{name}.onnx").exists() for name in SPECS)
    assert all(name == spec.name for name, spec in SPECS.items())


def test_a_missing_net_is_told_with_the_way_to_train_it() -> None:
    assert net_file("lenet5_mnist").exists()
    with pytest.raises(FileNotFoundError, match=r"fixtures\.studies\.train no_such_net"):
        net_file("no_such_net")


def test_paragraphs_are_broken_anew_and_tables_are_not() -> None:
    row = "| " + "x" * 200 + " |"
    found = filled(f"\na {'word ' * 40}\nend\n\n{row}\n{row}\n\n# head\n")
    first, rest = found.split("\n\n", 1)
    assert max(map(len, first.splitlines())) <= WIDTH
    assert first.split() == ["a", *["word"] * 40, "end"]
    assert rest == f"{row}\n{row}\n\n# head"
