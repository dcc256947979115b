"""run writes the store that the library writes, and says how it went."""

from __future__ import annotations

import json

import numpy as np
import pytest

from onnxlin import data as runs
from tests.data.stores import LENET, digits

for package in ("zarr", "xarray", "distributed", "pyarrow"):
    pytest.importorskip(package)


@pytest.fixture
def stack(tmp_path) -> str:
    np.save(tmp_path / "xs.npy", digits(6))
    return str(tmp_path / "xs.npy")


def test_run_prints_what_a_person_asks_for(run, stack) -> None:
    code, out, err = run("run", str(LENET), stack, "--out", "made.zarr", "--chunk", "4")
    assert (code, err) == (0, "")
    for words in (
        "6 samples",
        "PASS  W x + b equals F(x) within its bound at 6 of 6 samples; largest residual",
        "wrote made.zarr; xarray.open_zarr reads it",
    ):
        assert words in out
    assert runs.open("made.zarr")["contributions"].shape == (6, 1, 28, 28)
    code, _, err = run("run", str(LENET), stack, "--out", "made.zarr")
    assert code == 1
    assert "Give resume=True (--resume) to go on with it" in err


def test_failed_samples_are_exit_code_4(run, tmp_path) -> None:
    xs = digits(9)
    xs[:7, 0, 0, 0] = np.nan
    np.save(tmp_path / "bad.npy", xs[::-1])
    words = ("run", str(LENET), str(tmp_path / "bad.npy"), "--out", "made.zarr")
    code, out, _ = run(*words, "--what", "ledger", "--rows", "0,3")
    assert code == 4
    assert "FAIL  W x + b equals F(x) within its bound at 2 of 9 samples" in out
    assert "sample 2: InputError" in out
    assert "and 2 more; samples.parquet has them" in out
    code, out, _ = run(*words, "--what", "ledger", "--rows", "0,3", "--resume", "--json")
    found = json.loads(out)
    assert code == 4
    assert (found["samples"], found["failed"], found["made"]) == (9, 7, 0)
    assert [each["sample"] for each in found["errors"]] == [2, 3, 4, 5, 6]


def test_what_cannot_be_asked(run, stack) -> None:
    for more, words in {
        ("--rows", "best"): "--rows 'best': expected",
        ("--what", "weights"): "what=",
        ("--what", "audit"): "give maps=",
    }.items():
        code, _, err = run("run", str(LENET), stack, "--out", "made.zarr", *more)
        assert code == 1
        assert words in err
    assert run("run", str(LENET), stack)[0] == 2


def test_limit_and_labels(run_json, stack, tmp_path) -> None:
    (tmp_path / "labels.txt").write_text("\n".join("012345"))
    found = run_json(
        "run", str(LENET), stack, "--out", "made.zarr", "--limit", "4", "--rows", "labels",
        "--labels", str(tmp_path / "labels.txt"), "--dtype", "float16",
    )  # fmt: skip
    assert found["samples"] == 4
    assert runs.open("made.zarr")["explained"].values.tolist() == [0, 1, 2, 3]
