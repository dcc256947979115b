"""A run keeps of every sample what the readings say of its map, and never ends over one of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from unittest import mock

import numpy as np
import onnxruntime
import pytest

import onnxlin
from onnxlin import data as runs
from onnxlin.data import planned
from onnxlin.data.kept import Samples
from onnxlin.engines.confined import confined
from onnxlin.errors import DataError, FileError, InputError, OptionError, RegionError
from onnxlin.readings import Region, ledger
from onnxlin.readings.audit import audit
from onnxlin.readings.question.question import Question
from tests.data.stores import LENET, assert_same_stores, digits, with_kills
from tests.small import mlp, model

for package in ("zarr", "xarray", "distributed", "pyarrow"):
    pytest.importorskip(package)
pq, xarray = (pytest.importorskip(name) for name in ("pyarrow.parquet", "xarray"))


def ran(tmp_path, xs, name="made.zarr", at=LENET, **how):
    what = how.pop("what", ("contributions",))
    rows = how.pop("rows", "predicted")
    return runs.run(at, xs, tmp_path / name, what, rows, **how)


def table(tmp_path, name="made.zarr"):
    return pq.read_table(tmp_path / name / "samples.parquet").to_pydict()


@pytest.fixture(scope="module")
def maps():
    """Of the strongest row of each."""
    with confined(1):
        lin, xs = onnxlin.Linearizer(LENET), digits(16)
        rows = [int(lin.run(x[None])["logits"].argmax()) for x in xs]
        return list(lin.map(xs, engine="compiled", each=rows))


def test_every_quantity_is_that_of_its_reading(tmp_path, maps) -> None:
    xs = digits(16)
    explained = np.array([int(m.rows.index[0]) for m in maps])
    given = np.stack([m.W[0] * m.x for m in maps])
    given[3] += 1.0
    np.save(tmp_path / "maps.npy", given.reshape(16, 1, 28, 28).astype(np.float32))
    found = ran(
        tmp_path, xs, what=("contributions", "ledger", "region", "audit", "W"), chunk=16,
        maps=tmp_path / "maps.npy",
    )  # fmt: skip
    assert (found.samples, found.failed, found.made) == (16, 0, 16)
    ds = runs.open(tmp_path / "made.zarr")
    assert ds["contributions"].dims == ("sample", "channel", "row", "column")
    assert ds["y"].dims == ("sample", "output")
    np.testing.assert_array_equal(ds["explained"], explained)
    lin = onnxlin.Linearizer(LENET)
    for i, (m, k) in enumerate(zip(maps, explained, strict=True)):
        at = ds.isel(sample=i)
        np.testing.assert_array_equal(at["W"].values.ravel(), m.W[0])
        np.testing.assert_array_equal(at["contributions"].values.ravel(), m.contributions[0])
        np.testing.assert_array_equal(at["y"], m.own_outputs["logits"][0])
        # Summed in another order.
        np.testing.assert_allclose(at["Wx"], m.Wx[0], rtol=0, atol=1e-13 * m.scale[0])
        np.testing.assert_allclose(at["residual"], m.residual[0], rtol=0, atol=1e-13)
        assert at["b"] == m.b[0]
        shares = ledger(m).by_node
        for node in ds["node"].values:
            assert at["ledger"].sel(node=node) == shares.get(node, [0.0])[0]
        assert float(at["ledger"].sum()) == pytest.approx(m.b[0], abs=1e-12)
        if i < 4:
            region = Region(m)
            radius = region.radius()
            assert (at["region_lower"], at["region_upper"]) == (radius.lower, radius.upper)
            assert at["region_exact"] == radius.exact
            assert at["region_ties"] == region.ties
            assert f"{int(at['region_key']):016x}" == region.key[:16]
            own = audit(Question(lin, xs[i][None], int(k)), given[i].astype(np.float32))
            exact, sums = own.exact["W x"], {each.what: each for each in own.sums}
            assert at["audit_cosine"] == pytest.approx(exact.cosine, abs=1e-12)
            assert at["audit_gap_Wx"] == pytest.approx(sums["W x"].gap, abs=1e-9)
            assert at["audit_sums_to_Wx"] == sums["W x"].holds == (i != 3)


def test_all_rows_have_a_certificate(tmp_path) -> None:
    ran(tmp_path, digits(2), what="region", rows="all")
    with confined(1):
        m = onnxlin.Linearizer(LENET)(digits(2)[1][None])
    found = runs.open(tmp_path / "made.zarr")["certificate"][1]
    assert float(found) == pytest.approx(Region(m).certificate().radius, rel=1e-4)


def test_no_region_is_measured_before_the_first_chunk(tmp_path) -> None:
    """Of a deep net one takes seconds, and nobody would see it."""
    with mock.patch.object(Region, "radius", autospec=True, side_effect=Region.radius) as radius:
        ran(tmp_path, digits(3), what="region")
    assert radius.call_count == 3


def test_rows(tmp_path) -> None:
    xs, labels = digits(6), np.array([0, 1, 2, 3, 4, 9])
    ran(tmp_path, xs, "all.zarr", rows="all", chunk=4)
    ran(tmp_path, xs, "some.zarr", rows=(7, 2), chunk=4)
    ran(tmp_path, xs, "labels.zarr", rows="labels", labels=labels, chunk=4)
    whole = runs.open(tmp_path / "all.zarr")["contributions"].values
    some = runs.open(tmp_path / "some.zarr")
    own = runs.open(tmp_path / "labels.zarr")
    np.testing.assert_array_equal(some["output"], [7, 2])
    np.testing.assert_array_equal(own["explained"], labels)
    for i in range(6):
        size = np.abs(whole[i]).max() * 1e-5
        np.testing.assert_allclose(some["contributions"][i], whole[i][[7, 2]], atol=size)
        np.testing.assert_allclose(own["contributions"][i], whole[i][labels[i]], atol=size)
    assert table(tmp_path, "labels.zarr")["label"] == labels.tolist()
    with pytest.raises(InputError, match="Label 10 of sample 0 is no output"):
        ran(tmp_path, xs, "x.zarr", rows="labels", labels=np.full(6, 10))
    with pytest.raises(OptionError, match='rows="labels", and the data has none'):
        ran(tmp_path, xs, "x.zarr", rows="labels")


def test_xarray_opens_it_in_one_line(tmp_path) -> None:
    ran(tmp_path, digits(6), what=("contributions", "ledger"), chunk=4, dtype="float16")
    ds = xarray.open_zarr(tmp_path / "made.zarr")
    assert ds["contributions"].dtype == np.float16
    assert ds.attrs["mode"] == "tangent"
    assert ds.attrs["failed"] == 0
    assert ds.attrs["model_sha256"] == onnxlin.Linearizer(LENET).digest
    assert ds["ledger"].attrs["nodes"] == runs.open(tmp_path / "made.zarr")["node"].values.tolist()


def test_a_bad_sample_is_a_line_of_nan_and_no_end(tmp_path, monkeypatch) -> None:
    xs = digits(10)
    clean = digits(10)
    xs[3, 0, 5, 5], xs[8] = np.nan, np.inf
    found = ran(tmp_path, xs, chunk=5)
    ran(tmp_path, clean, "clean.zarr", chunk=5)
    assert (found.samples, found.failed) == (10, 2)
    ds, other = (runs.open(tmp_path / name) for name in ("made.zarr", "clean.zarr"))
    bad = np.isin(np.arange(10), [3, 8])
    np.testing.assert_array_equal(ds["failed"], bad)
    for name in ("contributions", "y", "Wx", "b", "residual"):
        values = ds[name].values.reshape(10, -1)
        assert np.isnan(values[bad]).all()
        assert np.isfinite(values[~bad]).all()
    np.testing.assert_array_equal(ds["y"][~bad], other["y"][~bad])
    errors = table(tmp_path)["error"]
    assert "NaN or infinite" in errors[3]
    assert errors[8]
    assert [i for i, text in enumerate(errors) if text] == [3, 8]


def test_a_residual_past_its_bound_is_a_failed_sample(tmp_path, monkeypatch) -> None:
    right = Samples.take

    def wrong(self, i, m, places):
        right(self, i, m, places)
        if i == 2:
            self.shares[i] += 1.0

    monkeypatch.setattr(Samples, "take", wrong)
    found = ran(tmp_path, digits(4), chunk=4)
    assert found.failed == 1
    assert "W x + b against F(x)" in table(tmp_path)["error"][2]


def test_it_goes_on_where_it_was_left(tmp_path) -> None:
    xs = digits(12)
    ran(tmp_path, xs, "whole.zarr", chunk=4)

    class StopError(Exception):
        pass

    def stop(done, total, text):
        assert total == 12
        if done >= 4:
            raise StopError

    with pytest.raises(StopError):
        ran(tmp_path, xs, chunk=4, progress=stop)
    with pytest.raises(OptionError, match="is there already"):
        ran(tmp_path, xs, chunk=4)
    found = ran(tmp_path, xs, resume=True)  # with the chunks that it has
    assert found.made == 8
    assert_same_stores(tmp_path / "made.zarr", tmp_path / "whole.zarr")
    assert ran(tmp_path, xs, resume=True).made == 0
    assert_same_stores(tmp_path / "made.zarr", tmp_path / "whole.zarr")


def test_resuming_says_what_differs(tmp_path) -> None:
    xs = digits(4)
    ran(tmp_path, xs, chunk=4)
    for words, changed in {
        "data ": {"xs": digits(4, seed=1)},
        "model ": {"at": LENET.with_name("cnn_mnist.onnx")},
        "what ": {"what": ("contributions", "ledger")},
        "rows ": {"rows": "all"},
        "chunk ": {"chunk": 2},
        "dtype ": {"dtype": "float16"},
        "count ": {"limit": 3},
        "threads ": {"threads": 2},
    }.items():
        with pytest.raises(OptionError, match=f"was begun with other .*{words}"):
            ran(tmp_path, **{"xs": xs, "resume": True, **changed})
    ran(tmp_path, digits(4, seed=1), overwrite=True, chunk=2)
    assert runs.open(tmp_path / "made.zarr").sizes["sample"] == 4


def test_memory_is_part_of_a_run_only_where_it_may_show(tmp_path) -> None:
    xs = digits(6)
    ran(tmp_path, xs, chunk=3)
    plenty = onnxlin.Linearizer(LENET, memory="4GiB", threads=1)
    assert ran(tmp_path, xs, at=plenty, resume=True).made == 0
    with pytest.raises(OptionError, match="was begun with other threads"):
        ran(tmp_path, xs, at=onnxlin.Linearizer(LENET, threads=2), resume=True)
    little = onnxlin.Linearizer(LENET, memory="200MiB")
    with pytest.raises(OptionError, match=r"was begun with other memory \(None, now '200MiB'\)"):
        ran(tmp_path, xs, at=little, resume=True)
    own = onnxlin.Linearizer(LENET, session_options=onnxruntime.SessionOptions())
    with pytest.raises(OptionError, match="was begun with other session_options"):
        ran(tmp_path, xs, at=own, resume=True)


def test_providers_are_part_of_a_run(tmp_path) -> None:
    xs = digits(4)
    chosen = onnxlin.Linearizer(LENET, providers=[("CPUExecutionProvider", {"use_arena": 1})])
    ran(tmp_path, xs, at=chosen, chunk=2)
    assert ran(tmp_path, xs, at=chosen, resume=True).made == 0
    with pytest.raises(OptionError, match="was begun with other providers"):
        ran(tmp_path, xs, at=onnxlin.Linearizer(LENET), resume=True)


def test_one_row_by_itself_is_the_same_with_any_memory(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(planned, "LITTLE", 0)
    for name, memory in (("little.zarr", "60MiB"), ("made.zarr", "1GiB")):
        ran(tmp_path, digits(3), name, at=onnxlin.Linearizer(LENET, memory=memory))
    assert_same_stores(tmp_path / "made.zarr", tmp_path / "little.zarr")


def test_what_is_no_store_is_left_alone(tmp_path) -> None:
    (tmp_path / "made.zarr").mkdir()
    (tmp_path / "made.zarr" / "letter.txt").write_text("dear")
    for how in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(OptionError, match=r"is there already|no store of results"):
            ran(tmp_path, digits(2), **how)
    assert (tmp_path / "made.zarr" / "letter.txt").read_text() == "dear"
    with pytest.raises(OptionError, match="There is no store of results"):
        runs.open(tmp_path / "none.zarr")


def test_options_are_checked(tmp_path) -> None:
    xs = digits(2)
    for words, how in {
        "what=": {"what": ("weights",)},
        "rows=": {"rows": "best"},
        "chunk": {"chunk": 0},
        "dtype=": {"dtype": "int8"},
        "There is no colour=": {"colour": 1},
        "give maps=": {"what": "audit"},
        "exclude each other": {"resume": True, "overwrite": True},
    }.items():
        with pytest.raises(OptionError, match=words):
            ran(tmp_path, xs, **how)
    with pytest.raises(onnxlin.RowsError):
        ran(tmp_path, xs, rows=(10,))
    with pytest.raises(RegionError):
        ran(
            tmp_path, np.ones((2, 3), np.float32), what="region",
            at=model("g (float[1,3] x) => (float[1,3] y) { y = Sigmoid(x) }"),
        )  # fmt: skip
    assert not (tmp_path / "made.zarr").exists()


def test_one_row_a_sample_where_maps_are_large(tmp_path, monkeypatch) -> None:
    ran(tmp_path, digits(5), "many.zarr", chunk=5, what=("contributions", "ledger"))
    monkeypatch.setattr(planned, "LITTLE", 0)
    ran(tmp_path, digits(5), chunk=5, what=("contributions", "ledger"))
    many, one = (runs.open(tmp_path / name) for name in ("many.zarr", "made.zarr"))
    np.testing.assert_array_equal(one["y"], many["y"])
    for name in ("contributions", "ledger", "b"):
        np.testing.assert_allclose(one[name], many[name], atol=1e-5)


def test_a_model_of_several_inputs_has_flat_features(tmp_path) -> None:
    text = (
        "g (float[1,2] a, float[1,3] b) => (float[1,5] y) { c = Concat<axis=1>(a, b) y = Relu(c) }"
    )
    xs = {"a": np.ones((3, 2), np.float32), "b": np.full((3, 3), 2, np.float32)}
    ran(tmp_path, xs, at=model(text), rows="all", what=("contributions", "W"))
    ds = runs.open(tmp_path / "made.zarr")
    assert ds["W"].dims == ("sample", "output", "feature")
    np.testing.assert_array_equal(ds["W"], np.broadcast_to(np.eye(5), (3, 5, 5)))
    np.testing.assert_array_equal(ds["contributions"].sum("feature"), ds["y"])


def test_a_small_net_given_as_a_linearizer(tmp_path) -> None:
    lin = onnxlin.Linearizer(mlp(), mode="frozen")
    name, kind = next(iter(lin.graph.inputs.items()))
    xs = np.random.default_rng(0).random((4, *kind.shape[1:]), np.float32)
    found = runs.run(lin, {name: xs}, tmp_path / "made.zarr", rows="all", dtype="float64")
    assert found.failed == 0
    ds = runs.open(tmp_path / "made.zarr")
    assert ds.attrs["mode"] == "frozen"
    assert ds["contributions"].dtype == np.float64


FULL = """
import resource, signal, sys
import numpy as np
from onnxlin import data
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
try:
    data.run(sys.argv[1], sys.argv[2], sys.argv[3], chunk=32, workers=int(sys.argv[5]))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=with_kills)])
