"""A map whose W goes to its file a block of rows at a time is the map that fits into memory."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin import AffineMap, FileError, Linearizer, MemoryBudgetError, OptionError, linearize
from onnxlin.engines.memory import memory_budget
from onnxlin.readings import contributions
from onnxlin.section.trace import Tracer
from onnxlin.testing import GrownModel, onnx_models
from tests.affine_map.test_stored import assert_same
from tests.engines.test_memory import convolutions
from tests.files.steps import acting, full, interrupt
from tests.small import X, mlp

ROOT = Path(__file__).parents[2]
ENGINES = ("reverse", "forward", "explicit", "live", "cut", "compiled")


def picture() -> np.ndarray:
    return np.random.default_rng(0).random((1, 1, 28, 28), np.float32)


def blocks_of(size: int) -> Any:
    """Engines that interpret a program compute so many rows at once."""
    return mock.patch("onnxlin.engines.plan.block_of", return_value=size)


# The same map


@given(
    onnx_models(),
    st.sampled_from([*ENGINES, "auto"]),
    st.sampled_from(["all", "last", "none", "sum"]),
    st.sampled_from([None, np.float64]),
)
def test_the_file_is_that_of_the_map_in_memory(
    grown: GrownModel, engine: str, which: str, dtype: Any
) -> None:
    """To the last byte: W, its shares, the bound, the checksum."""
    size = len(Linearizer(grown.model)(grown.x).y)
    rows = {"all": None, "last": [-1] * (size > 0), "none": [], "sum": np.ones((2, size))}[which]
    with tempfile.TemporaryDirectory() as folder:
        path, other = Path(folder) / "kept.npz", Path(folder) / "saved.npz"
        try:
            m = Linearizer(grown.model)(grown.x, rows, engine, dtype)
            m.error_bound  # noqa: B018
        except OptionError:  # no graph, or none in this precision
            with pytest.raises(OptionError):
                Linearizer(grown.model)(grown.x, rows, engine, dtype, save=path)
            assert os.listdir(folder) == []
            return
        m.save(other)
        kept = Linearizer(grown.model)(grown.x, rows, engine, dtype, save=path)
        if kept.plan == m.plan:  # a graph's says how much of W is in memory
            assert path.read_bytes() == other.read_bytes()
        assert_same(kept, m)
        assert kept.verdicts == m.verdicts
        assert not kept.W.flags.writeable
        assert kept.W.flags.aligned
        assert_same(AffineMap.load(path), m)
        assert_same(AffineMap.load(path, mmap=True), m)


@pytest.mark.parametrize("engine", ["reverse", "forward", "explicit", "live"])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_blocks_are_the_rows_asked_for_by_themselves(
    fixtures: Path, tmp_path: Path, engine: str, size: int
) -> None:
    lin, x = Linearizer(fixtures / "lenet5_mnist.onnx"), picture()
    rows = np.array([3, 1, 4, 1, 5, 9, 2])
    told: list[tuple[int, int]] = []
    with blocks_of(size):
        m = lin(x, rows, engine, save=tmp_path / "m", progress=lambda *at: told.append(at))
    assert isinstance(m.W, np.memmap)
    for start in range(0, len(rows), size):
        part = lin(x, rows[start : start + size], engine)
        np.testing.assert_array_equal(m.W[start : start + size], part.W)
        np.testing.assert_array_equal(m.b[start : start + size], part.b)
        for node, share in part.bias_by_node.items():
            np.testing.assert_array_equal(m.bias_by_node[node][start : start + size], share)
    assert_told_once(told)
    assert m.verify().verdict == "PASS"
    again = AffineMap.load(tmp_path / "m", mmap=True)
    assert again.verify().verdict == "PASS"
    assert_same(again, m)


def assert_told_once(told: list[tuple[int, int]]) -> None:
    """One count goes from the first row to the end, which is told last and once."""
    done, totals = zip(*told, strict=True)
    assert len(set(totals)) == 1
    assert list(done) == sorted(set(done))
    assert done[-1] == totals[0]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("likely", [False, True])
def test_a_call_tells_once_how_far_it_is(
    fixtures: Path, tmp_path: Path, engine: str, likely: bool, monkeypatch
) -> None:
    """W and its bound are in the file when it returns: one count leads through both."""
    if likely:
        monkeypatch.setattr("onnxlin.affine_map.bounds.FEW", 0)
        monkeypatch.setattr("onnxlin.affine_map.bounds.CHEAP", 0)
    lin, rows = Linearizer(fixtures / "lenet5_mnist.onnx"), np.arange(30) % 10
    told: list[tuple[int, int]] = []
    m = lin(picture(), rows, engine, save=tmp_path / "m", progress=lambda *at: told.append(at))
    assert_told_once(told)
    before = list(told)
    assert (m.W.any(), m.error_bound.any(), m.verify().verdict) == (True, True, "PASS")
    assert told == before


def test_no_rows_are_told_once(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    Linearizer(mlp())(X, [], save=tmp_path / "m", progress=lambda *at: told.append(at))
    assert told == [(0, 0)]


@pytest.mark.parametrize("combine", [False, True])
def test_blocks_of_a_graph(fixtures: Path, tmp_path: Path, combine: bool, monkeypatch) -> None:
    lin, x = Linearizer(fixtures / "lenet5_mnist.onnx"), picture()
    rows = np.random.default_rng(1).normal(size=(6, 10)) if combine else np.arange(6)
    monkeypatch.setattr("onnxlin.engines.compiled.session.block_of", lambda *_: 2)
    m = lin(x, rows, "compiled", save=tmp_path / "m.npz")
    for start in range(0, 6, 2):
        part = lin(x, rows[start : start + 2], "compiled")
        np.testing.assert_array_equal(m.W[start : start + 2], part.W)
        np.testing.assert_array_equal(m.b[start : start + 2], part.b)
    assert (m.engine, m.verify().verdict) == ("compiled", "PASS")
    assert_same(AffineMap.load(tmp_path / "m.npz"), m)


def test_the_model_runs_once_for_all_blocks(fixtures: Path, tmp_path: Path) -> None:
    lin, runs = Linearizer(fixtures / "lenet5_mnist.onnx"), []
    run = Tracer.__call__

    def counted(self: Tracer, *args: Any) -> Any:
        runs.append(self)
        return run(self, *args)

    with blocks_of(1), mock.patch.object(Tracer, "__call__", counted):
        lin(picture(), None, "reverse", save=tmp_path / "m")
    assert len(runs) == 1


def test_an_open_graph_answers_in_blocks_as_well(tmp_path: Path) -> None:
    lin = Linearizer(mlp())
    lin(X, engine="compiled")
    m = lin(X, save=tmp_path / "m")
    assert m.engine == "compiled"
    np.testing.assert_array_equal(m.W, lin(X).W)


# What can be done with it


def test_it_outlasts_its_name(tmp_path: Path) -> None:
    """Whoever saves another map under the name, or removes it, leaves this one as it is."""
    path, m = tmp_path / "m.npz", linearize(mlp(), X)
    kept = linearize(mlp(), X, save=str(tmp_path / "m"))
    kept.verify().save(path)
    assert_same(AffineMap.load(path), kept)
    linearize(mlp(), -3 * X, save=path)
    np.testing.assert_array_equal(kept.W, m.W)
    loaded = AffineMap.load(path, mmap=True)
    os.remove(path)
    np.testing.assert_array_equal(kept.W, m.W)
    np.testing.assert_array_equal(loaded.W, linearize(mlp(), -3 * X).W)


def test_it_is_pickled_copied_and_read_as_any_map(tmp_path: Path) -> None:
    m = linearize(mlp(), X)
    kept = linearize(mlp(), X, save=tmp_path / "m")
    loaded = AffineMap.load(tmp_path / "m", mmap=True)
    for other in (pickle.loads(pickle.dumps(kept)), copy.deepcopy(kept), copy.copy(loaded)):
        np.testing.assert_array_equal(other.W, m.W)
        np.testing.assert_array_equal(other.residual, m.residual)
    assert pickle.loads(pickle.dumps(kept)).verify().verdict == "PASS"
    for one in (kept, loaded):
        np.testing.assert_array_equal(one.contributions, m.contributions)
        np.testing.assert_array_equal(contributions(one).values, contributions(m).values)
        np.testing.assert_array_equal(one(2 * X), m(2 * X))
    assert kept.to_onnx().SerializeToString() == m.to_onnx().SerializeToString()
    np.testing.assert_array_equal(kept.operator() @ m.x, m.operator() @ m.x)


# What goes wrong


@pytest.mark.parametrize("save", [io.BytesIO(), 3])
def test_a_file_has_a_name(save: Any) -> None:
    with pytest.raises(OptionError, match=r"save= needs the name of a file, .* is none"):
        linearize(mlp(), X, save=save)


def test_pipes_and_devices_are_refused_before_the_work(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    lin = Linearizer(mlp())
    with mock.patch.object(Tracer, "__call__", side_effect=AssertionError("it was run")):
        for path in (pipe, "/dev/null"):
            with pytest.raises(OptionError, match="is a pipe or a device"):
                lin(X, save=path)


def test_no_such_folder_is_told_before_rows_are_computed(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No such file"):
        linearize(
            mlp(), X, save=tmp_path / "none" / "m", progress=lambda *_: pytest.fail("too late")
        )


@pytest.mark.parametrize("fault", [full, interrupt])
def test_a_fault_at_any_step_leaves_the_older_map(tmp_path: Path, fault: Any) -> None:
    path, lin = tmp_path / "m.npz", Linearizer(mlp())
    older, newer = lin(-3 * X, dtype=np.float64), lin(X, dtype=np.float64)
    newer.error_bound  # noqa: B018
    at = happened = 0
    while True:
        at += 1
        older.save(path)
        before, caught = path.read_bytes(), None
        with acting(at, fault) as counted, blocks_of(1):
            try:
                lin(X, dtype=np.float64, save=path)
            except (FileError, KeyboardInterrupt) as error:
                caught = error
        assert os.listdir(tmp_path) == ["m.npz"]
        if fault is full and caught is not None:
            assert isinstance(caught, FileError)
            assert path.read_bytes() == before
        there = AffineMap.load(path, mmap=True)
        assert_same(there, older if np.array_equal(there.x, older.x) else newer)
        happened += caught is not None
        if counted.count < at:
            break
    assert happened > 7


def test_an_output_that_is_infinite_leaves_no_file(tmp_path: Path) -> None:
    from tests.small import model

    text = "g (float[2] x) => (float[2] y) { l = Log(x) y = Mul(l, x) }"
    for engine in ("reverse", "compiled"):
        with pytest.raises(onnxlin.TraceError), np.errstate(all="ignore"):
            linearize(model(text), np.float32([0, 1]), engine=engine, save=tmp_path / "m")
    assert os.listdir(tmp_path) == []


KILLED = """
import os, signal, sys
import numpy as np
import onnxlin
from unittest import mock
path = sys.argv[1]
x = np.random.default_rng(0).random((1, 1, 28, 28))
def progress(done, total):
    if done >= total // 2:
        if sys.argv[2] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "full":
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
with mock.patch("onnxlin.engines.plan.block_of", lambda *_: 1):
    try:
        onnxlin.linearize("fixtures/lenet5_mnist.onnx", x, engine="reverse", progress=progress,
                          save=path)
    except onnxlin.FileError as error:
        sys.exit(7 if "File too large" in str(error) else 2)
