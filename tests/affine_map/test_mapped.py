"""A map whose W stays in its file: what of it is read, and what is refused."""

from __future__ import annotations

import io
import mmap
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from onnxlin import AffineMap, Linearizer, ModelError, OptionError, linearize
from onnxlin.affine_map import stored
from onnxlin.affine_map.wide import LARGE, by_rows, let_go, some_rows
from tests.affine_map.test_stored import arrays, assert_same, good
from tests.small import X, mlp


@cache
def spoilt() -> list[bytes]:
    """Files with a byte changed or an end cut off."""
    data, rng = good(), np.random.default_rng(1)
    found = [data[:n] for n in range(0, len(data), 31)]
    for at in range(0, len(data), 3):
        other = bytearray(data)
        other[at] ^= 1 << int(rng.integers(8))
        found.append(bytes(other))
    return found


def test_damage_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    m, refused, path = AffineMap.load(io.BytesIO(good())), 0, tmp_path / "m.npz"
    for data in spoilt():
        path.unlink(missing_ok=True)  # not into what is mapped
        path.write_bytes(data)
        try:
            again = AffineMap.load(path, mmap=True)
        except ModelError:
            refused += 1
        else:
            assert_same(again, m)
    assert refused > 2 / 3 * len(spoilt())


@pytest.mark.parametrize("summed", [True, False])
def test_numbers_of_another_w_are_refused(tmp_path: Path, summed: bool) -> None:
    """By the residual, even with a checksum of their own."""
    found = arrays(good())
    W = found["W"].copy()
    W[0, 0] += 0.5
    other = {name: value for name, value in {**found, "W": W}.items() if name != "sha256"}
    if summed:
        other["sha256"] = np.array(stored.checksum(other))
    np.savez(tmp_path / "m.npz", **other)
    with pytest.raises(ModelError, match="residual"):
        AffineMap.load(tmp_path / "m.npz", mmap=True)


def test_files_of_older_versions_and_other_writers(tmp_path: Path) -> None:
    found = arrays(good())
    m = AffineMap.load(io.BytesIO(good()))
    np.savez(tmp_path / "numpy.npz", **found)
    np.savez(tmp_path / "turned.npz", **{**found, "W": np.asfortranarray(found["W"])})
    swapped = {k: v.astype(v.dtype.newbyteorder(">")) for k, v in found.items()}
    np.savez(tmp_path / "swapped.npz", **swapped)
    for name in ("numpy", "turned", "swapped"):
        assert_same(AffineMap.load(tmp_path / name, mmap=True), m)
    np.savez(tmp_path / "old.npz", **{k: v for k, v in found.items() if k != "sha256"})
    assert AffineMap.load(tmp_path / "old", mmap=True).notes == (stored.UNCHECKED,)
    np.savez_compressed(tmp_path / "packed.npz", **found)
    with pytest.raises(ModelError, match="'W' in it is packed"):
        AffineMap.load(tmp_path / "packed", mmap=True)


def test_what_has_no_name_cannot_be_mapped() -> None:
    with pytest.raises(OptionError, match=r"mmap=True needs the name of a file"):
        AffineMap.load(io.BytesIO(good()), mmap=True)
    with pytest.raises(OptionError, match=r"'/dev/zero' is a pipe or a device"):
        AffineMap.load("/dev/zero", mmap=True)


def test_w_comes_first_of_all_names() -> None:
    """So its checksum can be taken while it is written, before anything else is known."""
    assert min(stored.KNOWN) == "W"


# A few rows at a time


def test_sums_do_not_depend_on_how_w_lies_in_memory(fixtures: Path) -> None:
    x = np.random.default_rng(0).random((1, 1, 28, 28))
    W = Linearizer(fixtures / "lenet5_mnist.onnx")(x).W
    sums = [by_rows(v, lambda v: v @ x.ravel()) for v in (W, np.asfortranarray(W))]
    np.testing.assert_array_equal(*sums)


def test_some_rows_are_all_rows() -> None:
    W = np.arange(3.0 * LARGE // 2 // 2**10 * 2**10).reshape(-1, 2**10)
    assert [len(part) for part in some_rows(W)] == [1024, 512]
    np.testing.assert_array_equal(np.concatenate(list(some_rows(W))), W)
    rows = np.arange(len(W))[::-3]
    np.testing.assert_array_equal(np.concatenate(list(some_rows(W, rows))), W[rows])
    assert list(some_rows(W[:0])) == []
    both = by_rows(W, lambda part: part[:, :2])
    np.testing.assert_array_equal(both, W[:, :2])


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")
def test_pages_that_have_been_read_are_let_go_of(tmp_path: Path) -> None:
    path = tmp_path / "W"
    path.write_bytes(np.ones(2**20).tobytes())
    W = np.memmap(path, np.float64, "r").reshape(2**10, 2**10)

    def resident() -> int:
        lines = iter(Path("/proc/self/smaps").read_text().splitlines())
        next(line for line in lines if line.endswith(str(path)))
        return int(next(line for line in lines if line.startswith("Rss")).split()[1])

    assert W.sum() == 2**20
    assert resident() == 2**13
    let_go(W[3:])
    assert resident() == 0
    assert W.sum() == 2**20  # they are there


def test_a_system_that_takes_no_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(mmap, "MADV_DONTNEED", raising=False)
    m = linearize(mlp(), X, save=tmp_path / "m")
    assert m.verify().verdict == "PASS"
