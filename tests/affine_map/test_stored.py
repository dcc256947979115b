"""A map comes back from its file as it was, or not at all."""

from __future__ import annotations

import io
import json
import os
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import onnxlin
from onnxlin import AffineMap, ModelError, limits, linearize
from onnxlin.affine_map import stored
from onnxlin.testing import GrownModel, onnx_models
from tests.small import X, mlp

NAMES = ("W", "b", "x", "y", "residual", "Wx", "scale")


def assert_same(again: AffineMap, m: AffineMap) -> None:
    for name in NAMES:
        found, expected = getattr(again, name), getattr(m, name)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    for name in ("mode", "rounding", "engine", "plan", "notes", "dtype", "shapes"):
        assert getattr(again, name) == getattr(m, name)
    for name in ("inputs", "outputs", "own_outputs", "bias_by_node"):
        found, expected = getattr(again, name), getattr(m, name)
        assert list(found) == list(expected)
        for key, value in expected.items():
            np.testing.assert_array_equal(found[key], value)
    for one, other in ((again.rows.index, m.rows.index), (again.rows.matrix, m.rows.matrix)):
        assert (one is None) == (other is None)
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(again.known_bound, m.known_bound)


@given(onnx_models(), st.sampled_from(["all", "first", "none", "sum"]), st.booleans(), st.data())
def test_what_is_saved_is_loaded(
    grown: GrownModel, which: str, verified: bool, data: st.DataObject
) -> None:
    lin = onnxlin.Linearizer(grown.model)
    m = lin(grown.x)
    n = len(m.y)
    rows = {"all": None, "first": [0] * (n > 0), "none": [], "sum": np.ones((2, n))}[which]
    m = lin(grown.x, rows, dtype=data.draw(st.sampled_from([np.float32, np.float64])))
    if verified:
        m.error_bound  # noqa: B018
    file = io.BytesIO()
    m.save(file)
    again = AffineMap.load(file)
    assert_same(again, m)
    once_more = io.BytesIO()
    again.save(once_more)
    assert once_more.getvalue() == file.getvalue()


def test_a_map_whose_w_has_overflowed_comes_back(tmp_path) -> None:
    from tests.small import model

    text = "g (float[1] x) => (float[1] y) <float[1] c = {1e30}> { h = Mul(x, c) y = Mul(h, c) }"
    with np.errstate(all="ignore"):
        m = linearize(model(text), np.zeros(1))
        assert not np.isfinite(m.W).all()
        m.save(tmp_path / "m")
        again = AffineMap.load(tmp_path / "m")
    np.testing.assert_array_equal(again.W, m.W)


# Names


@pytest.mark.parametrize("name", ["m", "m.npz", "m.dat", "m.d/m", ".npz"])
def test_save_and_load_agree_on_the_name(tmp_path, name) -> None:
    (tmp_path / "m.d").mkdir()
    m = linearize(mlp(), X)
    for kind in (str, Path):
        path = kind(tmp_path / name)
        m.save(path)
        assert_same(AffineMap.load(path), m)
    os.rename(f"{tmp_path}/{name}".removesuffix(".npz") + ".npz", tmp_path / "renamed")
    assert_same(AffineMap.load(tmp_path / "renamed"), m)
    (tmp_path / "folder").mkdir()
    m.save(tmp_path / "folder")
    assert_same(AffineMap.load(tmp_path / "folder"), m)


# What does not fit


@cache
def good() -> bytes:
    file = io.BytesIO()
    linearize(mlp(), X).verify().save(file)
    return file.getvalue()


@cache
def by_rows_combined() -> bytes:
    file = io.BytesIO()
    linearize(mlp(), X, rows=[[1.0, 2.0], [0.5, -1.0]]).save(file)
    return file.getvalue()


