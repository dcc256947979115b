"""What ``memory=`` counts is what is taken: estimates, blocks, refusals, weights kept once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import Linearizer
from onnxlin.engines.compiled.export.example import example_feeds, opened_shapes
from onnxlin.engines.compiled.size import COPIES, Size, Use, within
from onnxlin.engines.memory import enough, hand_back, memory_budget, mib, peak, size_of
from onnxlin.engines.reverse import charge, charge_each, chunks, needed, spare
from onnxlin.linearizer.early import tensor_bytes
from onnxlin.primitives import Array
from onnxlin.program import Step
from onnxlin.program.roundoff import Charges, charges_of_both
from onnxlin.section.trace import Tracer
from tests.benchmarks.zoo_memory import AT_LEAST, in_child
from tests.small import zoo

ENGINES = ["explicit", "reverse", "forward", "live", "cut", "compiled"]
SLACK = 2**19
"""Bytes of Python's own objects, which nobody counts."""


def taken(compute: Callable[[], Any]) -> int:
    """Bytes that were allocated at most, at once, beyond what was there."""
    tracemalloc.start()
    compute()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def picture(path: Path) -> tuple[Linearizer, Any]:
    lin = Linearizer(path)
    (kind,) = lin.graph.inputs.values()
    return lin, np.random.default_rng(0).random(
        [n if isinstance(n, int) else 1 for n in kind.shape]
    )


@pytest.mark.parametrize("engine", ["reverse", "forward", "live", "cut"])
@pytest.mark.parametrize("net", ["resnet_mnist", "vgg_fashion"])
def test_an_estimate_is_what_is_taken(fixtures: Path, net: str, engine: str) -> None:
    lin, x = picture(fixtures / f"{net}.onnx")
    m = lin(x, None, engine)
    beyond = m.memory_needed - m.made_from("the test").job.held
    most = taken(lambda: m.W)
    assert beyond / 4 <= most + SLACK
    assert most <= 1.2 * beyond + SLACK


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_refusal_says_is_enough_is_enough(fixtures: Path, engine: str) -> None:
    path = fixtures / "lenet5_mnist.onnx"
    _, x = picture(path)
    budget: Any = 1000
    for _ in range(2):  # the first may be of what stands alone, the second of a row
        with pytest.raises(onnxlin.MemoryBudgetError) as refused:
            Linearizer(path, memory=budget)(x, [1], engine).W  # noqa: B018
        budget = re.search(r"memory= to '(\w+)'", str(refused.value))[1]
        try:
            m = Linearizer(path, memory=budget)(x, [1], engine)
            assert m.W.any()
            break
        except onnxlin.MemoryBudgetError:
            continue
    else:
        pytest.fail(f"{budget} was not enough")
    assert m.memory_needed <= memory_budget(budget)


@pytest.mark.parametrize("rows", [[0], None, list(range(10)) * 3])
def test_errors_are_made_again_where_they_do_not_fit(fixtures: Path, rows: list[int]) -> None:
    lin, x = picture(fixtures / "lenet5_mnist.onnx")
    origin = lin(x, rows, engine="reverse").made_from("the test")
    job, program = origin.job, origin.program
    tight = replace(job, memory=needed(job))
    assert spare(tight) == 0 < spare(job)
    whole = charge(job, *charges_of_both(program, origin.values))
    made: list[str] = []

    def counted(step: Step) -> tuple[Array, Array]:
        made.append(step.output)
        return Charges(program, origin.values)(step)

    for some in (job, tight):
        made.clear()
        found = charge_each(some, counted, 2)
        np.testing.assert_allclose(found, whole, rtol=1e-5)
        times = 1 if some is job else len(list(chunks(some)))
        assert Counter(made) == dict.fromkeys({step.output for step in program.steps}, times)