"""


@pytest.mark.parametrize(("how", "code"), [("kill", -signal.SIGKILL), ("full", 7)])
def test_ended_half_way_the_older_file_is_whole(tmp_path: Path, how: str, code: int) -> None:
    path = tmp_path / "m.npz"
    linearize(mlp(), X).save(path)
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", KILLED, path, how], cwd=ROOT, check=False)
    assert done.returncode == code
    assert path.read_bytes() == before
    (part,) = [name for name in os.listdir(tmp_path) if name != "m.npz"] or [None]
    assert (part is None) == (how == "full")
    if part is not None:
        assert not (tmp_path / part).read_bytes().endswith(b"\0\0")  # no end of an archive


# Memory


def wide(path: Path, side: int = 128) -> Path:
    """A picture in three channels, to a twelfth as many numbers, by few weights."""
    rng, helper = np.random.default_rng(0), onnx.helper
    weights = [rng.normal(size=shape).astype(np.float32) / 5 for shape in
               ((8, 3, 4, 4), (16, 8, 2, 2))]  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["c"], strides=[4, 4]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "w1"], ["y"], strides=[2, 2]),
    ]
    kinds = [("x", [1, 3, side, side]), ("y", [1, 16, side // 8, side // 8])]
    given, made = (helper.make_tensor_value_info(n, 1, shape) for n, shape in kinds)
    stored = [onnx.numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)]
    graph = helper.make_graph(nodes, "g", [given], [made], stored)
    opset = helper.make_opsetid("", 18)
    onnx.save_model(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    return path


CHILD = """
import gc, json, sys
from pathlib import Path
import numpy as np
import onnxlin
def of(kind):
    text = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in text if line.startswith(kind)).split()[1]) * 1024