def arrays(data: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return dict(file)


def packed(found: dict[str, np.ndarray], *, summed: bool = False) -> io.BytesIO:
    """Write a file as NumPy does; ``summed`` with a checksum of its own, else with none."""
    kept = {name: value for name, value in found.items() if name != "sha256"}
    file = io.BytesIO()
    np.savez(file, **kept, **({"sha256": np.array(stored.checksum(kept))} if summed else {}))
    return file


def refused(file: io.BytesIO, words: str | None = None) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        AffineMap.load(file)
    assert "the open file is not a saved AffineMap: " in str(caught.value)
    assert "Save the map again." in str(caught.value)


def changed(name: str, value: np.ndarray) -> Iterator[np.ndarray]:
    """An array, spoilt in ways that a careless tool would."""
    if value.dtype.kind == "U":
        return
    yield value[..., None]
    yield value.astype(np.int32)
    yield value.astype(np.complex128)
    if value.size:
        yield value[:-1]
        yield np.concatenate([value, value])
        for spoil in (np.nan, np.inf, 7) if value.dtype.kind == "f" else (-1, 99):
            other = value.copy()
            other.flat[-1] = spoil
            yield other
        if name not in ("row_index", "bound"):
            yield value * 1.5 + 0.25


@pytest.mark.parametrize("summed", [True, False])
@pytest.mark.parametrize("made", [good, by_rows_combined])
def test_arrays_that_do_not_fit_each_other_are_refused(made, summed: bool) -> None:
    """Even where whoever changed them wrote a checksum of his own."""
    found = arrays(made())
    assert AffineMap.load(packed(found, summed=summed)).detached
    cases = 0
    for name, value in found.items():
        if name not in ("bound", "sha256"):
            refused(packed({k: v for k, v in found.items() if k != name}, summed=summed))
        for other in changed(name, value):
            # Only its shape is known of a bound, and another row of the same map is a map.
            if name == "bound" and other.shape == value.shape and other.dtype == value.dtype:
                continue
            refused(packed({**found, name: other}, summed=summed))
            cases += 1
    assert cases > 50
    refused(packed({**found, "W": np.array([None])}, summed=False), "no plain numbers")


def test_changed_numbers_have_another_checksum() -> None:
    found = arrays(good())
    for name in set(found) - {"sha256", "about"}:
        other = found[name].copy()
        other.flat[0] += 1
        file = io.BytesIO()
        np.savez(file, **{**found, name: other})
        refused(file, "its checksum '[0-9a-f]{16}' is not that of its numbers")


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("version", [None, 0, "1", 2, True, 1.5]),
        ("format", [None, "other", 3]),
        ("inputs", [None, [], {}, {"x": 3}, {"x": [-1]}, {"x": [True]}, {"x": [2.0]}, {"x": [9]},
                    {"x": [2**70, 0]}, {"x": [2**62, 4]}]),
        ("outputs", [None, [], {}, {"y": [1]}, {"y": "2"}]),
        ("mode", [None, 3, []]), ("engine", [None, {}]), ("plan", [None, 1]), ("rounding", [1]),
        ("notes", ["text", [1], {}, 3]),
        ("bias_nodes", [None, "ab", [1, 2], [], ["same", "same"]]),
    ],
)  # fmt: skip
def test_a_text_that_does_not_fit_is_refused(key: str, values: list[object]) -> None:
    found = arrays(good())
    about = json.loads(str(found["about"]))
    for value in values:
        for summed in (True, False):
            text = json.dumps({**about, key: value})
            refused(packed({**found, "about": np.array(text)}, summed=summed))
    if key not in ("notes", "rounding"):
        del about[key]
        refused(packed({**found, "about": np.array(json.dumps(about))}))


@pytest.mark.parametrize("text", ["[]", "3", "{", "null", "[" * 100_000, '"about"', ""])
def test_a_text_of_another_kind_is_refused(text: str) -> None:
    refused(packed({**arrays(good()), "about": np.array(text)}))


def test_a_file_without_checksum_loads_and_says_so() -> None:
    m, found = AffineMap.load(io.BytesIO(good())), arrays(good())
    about = json.loads(str(found["about"]))
    for key in ("notes", "rounding"):  # older yet
        del about[key]
    again = AffineMap.load(packed({**found, "about": np.array(json.dumps(about))}))
    assert again.notes == (stored.UNCHECKED,)
    assert m.notes == ()
    np.testing.assert_array_equal(again.W, m.W)
    file = io.BytesIO()
    again.save(file)
    assert AffineMap.load(file).notes == again.notes  # once, and it stays


