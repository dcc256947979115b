"""What onnxlin answers with goes through pickle, copies and deep copies, the same to the bit."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import AffineMap, Linearizer, OnnxlinError, readings, testing
from onnxlin.graph.weights import LARGE
from onnxlin.lowering import NotStaticError
from onnxlin.runtime.options import apart, together
from onnxlin.runtime.session import for_compiled
from tests.agree import assert_same_rows
from tests.processes.alike import assert_alike
from tests.processes.results import MAKERS, X1, fresh, lin
from tests.small import X, mlp, model

How = Callable[[Any], Any]


def by_cloud(thing: Any) -> Any:
    cloudpickle = pytest.importorskip("cloudpickle")
    return pickle.loads(cloudpickle.dumps(thing))


def by_pickle(protocol: int) -> How:
    return lambda thing: pickle.loads(pickle.dumps(thing, protocol))


WAYS: dict[str, How] = {
    **{f"pickle {n}": by_pickle(n) for n in range(2, pickle.HIGHEST_PROTOCOL + 1)},
    "cloudpickle": by_cloud,
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}

# What is asked of a thing after it has arrived, and of the one that was sent.
ASKED: dict[str, Callable[[Any], Any]] = {
    "linearizer": lambda a: [a(X), a(X, engine="compiled"), a.run(X), list(a.map(X[None, 0]))],
    "operator": lambda a: (a @ np.ones(3), a.T @ np.ones(2), a @ np.eye(3)),
    "layers": lambda a: [(s.name, s.status, s.terms, s.bias) for s in a],
    "program": lambda a: (
        a.pattern_key(),
        a.forward(X.ravel()),
        [s.margin and s.margin() for s in a.steps],
    ),
    "decided program": lambda a: [d.bounds() for d in a.decisions],
    "map": lambda a: (a.layers, a.near_kinks(), a.operator() @ np.ones(3), a.doubt(0), a(X1)),
    "Ensemble": lambda a: a(X, engine="reverse"),  # "auto" depends on what was asked before
    "Question": readings.gradient_times_input,
    "Region": lambda a: (a.radius(), a.certificate(), a.polytope(), a.key, a.ties, a.guards),
    "Ledger": lambda a: (a.kinds, a.by_kind),
    "report": lambda a: a,
    "shelf": lambda a: a.require({"x": X}, single=False).compiled.nodes,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MAKERS)
def test_everything_can_be_sent(name: str, way: str) -> None:
    sent = MAKERS[name]()
    arrived = WAYS[way](sent)
    assert_alike(sent, arrived, name)
    ask = ASKED.get(name)
    if ask is not None:
        assert_alike(ask(sent), ask(arrived), name)


def test_what_is_asked_is_among_what_is_made() -> None:
    assert ASKED.keys() <= MAKERS.keys()


def kinds_within(thing: Any) -> Iterator[str]:
    yield type(thing).__name__
    for one in thing if isinstance(thing, list | tuple) else ():
        yield type(one).__name__


def test_nothing_public_is_left_out() -> None:
    made = {kind for make in MAKERS.values() for kind in kinds_within(make())}
    errors = {name for name in testing.__all__ if name.endswith("Error")}
    for room in (readings, testing):
        public = {n for n in room.__all__ if inspect.isclass(getattr(room, n))}
        assert public - errors <= made


def errors() -> list[type[BaseException]]:
    """Every exception that onnxlin defines."""
    found: dict[type[BaseException], None] = {}
    for module in pkgutil.walk_packages(onnxlin.__path__, "onnxlin."):
        if module.name.endswith("__main__"):
            continue
        for kind in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(kind) and issubclass(kind, BaseException):
                found |= {kind: None} if kind.__module__.startswith("onnxlin") else {}
    return list(found)


@pytest.mark.parametrize("kind", errors())
def test_errors_can_be_sent(kind: type[BaseException]) -> None:
    own = kind.__init__ is not Exception.__init__ and inspect.isfunction(kind.__init__)
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:] if own else []
    wanted = [f"text {p.name}" for p in parameters if p.default is p.empty]
    error = kind(*wanted or ["text"])
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is kind
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


def test_a_raised_error_can_be_sent() -> None:
    with pytest.raises(OnnxlinError) as found:
        lin()(np.zeros(7))
    assert str(pickle.loads(pickle.dumps(found.value))) == str(found.value)


def wide(n: int = 300) -> onnx.ModelProto:
    """A net of which nearly everything is weights."""
    proto = model(
        f"g (float[1,{n}] x) => (float[1,{n}] y) "
        "{ h = MatMul(x, A) r = Relu(h) z = MatMul(r, B) y = Add(z, c) }"
    )
    rng = np.random.default_rng(0)
    for name, shape in (("A", (n, n)), ("B", (n, n)), ("c", (n,))):
        array = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return proto


def test_weights_travel_once() -> None:
    at = Linearizer(wide())
    weights = sum(array.nbytes for array in at.graph.initialisers.values())
    assert weights > 2 * LARGE
    assert len(pickle.dumps(at)) < weights + 20_000
    x = np.ones((1, 300), np.float32)
    maps = [at(x, rows=[0]), at(2 * x, rows=[1])]
    # Maps that are sent together share the model.
    assert len(pickle.dumps(maps)) < weights + 60_000
    assert len(pickle.dumps([m.without_program() for m in maps])) < 20_000
    at(x, rows=range(4), engine="compiled").W  # noqa: B018
    # A compiled graph reads the same weights, and writes two of them transposed at most.
    assert len(pickle.dumps(at)) < 2 * weights + 60_000


def test_small_weights_travel_once() -> None:
    at = Linearizer(wide(100))
    weights = sum(array.nbytes for array in at.graph.initialisers.values())
    assert all(array.nbytes < LARGE for array in at.graph.initialisers.values())
    sent = pickle.dumps(at)
    assert len(sent) < weights + 20_000
    assert_alike(dict(at.graph.initialisers), dict(pickle.loads(sent).graph.initialisers))


def test_weights_in_nodes_travel_once() -> None:
    proto = wide()
    stored = proto.graph.initializer.pop(0)
    proto.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["A"], value=stored))
    at, x = Linearizer(proto), np.ones((1, 300), np.float32)
    weights = sum(len(t.raw_data) for t in (stored, *proto.graph.initializer))
    sent = pickle.dumps(at)
    assert len(sent) < weights + 20_000
    np.testing.assert_array_equal(pickle.loads(sent)(x, rows=[0]).W, at(x, rows=[0]).W)


def test_a_compiled_graph_that_stands_is_not_compiled_again(monkeypatch) -> None:
    at = Linearizer(mlp())
    m = at(X, engine="compiled")
    arrived = pickle.loads(pickle.dumps(at))
    monkeypatch.setattr(
        "onnxlin.engines.compiled.sessions.compile_section",
        lambda *a, **k: pytest.fail("compiled again"),
    )
    again = arrived(X)
    assert again.engine == "compiled"
    np.testing.assert_array_equal(again.W, m.W)


def test_a_graph_that_cannot_be_opened_on_arrival_is_done_without(monkeypatch) -> None:
    at = Linearizer(mlp())
    W = at(X, engine="compiled").W
    arrived = pickle.loads(pickle.dumps(at))

    def refuse(*_) -> None:
        raise NotStaticError("an older onnxruntime")

    monkeypatch.setattr("onnxlin.engines.compiled.sessions.Runner", refuse_type(refuse))
    m = arrived(X)
    assert m.engine != "compiled"
    assert_same_rows(m, W)
    with pytest.raises(onnxlin.OptionError, match="an older onnxruntime"):
        arrived(X, engine="compiled")


def refuse_type(refuse: Callable[..., None]) -> type:
    """A class, as it is asked for by `isinstance`, that nobody can make."""
    return type("Runner", (), {"__init__": lambda self, *a, **_: refuse(*a)})


def test_a_session_is_opened_when_it_is_needed(monkeypatch) -> None:
    sent = pickle.dumps(Linearizer(mlp()))
    opened = []
    true = onnxlin.runtime.session.onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxlin.runtime.session.onnxruntime,
        "InferenceSession",
        lambda *a, **k: opened.append(1) or true(*a, **k),
    )
    arrived = pickle.loads(sent)
    assert arrived.section.outputs == ("y",)
    assert not opened
    arrived(X)
    assert opened


def test_external_data_travels_along(tmp_path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(wide(), path, save_as_external_data=True, location="net.data")
    at, x = Linearizer(path), np.ones((1, 300), np.float32)
    sent = pickle.dumps(at)
    for file in tmp_path.iterdir():
        file.unlink()
    np.testing.assert_array_equal(pickle.loads(sent)(x).W, at(x).W)


def test_initialisers_that_x_gives_travel_along(tmp_path) -> None:
    proto = model(
        "g (float[1,2] x, float[2] c) => (float[1,2] y) <float[2] c = {1.0, 2.0}> "
        "{ z = Mul(x, c) y = Relu(z) }"
    )
    path = tmp_path / "net.onnx"
    onnx.save(proto, path)
    at, x = Linearizer(path), np.ones((1, 2), np.float32)
    given = {"x": x, "c": np.float32([3.0, -4.0])}
    sent = pickle.dumps(at)
    path.unlink()
    arrived = pickle.loads(sent)
    for one in (x, given):
        assert_alike(at(one), arrived(one))
    np.testing.assert_array_equal(arrived(given).W, [[3.0, 0.0], [0.0, 0.0]])
    assert_alike(at(given), pickle.loads(pickle.dumps(at))(given))


def test_options_of_sessions_travel_along() -> None:
    options = for_compiled(threads=1)
    options.use_deterministic_compute = True
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    parts = apart(options)
    arrived = together(pickle.loads(pickle.dumps(parts)))
    assert apart(arrived) == parts
    assert arrived.intra_op_num_threads == 1
    assert arrived.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    at = Linearizer(mlp(), session_options=options)
    again = pickle.loads(pickle.dumps(at))
    np.testing.assert_array_equal(again(X, engine="compiled").W, at(X, engine="compiled").W)


def test_a_map_without_program_says_so() -> None:
    m = fresh().verify()
    alone = pickle.loads(pickle.dumps(m.without_program()))
    assert alone.detached
    np.testing.assert_array_equal(alone.bound, m.bound)
    with pytest.raises(onnxlin.DetachedError, match="layers needs the linear program"):
        alone.layers  # noqa: B018


def test_a_map_from_a_file_can_be_sent(tmp_path) -> None:
    for engine in ("reverse", "compiled"):
        lin()(X, engine=engine).save(tmp_path / "m.npz")
        m = AffineMap.load(tmp_path / "m.npz")
        assert_alike(m, pickle.loads(pickle.dumps(m)))


def test_a_deep_copy_has_arrays_of_its_own() -> None:
    m = fresh()
    W, origin = m.W.copy(), m.made_from("the test")
    other = copy.deepcopy(m)
    other.W[:] = 0
    other.inputs["x"] = other.inputs["x"] + 1
    np.testing.assert_array_equal(m.W, W)
    np.testing.assert_array_equal(m.inputs["x"], X)
    assert other.made_from("the test") is origin


def test_a_digest_is_of_the_contents(tmp_path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(mlp(), path)
    at = Linearizer(path)
    same = [Linearizer(mlp()), Linearizer(path.read_bytes()), pickle.loads(pickle.dumps(at))]
    assert {one.digest for one in same} == {at.digest}
    changed = mlp()
    weight = onnx.numpy_helper.to_array(changed.graph.initializer[0]).copy()
    weight[0, 0] += 1
    changed.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, "A"))
    others = [
        Linearizer(changed),
        Linearizer(mlp(), mode="frozen"),
        Linearizer(mlp(), outputs="h"),
    ]
    assert len({at.digest, *(one.digest for one in others)}) == 4
    assert at.__dask_tokenize__() == same[0].__dask_tokenize__()
    by_other_means = [
        Linearizer(mlp(), memory="1GiB"),
        Linearizer(mlp(), threads=1),
        Linearizer(mlp(), session_options=for_compiled(threads=1)),
    ]
    assert {one.digest for one in by_other_means} == {at.digest}
    assert len({at.__dask_tokenize__(), *(one.__dask_tokenize__() for one in by_other_means)}) == 4


def test_messages_travel_once() -> None:
    graph = lin().graph
    arrived = pickle.loads(pickle.dumps(graph))
    for node, proto in zip(arrived.nodes, arrived.model.graph.node, strict=True):
        assert node.source is proto or node.source == proto
    assert not any(a.flags.writeable for a in arrived.initialisers.values())
    # A node that lies in no model takes its message along.
    alone = replace(graph.nodes[0], source=onnx.NodeProto(op_type="Gemm"))
    other = pickle.loads(pickle.dumps(replace(graph, nodes=(alone,))))
    assert other.nodes[0].source.op_type == "Gemm"