def forget():
    Path("/proc/self/clear_refs").write_text("5")
    return of("VmRSS")
model, path, engine, memory = sys.argv[1:]
x = np.random.default_rng(0).random((1, 3, 128, 128), np.float32)
onnxlin.linearize(model, x, rows=[0], engine=engine).verify()
lin, rows, found = onnxlin.Linearizer(model, memory=memory), range(1000), {}
gc.collect()
before = forget()
m = lin(x, rows, engine, save=path)
found["made"] = of("VmHWM") - before
found["W"] = m.W.nbytes
before = forget()
verdict = m.verify().verdict
m.residual, m.bias_by_node, onnxlin.readings.contributions(m, [3, 5]).values
found["verified"] = of("VmHWM") - before
before = forget()
loaded = onnxlin.AffineMap.load(path, mmap=True)
assert loaded.verify().verdict == verdict == "PASS"
found["loaded"] = of("VmHWM") - before
print(json.dumps(found))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
@pytest.mark.parametrize("engine", ["reverse", "live", "compiled"])
def test_a_w_beyond_the_budget_takes_no_more_than_the_budget(tmp_path: Path, engine: str) -> None:
    model, budget = wide(tmp_path / "wide.onnx"), 48 * 2**20
    command = [
        sys.executable,
        "-c",
        CHILD,
        str(model),
        str(tmp_path / "m.npz"),
        engine,
        str(budget),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    found = json.loads(done.stdout)
    slack = 20 * 2**20  # Python's and onnxruntime's own; two copies of a few rows in float64
    assert found["W"] > 2.5 * (budget + slack)
    for what in ("made", "verified", "loaded"):
        assert found[what] < budget + slack, found


@pytest.mark.parametrize(
    ("engine", "side", "memory"),
    [(e, 128, "40MiB") for e in ("reverse", "explicit", "live", "cut", "compiled")]
    + [("forward", 32, "2MiB")],
)
def test_a_refusal_says_save_where_that_helps(
    tmp_path: Path, engine: str, side: int, memory: str
) -> None:
    model, x = wide(tmp_path / "wide.onnx", side), np.ones((1, 3, side, side), np.float32)
    rows = range(min(400, side * side // 4))  # of 75 MiB, and of 3
    lin = Linearizer(model, memory=memory)
    with pytest.raises(MemoryBudgetError) as refused:
        lin(x, rows, engine).W  # noqa: B018
    assert "give save= a file" in str(refused.value)
    m = lin(x, rows, engine, save=tmp_path / "m")
    assert m.memory_needed <= memory_budget(memory) < m.W.nbytes
    assert m.W.shape == (len(rows), x.size)
    tight = Linearizer(model, memory="80KiB")  # the model alone takes as much
    with pytest.raises(MemoryBudgetError) as refused:
        tight(x, [0, 1], engine, save=tmp_path / "tight").W  # noqa: B018
    assert "save=" not in str(refused.value)
    assert not (tmp_path / "tight.npz").exists()


def test_what_cannot_be_run_is_refused_all_the_same(tmp_path: Path) -> None:
    lin = Linearizer(convolutions(tmp_path / "n.onnx", 256, 5), memory="10MiB")
    x = np.random.default_rng(0).random((1, 64, 8, 8), np.float32)
    with pytest.raises(MemoryBudgetError, match=re.escape("before any row")):
        lin(x, [0], save=tmp_path / "m")
