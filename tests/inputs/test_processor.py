"""preprocessor_config.json: a picture becomes what these steps, done by hand, make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxlin.errors import InputError
from onnxlin.graph import TensorType
from onnxlin.inputs import Preprocessing, read_input
from onnxlin.inputs.preprocessing import KEY
from onnxlin.inputs.processor import read_processor

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def fed(file: Path, told: dict[str, Any], folder: Path, shape: Any = (1, 3, 24, 24)) -> Any:
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    how = Preprocessing.of({KEY: json.dumps(read_processor(folder))})
    return read_input(file, {"x": TensorType(1, shape)}, how).feeds["x"]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    image.fromarray(pixels).save(tmp_path / "p.png")
    return tmp_path / "p.png"


def by_hand(picture: Path, size: tuple[int, int], box: Any, number: int) -> Any:
    image = pytest.importorskip("PIL.Image")
    opened = image.open(picture).resize(size, image.Resampling(number))
    cut = opened if box is None else opened.crop(box)
    scaled = np.asarray(cut) / 255
    return ((scaled - MEAN) / STD).transpose(2, 0, 1)[None]


WHOLE = {"image_mean": MEAN, "image_std": STD, "rescale_factor": 1 / 255}


@pytest.mark.parametrize("number", [0, 2, 3])
@pytest.mark.parametrize(
    "case",
    [
        ({"size": {"height": 24, "width": 24}}, (24, 24), None),
        ({"size": 24}, (24, 24), None),
        (
            {"size": {"shortest_edge": 30}, "do_center_crop": True, "crop_size": 24},
            (45, 30),
            (10, 3, 34, 27),
        ),
        (
            {"size": 30, "do_center_crop": True, "crop_size": {"height": 24, "width": 24}},
            (45, 30),
            (10, 3, 34, 27),
        ),
    ],
)
@pytest.mark.parametrize("shape", [(1, 3, 24, 24), (1, 3, None, None)])
def test_steps(tmp_path: Path, picture: Path, case: Any, number: int, shape: Any) -> None:
    told, size, box = case
    found = fed(picture, {**WHOLE, **told, "resample": number}, tmp_path, shape)
    np.testing.assert_allclose(found, by_hand(picture, size, box, number), atol=1e-6)


def test_switches(tmp_path: Path, picture: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    off = {"do_rescale": False, "do_normalize": False, "do_resize": False, "size": 7}
    found = fed(picture, {**WHOLE, **off}, tmp_path, (1, 3, 40, 60))
    np.testing.assert_array_equal(found[0].transpose(1, 2, 0), np.asarray(image.open(picture)))
    cut = {**off, "do_center_crop": True, "crop_size": 24}
    found = fed(picture, {**WHOLE, **cut}, tmp_path)
    expected = np.asarray(image.open(picture).crop((18, 8, 42, 32)))
    np.testing.assert_array_equal(found[0].transpose(1, 2, 0), expected)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"do_pad": True}, "asks for .'do_pad'."),
        ({"resample": 9}, "resample=9"),
        ({"size": {"longest_edge": 3}}, "has the size"),
        ({"size": 10, "do_center_crop": True, "crop_size": 24}, "cuts 24 x 24 pixels out of 15"),
        (
            {"size": {"height": 9, "width": 9}, "do_center_crop": True, "crop_size": 4},
            "stretches to",
        ),
        ([], "no JSON object"),
    ],
)
def test_what_is_not_done_is_refused(
    tmp_path: Path, picture: Path, told: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fed(picture, told, tmp_path)
