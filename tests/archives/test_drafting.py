"""Arrays that are written a few rows at a time are those that NumPy reads; they can be mapped."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onnxlin import FileError, archives
from onnxlin.archives.writing import ALIGNED

KINDS = ["<f4", "<f8", ">f4", "<f2", "<i8", "?"]


@given(
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5),
    st.sampled_from(KINDS),
    st.integers(1, 4),
    st.booleans(),
)
def test_rows_come_back_whole(shape: tuple[int, ...], kind: str, size: int, fortran: bool) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(kind, order="F" if fortran else "C")
    file = io.BytesIO()
    with archives.drafting(file) as draft:
        with draft.growing("rows", array.shape, array.dtype) as put:
            for start in range(0, len(array), size):
                put(array[start : start + size])
        draft.add("more", np.ones(3))
        draft.first("more")
    with np.load(io.BytesIO(file.getvalue()), allow_pickle=False) as found:
        assert found.files == ["more", "rows"]
        assert found["rows"].dtype == array.dtype
        np.testing.assert_array_equal(found["rows"], array)
    np.testing.assert_array_equal(archives.read(file)["rows"], array)


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0/\\"), max_size=40),
        hnp.arrays(np.float32, st.integers(0, 9)),
        max_size=4,
    )
)
def test_numbers_begin_at_multiples_whatever_the_names(found: dict[str, Any]) -> None:
    file = io.BytesIO()
    archives.write(file, found)
    data = file.getvalue()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            lengths = struct.unpack_from("<HH", data, member.header_offset + 26)
            begin = member.header_offset + 30 + sum(lengths)
            assert begin % ALIGNED == 0
            assert data[begin : begin + 6] == b"\x93NUMPY"
        assert archive.testzip() is None


def test_too_few_rows_are_no_array(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with (
        pytest.raises(ValueError, match="24 bytes of 'rows' were put, of 48"),
        archives.drafting(path) as draft,
        draft.growing("rows", (2, 3), np.dtype(np.float64)) as put,
    ):
        put(np.ones((1, 3)))
    assert os.listdir(tmp_path) == []


def test_what_is_written_is_mapped_before_and_after_it_has_its_name(tmp_path: Path) -> None:
    path, array = tmp_path / "a.npz", np.arange(12.0).reshape(4, 3)
    with archives.drafting(path) as draft:
        with draft.growing("rows", (4, 3), array.dtype) as put:
            put(array)
        mapped = draft.mapped("rows")
        np.testing.assert_array_equal(mapped, array)
        draft.add("more", np.ones(3))
    found = archives.read(path, ("rows",))
    np.testing.assert_array_equal(found["more"], np.ones(3))
    for one in (mapped, found["rows"]):
        assert isinstance(one, np.memmap)
        assert one.flags.aligned
        np.testing.assert_array_equal(one, array)
        with pytest.raises(ValueError, match="read-only"):
            one[0, 0] = 1
    archives.write(path, {"rows": -array})
    np.testing.assert_array_equal(mapped, array)


def test_arrays_of_numpy_s_own_files_are_mapped_in_either_order(tmp_path: Path) -> None:
    path, array = tmp_path / "a.npz", np.arange(12.0).reshape(4, 3)
    np.savez(path, turned=np.asfortranarray(array), rows=array, none=np.zeros((0, 3)))
    found = archives.read(path, ("turned", "rows", "none"))
    for name in ("turned", "rows"):
        assert isinstance(found[name], np.memmap)
        np.testing.assert_array_equal(found[name], array)
    assert found["none"].shape == (0, 3)
    assert not found["none"].flags.writeable


def test_what_is_packed_is_not_mapped(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", rows=np.ones(9))
    with pytest.raises(FileError, match="array 'rows' in it is packed"):
        archives.read(tmp_path / "a.npz", ("rows",))
    assert archives.read(tmp_path / "a.npz")["rows"].sum() == 9


def test_sizes_of_what_is_mapped_are_not_believed(tmp_path: Path) -> None:
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (%d,), }"
    for size in (10**12, 10**30, 3):
        path = tmp_path / "a.npz"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("rows.npy", (header % size).ljust(127) + b"\n" + bytes(16))
        with pytest.raises(FileError, match="array 'rows' has"):
            archives.read(path, ("rows",))