def test_arrays_of_another_order_of_bytes_are_the_same_map() -> None:
    found = {k: v.astype(v.dtype.newbyteorder(">")) for k, v in arrays(good()).items()}
    file = io.BytesIO()
    np.savez(file, **found)
    again = AffineMap.load(file)
    assert_same(again, AffineMap.load(io.BytesIO(good())))
    assert again.W.dtype.isnative


# Damaged archives


def test_every_byte_flipped_or_cut_off_is_refused_or_changes_nothing() -> None:
    data, m = good(), AffineMap.load(io.BytesIO(good()))
    rng = np.random.default_rng(0)
    spoilt = [data[:n] for n in range(0, len(data), 7)]
    for at in range(len(data)):
        other = bytearray(data)
        other[at] ^= 1 << int(rng.integers(8))
        spoilt.append(bytes(other))
    loaded = 0
    for other in spoilt:
        try:
            again = AffineMap.load(io.BytesIO(other))
        except ModelError:
            continue
        assert_same(again, m)
        loaded += 1
    assert loaded < len(spoilt) / 3  # dates and the like


@given(st.binary(max_size=400), st.booleans())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_are_a_model_error(data: bytes, zipped: bool) -> None:
    file = io.BytesIO()
    if zipped:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("about.npy", data)
    else:
        file.write(data)
    refused(file)


def test_members_that_numpy_does_not_write_are_refused() -> None:
    with zipfile.ZipFile(io.BytesIO(good())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, words in {
        "../../W.npy": "no part of a map", "/etc/W.npy": "no part of a map",
        "W.txt": "is no array", "folder/": "is no array", "W.npy": "2 arrays have the name",
    }.items():  # fmt: skip
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that are there twice
            for kept, data in members.items():
                if kept != "sha256.npy":
                    archive.writestr(kept, data)
            archive.writestr(name, members["W.npy"])
        refused(file, words)
    for packing in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", packing) as archive:
            for kept, data in members.items():
                archive.writestr(kept, data)
        refused(file, "packed in a way that NumPy does not write")
    for longer in (members["W.npy"] + b"\0", members["W.npy"][:-1]):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for kept, data in {**members, "W.npy": longer}.items():
                archive.writestr(kept, data)
        refused(file, "but .* are there")
    file = io.BytesIO()
    np.savez_compressed(file, **arrays(good()))
    assert AffineMap.load(file).detached  # deflate is NumPy's, too


def claiming(data: bytes, size: int) -> io.BytesIO:
    """A file whose directory says that its first member unpacks to so many bytes."""
    place = data.index(b"PK\x01\x02") + 24
    return io.BytesIO(data[:place] + struct.pack("<I", size) + data[place + 4 :])


def test_sizes_that_a_file_claims_are_not_believed() -> None:
    refused(claiming(good(), 2**32 - 2), "claims 4,294,967,294 bytes, which its .* cannot hold")
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (%d,), }"
    for size in (10**12, 10**30, 2**64):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("about.npy", (header % size).ljust(127) + b"\n")
        refused(file, "array 'about' has")


def test_a_bomb_is_held_to_the_limit_before_it_is_unpacked() -> None:
    found = {**arrays(good()), "own_output": np.zeros(2_000_000)}
    file = io.BytesIO()
    np.savez_compressed(file, **found)
    assert len(file.getvalue()) < 50_000
    words = r"the open file unpacks to 16,.* bytes; the limit is 1,000,000 \(unpacked_bytes\)"
    with limits.raised(unpacked_bytes=1_000_000), pytest.raises(onnxlin.LimitError, match=words):
        AffineMap.load(file)
    refused(file)


def test_what_is_no_file_of_bytes_is_refused_at_once() -> None:
    with tempfile.TemporaryDirectory() as folder:
        pipe = Path(folder) / "pipe"
        os.mkfifo(pipe)
        for path in (pipe, "/dev/zero", folder):
            with pytest.raises(ModelError, match="not a file"):
                AffineMap.load(path)
        names = {"none": "No such file", "n" * 300: "name too long", "\0": "null"}
        for name, words in names.items():
            with pytest.raises(ModelError, match=words):
                AffineMap.load(f"{folder}/{name}")