def test_a_full_disk_is_told_of_and_can_be_gone_on_from(tmp_path, workers) -> None:
    np.save(tmp_path / "xs.npy", digits(64))
    words = [str(LENET), str(tmp_path / "xs.npy")]
    out = [str(tmp_path / "made.zarr"), "40000", str(workers)]
    done = subprocess.run(
        [sys.executable, "-c", FULL, *words, *out], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(FileError.__name__)
    assert "File too large" in done.stdout
    assert "--resume" in done.stdout
    runs.run(*words, tmp_path / "made.zarr", resume=True)
    runs.run(*words, tmp_path / "whole.zarr", chunk=32)
    assert_same_stores(tmp_path / "made.zarr", tmp_path / "whole.zarr")


SMALL = """
import subprocess, sys
from pathlib import Path
from unittest import mock
from onnxlin import data
lenet, xs, whole, small = sys.argv[1:]
mount = ["mount", "-t", "tmpfs", "-o"]
subprocess.run([*mount, "size=400k", "none", small], check=True)
try:
    data.run(lenet, xs, f"{small}/made.zarr", chunk=32, workers=3)
except Exception as error:
    print(type(error).__name__, error)
subprocess.run([*mount, "remount,size=64m", "none", small], check=True)
left = data.run(lenet, xs, f"{small}/made.zarr", resume=True, workers=3).made
print(0 < left)
sys.path.insert(0, ".")
from tests.data.stores import assert_same_stores
assert_same_stores(Path(small, "made.zarr"), Path(whole))
print("the same")
"""


@with_kills
def test_a_small_disk_fills_up_under_several_workers(tmp_path) -> None:
    """One in memory: what is done by then is kept, and the rest comes with more room."""
    apart = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    try:
        words = [*apart, "mount", "-t", "tmpfs", "none", str(tmp_path)]
        subprocess.run(words, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    (tmp_path / "small").mkdir()
    np.save(tmp_path / "xs.npy", digits(512))
    runs.run(LENET, tmp_path / "xs.npy", tmp_path / "whole.zarr", chunk=32)
    places = (LENET, tmp_path / "xs.npy", tmp_path / "whole.zarr", tmp_path / "small")
    done = subprocess.run(
        [*apart, sys.executable, "-c", SMALL, *map(str, places)],
        check=False, capture_output=True, text=True, cwd=LENET.parents[1],
    )  # fmt: skip
    told = done.stdout.splitlines()
    assert "No space left on device" in told[0], done.stderr
    assert "--resume" in told[0]
    assert told[1:] == ["True", "the same"], done.stderr


def test_data_that_change_in_between_are_refused(tmp_path) -> None:
    path = tmp_path / "xs.npy"
    np.save(path, digits(8))
    with pytest.raises(DataError):
        ran(tmp_path, path, chunk=2, progress=lambda *_: path.unlink(missing_ok=True))
    np.save(path, digits(8))
    assert ran(tmp_path, path, resume=True).made == 4


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=with_kills)])
def test_a_file_that_is_written_anew_amid_a_run_ends_it(tmp_path, workers) -> None:
    """As long as it was, under its own name: what is done stays, and goes on with what was."""
    path, was = tmp_path / "xs.npy", digits(40)
    np.save(path, was)
    ran(tmp_path, path, "whole.zarr", chunk=4)
    before = os.stat(path)

    def write_anew(done, total, text):
        if done and np.array_equal(np.load(path, mmap_mode="r")[0], was[0]):
            np.save(tmp_path / "other.npy", digits(40, seed=1))
            os.replace(tmp_path / "other.npy", path)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))

    with pytest.raises(DataError, match=r"has changed since the run began.*--resume"):
        ran(tmp_path, path, chunk=4, workers=workers, progress=write_anew)
    with pytest.raises(OptionError, match="was begun with other data"):
        ran(tmp_path, path, resume=True)
    np.save(path, was)
    assert 0 < ran(tmp_path, path, resume=True).made < 40
    assert_same_stores(tmp_path / "made.zarr", tmp_path / "whole.zarr")


def test_what_is_not_installed_is_named(tmp_path) -> None:
    code = """
import sys
sys.modules["zarr"] = None
import onnxlin
from onnxlin import data
import numpy as np
try:
    data.run(sys.argv[1], np.zeros((1, 1, 28, 28), np.float32), sys.argv[2])
except onnxlin.OnnxlinError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(LENET), str(tmp_path / "made.zarr")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == (
        'Writing a store of results needs zarr: pip install "onnxlin[data]".'
    )


def test_the_extra_is_imported_by_nobody_else() -> None:
    code = """
import sys, json
import onnxlin.cli.commands, onnxlin.readings, onnxlin.data
print(json.dumps(sorted({"zarr", "dask", "distributed", "xarray", "pyarrow"} & set(sys.modules))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