@pytest.mark.parametrize("rows", [[3], None])
@pytest.mark.parametrize("net", ["vgg_fashion", "resnet_mnist"])
def test_a_proof_that_does_not_fit_is_refused_and_what_fits_is_held(
    fixtures: Path, net: str, rows: list[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxlin.affine_map.bounds.WORTH_IT", 0)  # these nets are small
    path = fixtures / f"{net}.onnx"
    lin, x = picture(path)
    m = lin(x, rows, "reverse")
    least = needed(m.made_from("the test").job) + 1
    tight = Linearizer(path, memory=least)(x, rows, "reverse")
    with pytest.raises(onnxlin.MemoryBudgetError, match="proof of the map needs") as refused:
        tight.verify()
    assert tight.residual.max() < 1e-5  # all else is there
    budget: Any = re.search(r"memory= to '(\w+)'", str(refused.value))[1]
    proved = Linearizer(path, memory=budget)(x, rows, "reverse")
    room = memory_budget(budget) - proved.made_from("the test").job.held
    assert taken(proved.verify) <= 1.2 * room + SLACK
    np.testing.assert_allclose(proved.error_bound, m.error_bound, rtol=1e-4)


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_what_cannot_fit_is_refused_before_it_is_run(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lin = Linearizer(convolutions(tmp_path / "n.onnx", 256, 5), memory="10MiB")  # of 9.6 MiB
    x = np.random.default_rng(0).random((1, 64, 8, 8), np.float32)
    monkeypatch.setattr(Tracer, "__call__", lambda *_: pytest.fail("it was run"))
    with pytest.raises(onnxlin.MemoryBudgetError, match=r"before any row .* memory=10 MiB") as said:
        lin(x, [0], engine)
    assert "'1" in str(said.value)


def test_shapes_tell_what_a_run_keeps(fixtures: Path) -> None:
    for path in sorted(fixtures.glob("*.onnx")):
        lin = Linearizer(path)
        given = opened_shapes(lin.section, 3).items()
        feeds = example_feeds(lin.section, None, {n: [k or 3 for k in s] for n, s in given})
        ready = lin(feeds, engine="reverse").made_from("the test")
        kept = {n: v for n, v in ready.values.items() if n in lin.section.varying}
        told = tensor_bytes(lin.section, feeds)
        assert 0.5 * sum(map(size_of, kept.values())) <= told <= sum(map(size_of, kept.values()))


# Two layouts of a compiled graph


def test_the_fast_layout_is_taken_where_it_fits() -> None:
    a, size = 2**20, Size(weights=100 * 2**20, tensors=10 * 2**20, row=2**20)
    weights = {
        "table": Use(9 * a, 0, packs=False),
        "dense": Use(10 * a, 1, packs=False),
        "late": Use(60 * a, 49, packs=True),
        "middle": Use(20 * a, 196, packs=False),
        "early": Use(a, 3136, packs=False),
    }
    assert within(size, weights, 2**30, asked=True) == (replace(size, copies=COPIES * 100 * a), {})
    for memory, asked in ((2**30, False), (400 * a, True), (250 * a, True), (130 * a, True)):
        found, lean = within(size, weights, memory, asked=asked)
        assert found.standing + found.row <= memory
        assert "early" not in lean  # it comes first
        assert {"table": False, "dense": False}.items() <= lean.items()  # copies are no good there
        copied = COPIES * sum(use.size for name, use in weights.items() if name not in lean)
        copied += sum(weights[name].size for name, packed in lean.items() if packed)
        assert copied == found.copies
    assert within(size, weights, 400 * a, asked=True)[1]["late"]  # opening all does not fit
    few = {"w": Use(2**20, 9, packs=False)}
    assert within(Size(2**20, 0, 9), few, 2**30, asked=False)[1] == {}
    with pytest.raises(onnxlin.MemoryBudgetError, match=enough(size.standing + size.row)):
        within(size, weights, 50 * a, asked=True)


def test_rows_at_once_come_before_copies() -> None:
    size, weights = Size(2**24, 0, 2**24), {"w": Use(2**24, 100, packs=False)}
    assert within(size, weights, 2**27, asked=True, single=True)[0].copies
    assert not within(size, weights, 2**27, asked=True)[0].copies


@pytest.mark.parametrize("net", ["lenet5_mnist", "resnet_mnist", "mlp5_mnist", "vgg_fashion"])
@pytest.mark.parametrize("more", [0, 0.3])
def test_a_lean_graph_makes_the_same_map(
    fixtures: Path, net: str, more: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    lin, x = picture(fixtures / f"{net}.onnx")
    fast = lin(x, engine="compiled")
    monkeypatch.setattr("onnxlin.engines.compiled.size.SMALL", 0)
    monkeypatch.setattr("onnxlin.engines.compiled.size.MORE", more)
    monkeypatch.setattr("onnxlin.engines.compiled.size.LARGE", 2**8)
    monkeypatch.setattr("onnxlin.graph.weights.LARGE", 2**8)
    chosen: list[Size] = []

    def recorded(*args: Any, **options: Any) -> Any:
        found = within(*args, **options)
        chosen.append(found[0])
        return found

    monkeypatch.setattr("onnxlin.engines.compiled.sessions.within", recorded)
    other = Linearizer(fixtures / f"{net}.onnx")
    for rows in (None, [2]):
        m = other(x, rows, "compiled").verify()
        W = fast.W if rows is None else fast.W[rows]
        np.testing.assert_allclose(m.W, W, rtol=0, atol=1e-4 * np.abs(W).max())
    every = sum(array.nbytes for array in other.graph.initialisers.values())
    assert chosen
    assert all(size.copies < COPIES * every for size in chosen)


# A process of its own

CHILD = """
import gc, json, sys
from pathlib import Path
import numpy as np
import onnx
import onnxlin
def of(kind):
    text = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in text if line.startswith(kind)).split()[1]) * 1024
path, small, engine, memory = sys.argv[1:]
x = np.random.default_rng(0).random((1, 64, 8, 8), np.float32)
onnxlin.linearize(small, x, rows=[0], engine=engine).verify()
gc.collect()
before = of("VmRSS")
lin = onnxlin.Linearizer(path, memory=memory or None)
m = lin(x, [0], engine)
m.W
again = lin(x, [0], engine)
again.W
print(json.dumps({"needed": again.memory_needed, "resident": of("VmRSS") - before}))
"""


def convolutions(path: Path, channels: int, count: int) -> Path:
    rng, helper = np.random.default_rng(0), onnx.helper
    nodes, stored, last, width = [], [], "x", 64
    for i in range(count):
        weight = rng.normal(size=(channels, width, 3, 3)).astype(np.float32) / (3 * channels**0.5)
        stored.append(onnx.numpy_helper.from_array(weight, f"w{i}"))
        nodes.append(helper.make_node("Conv", [last, f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"h{i}"]))
        last, width = f"h{i}", channels
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["y"]))
    kinds = [("x", [1, 64, 8, 8]), ("y", [1, channels, 1, 1])]
    given, made = (helper.make_tensor_value_info(n, 1, shape) for n, shape in kinds)
    graph = helper.make_graph(nodes, "g", [given], [made], stored)
    opset = helper.make_opsetid("", 18)
    onnx.save_model(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    return path


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
@pytest.mark.parametrize("engine", ["compiled", "reverse"])
def test_a_process_holds_one_copy_of_the_weights(tmp_path: Path, engine: str) -> None:
    small = convolutions(tmp_path / "small.onnx", 64, 1)
    large = convolutions(tmp_path / "large.onnx", 512, 3)  # 19 MiB of weights
    command = [sys.executable, "-c", CHILD, str(large), str(small), engine, ""]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert 19 * 2**20 < found["needed"] < 35 * 2**20
    assert found["resident"] < 1.5 * found["needed"]


def test_small_things() -> None:
    assert [mib(n) for n in (0, 2000, 2**20, 2**30)] == [
        "0 MiB",
        "0.0019 MiB",
        "1 MiB",
        "1,024 MiB",
    ]
    for size in (1, 5000, 2**21, 2**21 + 1, 2**33):
        assert size <= memory_budget(enough(size).strip("'")) <= 1.5 * size + 1024
    assert peak() > 2**20
    hand_back(2**30)
    hand_back(0)


LARGE = [path for path in zoo(os.environ.get("ONNXLIN_ZOO", "")) if path.stat().st_size > 2**20]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
@pytest.mark.parametrize("engine", ["compiled", "reverse"])
@pytest.mark.parametrize("path", LARGE, ids=lambda path: path.name)
def test_estimates_are_what_models_of_the_zoo_take(path: Path, engine: str) -> None:
    # Closer figures are those of `python -m tests.benchmarks --memory --zoo`.
    found = in_child(path, engine, "1")
    if found.get("estimate", 0) * 2**20 < AT_LEAST:
        pytest.skip("too small, or refused")
    assert 0.5 <= found["later"] / found["estimate"] <= 2


def heavy_model(path: Path) -> Path:
    """9 MiB of weights, and tensors of 8 MiB each."""
    helper, dims = onnx.helper, [1, 3, 128, 128]
    weights = np.random.default_rng(0).normal(size=(2**11, 3 * 2**7)).astype(np.float32)
    nodes = [
        helper.make_node("Softplus" if i % 2 else "Tanh", [f"t{i}"], [f"t{i + 1}"])
        for i in range(12)
    ]
    nodes = [helper.make_node("Conv", ["x", "A"], ["t0"]), *nodes]
    nodes += [helper.make_node("GlobalAveragePool", ["t12"], ["g"])]
    nodes += [
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "B"], ["y"]),
    ]
    A = np.full((128, 3, 1, 1), 0.1, np.float32)
    B = np.resize(weights, (128, 2**14 + 2**12))
    graph = helper.make_graph(
        nodes,
        "heavy",
        [helper.make_tensor_value_info("x", 1, dims)],
        [helper.make_tensor_value_info("y", 1, [1, B.shape[1]])],
        [onnx.numpy_helper.from_array(A, "A"), onnx.numpy_helper.from_array(B, "B")],
    )
    opset = helper.make_opsetid("", 18)
    onnx.save_model(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    return path


def test_compiling_holds_no_coefficients_and_lets_the_run_rest(tmp_path: Path) -> None:
    lin = Linearizer(heavy_model(tmp_path / "heavy.onnx"))
    x = np.random.default_rng(0).random((1, 3, 128, 128), np.float32)
    tensor = 128 * 128 * 128 * 4
    most = taken(lambda: lin(x, [0], "compiled"))
    # Slopes and intercepts of the smooth nodes would be 24; tensors of the run are not NumPy's.
    assert most < 4 * tensor
    session = lin._ready.builder.tracer._session.runtime
    assert session.inherited() is None
    m = lin(x, [0], "compiled")
    assert session.inherited() is None
    m.verify()  # asks for the run
    opened = session.inherited()
    assert opened is not None
    session.rest()  # whoever has asked once may ask again
    assert session.inherited() is opened
