"""Weights that stay in their files: the same maps, and nothing said of a file that has changed."""

from __future__ import annotations

import os
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import graph
from onnxlin.graph import mapped
from onnxlin.load import load
from onnxlin.runtime import referring
from tests.small import model

X = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
TEXT = """g (float[3,8] x) => (float[3,4] y)
{ h = MatMul(x, a)  t = Tanh(h)  n = LayerNormalization(t, s)  z = MatMul(n, b)  y = Add(z, c) }"""
ENGINES = ("reverse", "forward", "explicit", "compiled")


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {"a": (8, 16), "s": (16,), "b": (16, 4), "c": (4,)}
    return {n: rng.standard_normal(shape).astype(np.float32) for n, shape in shapes.items()}


def write(path: Path, seed: int = 0) -> Path:
    """A model and its weights in a file beside it, none of them where an aligned one would be."""
    proto, data = model(TEXT), b"."
    for name, array in weights(seed).items():
        tensor = proto.graph.initializer.add(name=name, data_type=1, dims=array.shape)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        told = {"location": f"{path.name}.data", "offset": len(data), "length": array.nbytes}
        for key, value in told.items():
            tensor.external_data.add(key=key, value=str(value))
        data += array.tobytes()
    path.write_bytes(proto.SerializeToString())
    path.with_name(f"{path.name}.data").write_bytes(data)
    return path


@pytest.fixture
def path(tmp_path, monkeypatch) -> Path:
    """Of a model all of whose weights are mapped but the vectors."""
    for room in (mapped, graph.weights):
        monkeypatch.setattr(room, "LARGE", 100)
    return write(tmp_path / "m.onnx")


def data_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.data")


def test_large_weights_are_views_of_the_file(path) -> None:
    loaded = load(path)
    (file,) = loaded.files
    assert {n for n, a in loaded.initialisers.items() if mapped.file_of(a) is file} == {"a", "b"}
    for name, array in weights().items():
        assert np.array_equal(loaded.initialisers[name], array)
        assert not loaded.initialisers[name].flags.writeable
    assert mapped.place_of(loaded.initialisers["b"]) == (file, 1 + 4 * (8 * 16 + 16))
    assert mapped.place_of(loaded.initialisers["b"].T) is None
    # As a proto it is not written to, and read whole where that is asked for.
    proto = onnx.load(path, load_external_data=False)
    assert load(proto, base_dir=path.parent).files
    assert proto == onnx.load(path, load_external_data=False)
    assert not load(onnx.load(path)).files


@pytest.mark.parametrize("mode", ["tangent", "frozen"])
@pytest.mark.parametrize("engine", ENGINES)
def test_maps_are_the_same_to_the_last_bit(path, engine, mode) -> None:
    one = onnxlin.linearize(path, X, engine=engine, mode=mode)
    other = onnxlin.linearize(onnx.load(path), X, engine=engine, mode=mode)
    for a, b in ((one.W, other.W), (one.b, other.b), (one.y, other.y)):
        assert a.tobytes() == b.tobytes()
    one.verify()
    assert onnxlin.Linearizer(path).digest == onnxlin.Linearizer(onnx.load(path)).digest


def gone(path: Path) -> None:
    os.remove(data_of(path))


def replaced(path: Path) -> None:
    os.replace(data_of(write(path.with_name("n.onnx"), seed=1)), data_of(path))


@pytest.mark.parametrize("change", [gone, replaced])
def test_a_file_that_is_gone_or_renamed_over_is_there_for_who_has_it(path, change) -> None:
    """For what is opened after that, too."""
    lin, expected = onnxlin.Linearizer(path), onnxlin.linearize(onnx.load(path), X)
    m = lin(X, engine="reverse")
    change(path)
    assert lin(X, engine="reverse").W.tobytes() == expected.W.tobytes()
    lin(X, engine="compiled").verify()
    lin._ready.builder.tracer._session.runtime.rest()
    assert lin(X, engine="reverse").W.tobytes() == expected.W.tobytes()
    assert len(m.layers) == 5
    sent = pickle.loads(pickle.dumps(lin))
    assert not sent.graph.files
    assert sent(X, engine="reverse").W.tobytes() == expected.W.tobytes()


def written_to(path: Path) -> None:
    write(path, seed=1)


def cut_short(path: Path) -> None:
    os.truncate(data_of(path), 1)


@pytest.mark.parametrize("change", [written_to, cut_short])
def test_a_file_that_is_written_to_is_refused(path, change) -> None:
    lin = onnxlin.Linearizer(path)
    m = lin(X, engine="compiled")
    same = lin(X, engine="reverse")
    change(path)
    os.utime(data_of(path), ns=(0, 0))  # however coarse the clock of the file system is
    asked = [partial(lin, X, engine=engine) for engine in ENGINES]
    asked += [lambda: m.layers, m.operator, lambda: same.bound, lambda: lin.run(X)]
    for ask in asked:
        with pytest.raises(onnxlin.ModelError, match=r"'m.onnx.data' .* has been written to"):
            ask()
    assert m.W.shape == (12, 24)


def test_a_runtime_that_goes_to_no_files_is_given_the_weights(path, monkeypatch) -> None:
    expected = onnxlin.linearize(path, X, engine="compiled")
    monkeypatch.setattr(referring, "FOLDER", "session.of_no_meaning")
    found = onnxlin.linearize(path, X, engine="compiled")
    assert found.W.tobytes() == expected.W.tobytes()
