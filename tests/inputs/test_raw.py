"""Numbers for a model of pictures: what the metadata and the options say is applied, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxlin import InputError
from onnxlin.graph import TensorType
from onnxlin.inputs import Preprocessing, read_input, read_instances

Image = pytest.importorskip("PIL.Image")
T = onnx.TensorProto
GREY = {"x": TensorType(T.FLOAT, (1, 1, 4, 5))}
COLOUR = {"x": TensorType(T.FLOAT, ("n", 3, 4, 5))}
BYTES = {"x": TensorType(T.UINT8, (1, 4, 5, 3))}
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
TOLD = {"preprocessing": '{"scale": 0.00392156862745098, "mean": [0.5, 0.4, 0.3], "std": 0.25}'}
PLAIN = {"preprocessing": '{"scale": 0.00392156862745098}'}


def saved(folder: Path, array: np.ndarray, name: str = "x.npy") -> Path:
    if name.endswith(".csv"):
        np.savetxt(folder / name, array.reshape(1, -1), "%.17g", delimiter=",")
    elif name.endswith(".npz"):
        np.savez(folder / name, x=array)
    else:
        np.save(folder / name, array)
    return folder / name


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float64])
@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.csv"])
def test_pixels_in_an_array_are_those_of_a_picture(tmp_path, name, kind) -> None:
    grey = PIXELS[..., 0]
    Image.fromarray(grey).save(tmp_path / "x.png")
    how = Preprocessing.of(PLAIN)
    picture = read_input(tmp_path / "x.png", GREY, how).feeds["x"]
    path = saved(tmp_path, grey[None, None].astype(kind), name)
    found = read_input(path, GREY, how)
    np.testing.assert_array_equal(found.feeds["x"].astype(np.float32), picture)
    assert found.raw
    (note,) = found.notes
    assert note.startswith('taken as pixels, as the model\'s "preprocessing" says')
    stack = read_instances([path], GREY, how)
    np.testing.assert_array_equal(stack.stacks["x"].ravel(), picture.ravel())
    assert stack.notes == found.notes


def test_each_channel_has_its_own_numbers(tmp_path) -> None:
    how = Preprocessing.of(TOLD)
    Image.fromarray(PIXELS).save(tmp_path / "x.png")
    picture = read_input(tmp_path / "x.png", COLOUR, how).feeds["x"]
    array = np.moveaxis(PIXELS, -1, 0)
    for given in (array, array[None]):
        found = read_input(saved(tmp_path, given), COLOUR, how).feeds["x"]
        np.testing.assert_array_equal(found.astype(np.float32), picture)
    stack = read_instances([saved(tmp_path, np.stack([array, array]))], COLOUR, how).stacks["x"]
    np.testing.assert_array_equal(stack, np.concatenate([picture, picture]))


def test_what_was_prepared_stays(tmp_path) -> None:
    how = Preprocessing.of(PLAIN)
    for values in (PIXELS / 255, PIXELS > 128, np.random.default_rng(0).normal(size=(4, 5, 3))):
        array = np.moveaxis(values, -1, 0)[None].astype(np.float64)
        found = read_input(saved(tmp_path, array), COLOUR, how)
        np.testing.assert_array_equal(found.feeds["x"], array)
        assert found.notes == ('taken as prepared: the model\'s "preprocessing" says scale 1/255',)
    assert read_input(saved(tmp_path, array), COLOUR, Preprocessing.of({})).notes == ()


def test_a_baseline_is_read_as_x_was(tmp_path) -> None:
    """Black is 0 as pixels, and (0 - mean) / std as the model sees it."""
    how = Preprocessing.of(TOLD)
    x = read_input(saved(tmp_path, np.moveaxis(PIXELS, -1, 0)), COLOUR, how)
    black = saved(tmp_path, np.zeros((3, 4, 5)), "black.npy")
    found = read_input(black, COLOUR, how, like=x).feeds["x"]
    np.testing.assert_allclose(found[0, :, 0, 0], [-2, -1.6, -1.2])
    np.testing.assert_array_equal(read_input(black, COLOUR, how).feeds["x"], 0)


def test_options_count_for_arrays_too(tmp_path) -> None:
    path = saved(tmp_path, np.full((1, 1, 4, 5), 100.5))
    asked = read_input(path, GREY, Preprocessing.of({}, scale=0.01, mean=(0.5,)))
    np.testing.assert_allclose(asked.feeds["x"], 0.505)
    assert asked.notes == ("taken as pixels, as asked: scale 1/100, mean 0.5",)
    for name in ("channels", "resize", "layout"):
        value = {"channels": "bgr", "resize": "fit", "layout": "nchw"}[name]
        with pytest.raises(InputError, match=f"--{name}: for picture files only"):
            read_input(path, GREY, Preprocessing.of({}, **{name: value}))
    with pytest.raises(InputError, match=r"holds numbers from 0 to 100\.5; pixels are whole, and"):
        read_input(saved(tmp_path, np.linspace(0, 100.5, 20).reshape(1, 1, 4, 5)), GREY,
                   Preprocessing.of(PLAIN))  # fmt: skip


def test_an_input_of_bytes_takes_pixels(tmp_path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "x.png")
    found = read_input(tmp_path / "x.png", BYTES)
    np.testing.assert_array_equal(found.feeds["x"], PIXELS[None])
    assert found.notes == ("rgb, scale 1, as NHWC, 3 x 4 x 5",)
    with pytest.raises(InputError, match=r"no whole number\. The picture became .*Say --scale 1"):
        read_input(tmp_path / "x.png", BYTES, Preprocessing.of(PLAIN))
    signed = {"x": TensorType(T.INT8, (1, 4, 5, 3))}
    with pytest.raises(InputError, match="does not fit the model's int8, which goes from -128"):
        read_input(tmp_path / "x.png", signed)
    shifted = read_input(tmp_path / "x.png", signed, Preprocessing.of({}, mean=(128.0,)))
    np.testing.assert_array_equal(shifted.feeds["x"][0], PIXELS.astype(int) - 128)
    # Arrays of bytes are pixels already.
    np.testing.assert_array_equal(
        read_input(saved(tmp_path, PIXELS[None]), BYTES, Preprocessing.of(PLAIN)).feeds["x"],
        PIXELS[None],
    )


@pytest.mark.parametrize(
    ("values", "raw"),
    [
        (np.arange(20.0) * 13, True),
        (np.arange(20.0) * 13 / 255, False),
        (np.arange(20.0) * 13 - 1, False),
        (np.arange(20.0) * 14, False),
        (np.arange(20.0) % 10, False),
        (np.full(20, np.nan), False),
    ],
)
def test_pixels_that_nobody_scales_are_noted_and_stay(tmp_path, values, raw) -> None:
    path = saved(tmp_path, values.astype(np.float32).reshape(1, 1, 4, 5))
    found = read_input(path, GREY, Preprocessing())
    assert any("raw pixels" in note for note in found.notes) == raw
    np.testing.assert_array_equal(found.feeds["x"].ravel(), values.astype(np.float32))
    stack = read_instances([path], GREY, Preprocessing())
    assert stack.notes == found.notes
    asked = read_input(path, GREY, Preprocessing.of({}, scale=0.5))
    assert not any("raw pixels" in note for note in asked.notes)
