"""What is compiled is kept, found again and released; memory and rows are cut as asked."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnxruntime
import pytest

import onnxlin
from onnxlin import Linearizer
from onnxlin.engines.compiled import Runner
from onnxlin.engines.compiled import session as runner
from onnxlin.engines.compiled import sessions as shelf
from onnxlin.runtime import session as door
from tests.engines.compiled.elsewhere import assert_agrees, plain
from tests.small import X, mlp, model

OPEN = "g (float[N, 3] x) => (float[N, 3] y) { h = Softmax(x)  y = Mul(h, x) }"


def rows_of(n: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Runner]:
    """Every session that is opened, in order."""
    found: list[Runner] = []
    true = Runner.__init__

    def counted(self: Runner, *arguments: Any, **more: Any) -> None:
        true(self, *arguments, **more)
        found.append(self)

    monkeypatch.setattr(Runner, "__init__", counted)
    return found


def test_one_session_serves_every_x_of_a_shape(opened: list[Runner]) -> None:
    lin = Linearizer(model(OPEN))
    for seed in range(3):
        assert_agrees(lin, {"x": rows_of(2, seed)})
    assert len(opened) == 1
    assert_agrees(lin, {"x": rows_of(2, 3)}, [1])
    assert [each.compiled.single for each in opened] == [False, True]
    assert_agrees(lin, {"x": rows_of(2, 4)}, [[1.0] * 6])
    assert len(opened) == 2


def test_every_shape_of_open_axes_has_its_own(opened: list[Runner]) -> None:
    lin = Linearizer(model(OPEN))
    for n in (1, 2, 0, 1, 2):
        assert_agrees(lin, {"x": rows_of(n)})
    assert [each.compiled.inputs["x"] for each in opened] == [(1, 3), (2, 3), (0, 3)]


def test_the_latest_few_stay_open(opened: list[Runner]) -> None:
    lin = Linearizer(model(OPEN))
    sizes = range(1, shelf.MOST_OPEN + 2)
    for n in (*sizes, sizes[-1], 1):
        lin(rows_of(n), engine="compiled")
    assert [each.compiled.inputs["x"][0] for each in opened] == [*sizes, 1]


def test_close_releases(opened: list[Runner]) -> None:
    lin = Linearizer(mlp())
    first = lin(X, engine="compiled")
    lin.close()
    assert lin(X).engine != "compiled"
    again = lin(X, engine="compiled")
    assert len(opened) == 2
    np.testing.assert_array_equal(first.W, again.W)


def test_auto_takes_what_is_ready() -> None:
    lin = Linearizer(mlp())
    assert lin(X).engine == "reverse"
    lin(X, engine="compiled")
    m = lin(X).verify()
    assert m.engine == "compiled"
    assert m.plan.startswith("the model is compiled for these shapes; ")
    # A graph of any number of rows computes one as well, but not in another precision.
    assert lin(X, [1]).engine == "compiled"
    assert lin(X, dtype=np.float64).engine == "reverse"


def test_auto_compiles_once_that_pays(opened: list[Runner]) -> None:
    lin = Linearizer(mlp())
    engines = [lin(X).engine for _ in range(200)]
    assert engines == sorted(engines, reverse=True)
    assert set(engines) == {"reverse", "compiled"}
    assert len(opened) == 1
    # Of another precision than the model's no number of sweeps makes a graph.
    wide = Linearizer(mlp())
    assert {wide(X, dtype=np.float64).engine for _ in range(200)} == {"reverse"}
    assert len(opened) == 1


def test_options_are_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[onnxruntime.SessionOptions] = []
    true = onnxruntime.InferenceSession

    def opened(data: bytes, options: onnxruntime.SessionOptions, **more: Any) -> Any:
        given.append(options)
        return true(data, options, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    options = onnxruntime.SessionOptions()
    Linearizer(mlp(), session_options=options)(X, engine="compiled")
    assert given[-1] is options
    Linearizer(mlp())(X, engine="compiled")
    assert given[-1].intra_op_num_threads == 1
    monkeypatch.setattr(runner, "WORTH_A_THREAD", 0)
    Linearizer(mlp())(X, engine="compiled")
    assert given[-1].intra_op_num_threads == 0


@pytest.mark.parametrize("rows", [None, np.ones((5, 8)), [0]])
def test_chunks_do_not_change_the_map(rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "g (float[2, 4] x) => (float[2, 4] y) { y = Softmax(x) }"
    x = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    monkeypatch.setattr(runner, "MOST_ROWS", 3)
    lin = Linearizer(model(text), session_options=plain())
    m = assert_agrees(lin, {"x": x}, rows)
    assert m is not None
    seen: list[tuple[int, int]] = []
    lin(x, rows, "compiled", progress=lambda *at: seen.append(at))
    total = len(m.W)
    assert seen == [(min(i + 3, total), total) for i in range(0, total, 3)]


def test_too_little_memory_is_refused() -> None:
    message = r"engine='compiled' needs about .* MiB for one row \(weights .*tensors .*a row .*\); "
    with pytest.raises(onnxlin.MemoryBudgetError, match=message) as refused:
        Linearizer(mlp(), memory=40)(X, engine="compiled")
    # What it says would be enough is enough for a row, and says so of W where that is more.
    enough = re.search(r"Raise memory= to '(\w+)'", str(refused.value))[1]
    assert Linearizer(mlp(), memory=enough)(X, engine="compiled").W.shape == (2, 3)


def test_another_precision_is_refused() -> None:
    message = "engine='compiled' computes in the model's own float32; dtype=float64 was asked for"
    with pytest.raises(onnxlin.OptionError, match=message):
        Linearizer(mlp())(X, engine="compiled", dtype=np.float64)


@pytest.mark.parametrize("where", ["assemble", "many.stacked"])
def test_an_onnxruntime_without_the_operator_set(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it cannot open it is not asked to run: another engine is taken, or the user told."""
    monkeypatch.setattr(f"onnxlin.engines.compiled.{where}.NEWEST_RUNNABLE", 99)
    xs = rows_of(40)
    maps = [*Linearizer(mlp()).map(xs)]
    assert not any("instances at once" in m.plan for m in maps)
    lin = Linearizer(mlp())
    if where == "many.stacked":  # a graph of one instance can be opened all the same
        assert lin(X, engine="compiled").engine == "compiled"
        return
    assert {m.engine for m in maps} == {"reverse"}
    message = r"cannot serve this model: onnxruntime cannot open .* \(onnxruntime .*, operator set "
    for ask in (lambda: lin(X, engine="compiled"), lambda: list(lin.map(xs, engine="compiled"))):
        with pytest.raises(onnxlin.OptionError, match=message):
            ask()
    monkeypatch.undo()
    assert Linearizer(mlp())(X, engine="compiled").engine == "compiled"


