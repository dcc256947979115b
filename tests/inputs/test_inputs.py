"""Files become exactly the tensors that the model takes, or an error that says what to do."""

from __future__ import annotations

import builtins
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onnxlin import InputError, ModelError, OnnxlinError, OptionError
from onnxlin.graph import TensorType
from onnxlin.inputs import Geometry, Preprocessing, find_geometry, guess_geometry, read_input

Image = pytest.importorskip("PIL.Image")
FLOAT = onnx.TensorProto.FLOAT


def kind(*shape) -> TensorType:
    return TensorType(FLOAT, shape or None)


def saved(folder: Path, pixels: np.ndarray, mode: str | None = None, name: str = "p.png") -> Path:
    Image.fromarray(pixels).convert(mode).save(folder / name)
    return folder / name


def read(path: Path, shape: tuple, **options) -> np.ndarray:
    return read_input(path, {"x": kind(*shape)}, Preprocessing.of({}, **options)).feeds["x"]


colours = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=4, max_side=7)
).map(lambda plane: np.stack([plane, plane[::-1], 255 - plane], axis=-1))
numbers = st.floats(-4, 4).filter(lambda v: abs(v) > 1e-3)


@given(colours, numbers, st.tuples(*[numbers] * 3), st.tuples(*[numbers] * 3))
def test_scale_mean_std_and_order_are_a_formula(
    tmp_path_factory, picture, scale, mean, std
) -> None:
    path = saved(tmp_path_factory.mktemp("p"), picture)
    h, w = picture.shape[:2]
    options = {"scale": scale, "mean": mean, "std": std}
    plain = ((picture * scale - np.array(mean)) / np.array(std)).astype(np.float32)
    swapped = ((picture[..., ::-1] * scale - np.array(mean)) / np.array(std)).astype(np.float32)
    np.testing.assert_array_equal(read(path, (1, h, w, 3), **options)[0], plain)
    np.testing.assert_array_equal(read(path, (1, 3, h, w), **options)[0], plain.transpose(2, 0, 1))
    np.testing.assert_array_equal(
        read(path, (1, 3, h, w), channels="bgr", **options)[0], swapped.transpose(2, 0, 1)
    )


@given(hnp.arrays(np.uint8, (5, 6)))
def test_grey_and_colour_convert_both_ways(tmp_path_factory, plane) -> None:
    folder = tmp_path_factory.mktemp("p")
    grey, colour = saved(folder, plane), saved(folder, plane, "RGB", "c.png")
    expected = (plane / 255).astype(np.float32)
    for path in (grey, colour):
        np.testing.assert_allclose(read(path, (1, 1, 5, 6))[0, 0], expected, rtol=1e-6)
        for channel in read(path, (1, 3, 5, 6), channels="gray")[0]:
            np.testing.assert_allclose(channel, expected, rtol=1e-6)
    assert read(grey, (1, 3, 5, 6)).shape == (1, 3, 5, 6)


@given(st.sampled_from(["nchw", "nhwc"]), st.sampled_from([1, 3]), st.data())
def test_places_agree_with_the_tensor(layout, channels, data) -> None:
    h, w = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    shape = (1, channels, h, w) if layout == "nchw" else (1, h, w, channels)
    geometry = Geometry(shape, layout, channels, h, w)
    tensor = np.arange(channels * h * w).reshape(shape)
    planes = geometry.to_picture(tensor)
    assert planes.shape == (channels, h, w)
    for index in range(tensor.size):
        assert planes[geometry.place(index)] == tensor.flat[index]
    np.testing.assert_array_equal(geometry.to_tensor(np.moveaxis(planes, 0, -1)), tensor)


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((1, 3, 8, 6), {}, ("nchw", 3, 8, 6)),
        ((1, 8, 6, 3), {}, ("nhwc", 3, 8, 6)),
        ((None, 8, 6, 3), {}, ("nhwc", 3, 8, 6)),
        (("n", 1, "h", "w"), {}, ("nchw", 1, 5, 7)),
        ((1, None, None, None), {}, ("nchw", 3, 5, 7)),
        ((1, None, None, None), {"channels": 1}, ("nchw", 1, 5, 7)),
        ((1, None, None, None), {"layout": "nhwc"}, ("nhwc", 3, 5, 7)),
        ((1, 8, 6, None), {}, ("nhwc", 3, 8, 6)),
        ((3, 8, 6), {}, ("nchw", 3, 8, 6)),
        ((8, 6, 3), {}, ("nhwc", 3, 8, 6)),
        ((3, None, None), {}, ("nchw", 3, 5, 7)),
        ((8, 6), {}, ("nchw", 1, 8, 6)),
        ((1, 35), {}, ("nchw", 1, 5, 7)),
        ((None, 105), {}, ("nchw", 3, 5, 7)),
        ((1, 105), {"layout": "nhwc"}, ("nhwc", 3, 5, 7)),
        ((784,), {}, ("nchw", 1, 28, 28)),
        ((1, 784, 1), {}, ("nchw", 1, 28, 28)),
        ((1, 3072), {}, ("nchw", 3, 32, 32)),
        ((), {}, ("nchw", 3, 5, 7)),
    ],
)
def test_layout_is_read_off_the_shape(shape, options, expected) -> None:
    found = find_geometry("x", kind(*shape), (5, 7, 3), **options)
    assert (found.layout, found.channels, found.height, found.width) == expected
    assert np.prod(found.shape) == np.prod(expected[1:])


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 7, 8, 6), "neither the first nor the last axis"),
        ((2, 3, 8, 6), "not the shape of one picture"),
        ((1, 1, 1, 8, 6), "not the shape of one picture"),
        ((1, 1009), "neither the picture's 7 x 5 nor a square"),
    ],
)
def test_shapes_that_are_no_picture_are_refused(shape, words) -> None:
    with pytest.raises(InputError, match=words):
        find_geometry("x", kind(*shape), (5, 7, 3))


def test_channels_other_than_1_or_3_are_refused() -> None:
    with pytest.raises(InputError, match="4 channels as NCHW"):
        find_geometry("x", kind(1, 4, 8, 6), (5, 7, 3), "nchw")


def test_guesses_only_what_is_clear() -> None:
    assert str(guess_geometry((1, 3, 8, 6))) == "NCHW, 3 x 8 x 6"
    assert str(guess_geometry((1, 8, 6, 1))) == "NHWC, 1 x 8 x 6"
    for shape in [(3, 8, 6), (2, 3, 8, 6), (1, 5, 8, 6), (1, 3, 3, 3)]:
        assert guess_geometry(shape) is None


def test_resizing(tmp_path) -> None:
    wide = np.zeros((4, 12), np.uint8)
    wide[:, 4:8] = 255
    path = saved(tmp_path, wide)
    np.testing.assert_array_equal(read(path, (1, 1, 4, 4))[0, 0], 1)  # the centre
    fitted = read(path, (1, 1, 4, 4), resize="fit")[0, 0]
    assert fitted[0, 0] < fitted[0, 1]
    with pytest.raises(InputError, match="The picture is 12 x 4; the model takes 4 x 4"):
        read(path, (1, 1, 4, 4), resize="none")
    notes = read_input(path, {"x": kind(1, 1, 4, 4)}).notes
    assert notes[0] == "resized and centre-cropped 12 x 4 -> 4 x 4 (bilinear)"
    assert notes[1] == "gray, scale 1/255, as NCHW, 1 x 4 x 4"


def test_transparency_lies_over_white(tmp_path) -> None:
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[0, 0] = (10, 20, 30, 255)
    path = saved(tmp_path, clear)
    found = read(path, (1, 4, 4, 3), scale=1.0)[0]
    assert found[0, 0].tolist() == [10, 20, 30]
    assert (found[1:] == 255).all()


def test_metadata_gives_defaults_and_options_win() -> None:
    text = json.dumps({"scale": 1, "mean": [1, 2, 3], "std": 2, "layout": "NHWC"})
    told = Preprocessing.of({"preprocessing": text}, scale=None, mean=None)
    assert told == Preprocessing(1.0, (1.0, 2.0, 3.0), (2.0,), layout="nhwc")
    assert Preprocessing.of({"preprocessing": text}, scale=0.5).scale == 0.5
    assert told.describe(3) == "rgb, scale 1, mean 1,2,3, std 2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "it is no JSON:"),
        ("[1]", "it is no JSON object"),
        ('{"gamma": 2}', r"\['gamma'\] are not among"),
        ('{"std": 0}', "scale and std other than 0"),
        ('{"mean": "a"}', "could not convert"),
        ('{"layout": "chwn"}', "layout='chwn'; expected one of"),
    ],
)
def test_metadata_that_cannot_be_used_is_refused(text, words) -> None:
    with pytest.raises(ModelError, match=words):
        Preprocessing.of({"preprocessing": text})


def test_options_that_cannot_be_used_are_refused(tmp_path) -> None:
    with pytest.raises(OptionError, match="finite numbers"):
        Preprocessing(scale=float("nan"))
    path = saved(tmp_path, np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match="mean has 3 numbers; the model's input has 1 channel"):
        read(path, (1, 1, 4, 4), mean=(1.0, 2.0, 3.0))
    with pytest.raises(InputError, match="channels='bgr', but input 'x'"):
        read(path, (1, 1, 4, 4), channels="bgr")