def test_what_onnxruntime_says_is_told_without_its_sources() -> None:
    signature = "void ort::Check(const std::map<std::string, int>&, bool)"
    error = RuntimeError(f"[E] : 1 : FAIL : /src/core/load.h:46 {signature} No operator\n set 99.")
    assert door.said(error) == "[E] : 1 : FAIL : No operator set 99"


def test_a_run_that_fails_says_so() -> None:
    text = "g (float[3] x, int64[1] i) => (float[1] y) { y = Gather(x, i) }"
    lin = Linearizer(model(text))
    lin({"x": np.ones(3), "i": np.array([0])}, engine="compiled")
    with pytest.raises(onnxlin.TraceError, match=r"cannot run the model at this x: .* indic"):
        lin({"x": np.ones(3), "i": np.array([7])}, engine="compiled")


def test_infinite_outputs_are_refused() -> None:
    lin = Linearizer(model("g (float[2] x) => (float[2] y) { y = Log(x) }"))
    lin(np.ones(2), engine="compiled").verify()
    with pytest.raises(onnxlin.TraceError, match="Output 'y' is NaN or infinite"):
        lin(np.array([1.0, 0.0]), engine="compiled")


def test_auto_goes_on_without_a_graph_that_cannot_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that fails in the graph alone is none of the caller's business, under auto."""
    lin = Linearizer(mlp())
    lin(X, engine="compiled")
    reverse = lin(X, engine="reverse")

    def fails(*_: Any) -> Any:
        raise onnxlin.TraceError("the graph alone cannot run")

    monkeypatch.setattr(Runner, "raw", fails)
    m = lin(X)
    assert m.engine == "reverse"
    np.testing.assert_array_equal(m.W, reverse.W)
    with pytest.raises(onnxlin.TraceError, match="the graph alone"):
        lin(X, engine="compiled")


def test_calls_that_ask_the_same_give_each_its_own_answer() -> None:
    """What is kept of one call for the next one is in nobody's map."""
    lin = Linearizer(mlp())
    first = lin(X, rows=[1], engine="compiled")
    kept = first.W.copy(), first.b.copy()
    first.W[:] = 7
    for rows in ([1], [0], [[0.0, 2.0]], [1]):
        found = lin(X, rows=rows, engine="compiled")
        alone = onnxlin.linearize(mlp(), X, rows=rows, engine="reverse")
        np.testing.assert_allclose(found.W, alone.W, rtol=1e-5)
        np.testing.assert_allclose(found.b, alone.b, rtol=1e-5)
    np.testing.assert_array_equal(found.W, kept[0])
    np.testing.assert_array_equal(found.b, kept[1])