def test_arrays(tmp_path) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "one.npz", anything=x)
    np.savez(tmp_path / "two.npz", a=x, b=x[0])
    for file in ("a.npy", "one.npz"):
        whole = read_input(tmp_path / file, {"x": kind(2, 3)})
        np.testing.assert_array_equal(whole.feeds["x"], x)
        assert read_input(tmp_path / file, {"x": kind(None, 2, 3)}).feeds["x"].shape == (1, 2, 3)
        assert read_input(tmp_path / file, {"x": kind("n", 2, 3)}).feeds["x"].shape == (1, 2, 3)
        assert read_input(tmp_path / file, {"x": kind(4, 2, 3)}).feeds["x"].shape == (2, 3)
        assert read_input(tmp_path / file, {"x": kind()}).feeds["x"].shape == (2, 3)
    both = read_input(tmp_path / "two.npz", {"a": kind(2, 3), "b": kind(1, 3)})
    assert [value.shape for value in both.feeds.values()] == [(2, 3), (1, 3)]


def test_an_array_that_looks_like_a_picture_is_one(tmp_path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((1, 3, 8, 9), np.float32))
    found = read_input(tmp_path / "a.npy", {"x": kind(1, 3, 8, 9)})
    assert found.tensor == "x"
    assert found.geometry == Geometry((1, 3, 8, 9), "nchw", 3, 8, 9)


@pytest.mark.parametrize(
    ("text", "shape", "size", "names"),
    [
        ("1,2,3\n", (1, 3), 3, ()),
        ("a, b,c\n1,2,3\n", (None, 3), 3, ("a", "b", "c")),
        ("1,2,3\n4,5,6\n", ("n", 3), 6, ()),
        ("1,2,3\n4,5,6\n", (1, 2, 3), 6, ()),
        ("a,b,c\n1,2,3\n4,5,6\n", (6,), 6, ()),
        ("1\n2\n3\n", (3,), 3, ()),
        ("1,2,3", (), 3, ()),
    ],
)
def test_tables(tmp_path, text, shape, size, names) -> None:
    (tmp_path / "t.csv").write_text(text)
    found = read_input(tmp_path / "t.csv", {"x": kind(*shape)})
    np.testing.assert_array_equal(found.feeds["x"].ravel(), np.arange(1, size + 1))
    assert found.feeds["x"].dtype == np.float32
    assert found.names == names


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", "", "is empty; expected a table"),
        ("t.csv", "a,b\n", "has a header and no numbers"),
        ("t.csv", "1,2\n3\n", "row 2: 1 cells, where the first row has 2"),
        ("t.csv", "a,b\n1,z\n", "row 2, column 'b': 'z' is no number"),
        ("t.tsv", "1\t2\n", "holds 1 x 2 numbers; the model takes float32"),
        ("t.csv", b"\xff\xfe\xfa", "is not a readable table"),
        ("t.npy", "no", "is not a readable .npy file"),
        ("t.npz", "no", "is not a readable .npz file"),
        ("t.png", "no", "is not a readable picture"),
        ("t.doc", "no", "ends in '.doc'; expected .npy"),
        ("t", "no", "ends in 'nothing'; expected .npy"),
    ],
)
def test_unreadable_files_are_refused(tmp_path, name, content, words) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=words):
        read_input(tmp_path / name, {"x": kind(1, 3)})


def test_what_does_not_fit_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="No such input file"):
        read_input(tmp_path / "none.png", {"x": kind(1, 3)})
    np.savez(tmp_path / "z.npz", a=np.zeros(3))
    (tmp_path / "z.npz").rename(tmp_path / "z.npy")
    with pytest.raises(InputError, match=r"holds several arrays; call it \.npz"):
        read_input(tmp_path / "z.npy", {"x": kind(1, 3)})
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(InputError, match="holds one tensor, but the model has 2 inputs"):
        read_input(tmp_path / "a.npy", {"x": kind(1, 3), "y": kind(2)})
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(InputError, match="more than 8 bits a channel"):
        read_input(tmp_path / "deep.png", {"x": kind(1, 1, 4, 4)})


def test_without_pillow_pictures_say_what_to_install(tmp_path, monkeypatch) -> None:
    path, real = saved(tmp_path, np.zeros((4, 4), np.uint8)), builtins.__import__

    def without(name, *rest):
        if name == "PIL":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OnnxlinError, match=r'pip install "onnxlin\[cli\]"'):
        read_input(path, {"x": kind(1, 1, 4, 4)})
