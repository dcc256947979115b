"""Small models of every kind of input that a page knows, with an instance of each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.readings.stream.nets import IDS
from tests.readings.stream.nets import transformer as decoder

WORDS = ["[PAD]", "a", "good", "bad", "film", "</script>", "not", "<b>"]
CLASSES = ["setosa </script><script>alert(1)</script>", 'versi"color', "virginica"]
FEATURES = ("sepal length", "sepal width", "petal length", "petal width", "<i>age</i>")


@dataclass(frozen=True)
class Pair:
    """A model and an input, both files."""

    model: str
    source: str


def _save(path: Path, nodes, x, y, metadata=None, **initialisers) -> str:
    name, kind, shape = x
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in initialisers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {k: json.dumps(v) for k, v in (metadata or {}).items()})
    onnx.save(model, path)
    return str(path)


def _dense(rng, n, *sizes):
    found, before = {}, n
    for i, size in enumerate(sizes):
        found[f"w{i}"] = rng.standard_normal((before, size)).astype(np.float32) / before**0.5
        found[f"b{i}"] = rng.standard_normal(size).astype(np.float32)
        before = size
    return found


def table(folder: Path) -> Pair:
    """Five named features, three classes; names hold markup."""
    rng = np.random.default_rng(1)
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["h"], "hidden </script>"),
        helper.make_node("Relu", ["h"], ["r"], "relu"),
        helper.make_node("Gemm", ["r", "w1", "b1"], ["y"], "<img src=x onerror=alert(1)>"),
    ]
    path = _save(
        folder / "table.onnx", nodes, ("x", TensorProto.FLOAT, (1, 5)), (1, 3),
        {"classes": CLASSES}, **_dense(rng, 5, 8, 3),
    )  # fmt: skip
    source = folder / "row.csv"
    source.write_text(",".join(FEATURES) + "\n5.1,3.5,-1.4,0,42\n")
    return Pair(path, str(source))


def series(folder: Path, channels: int = 2, time: int = 40, *, last: bool = False) -> Pair:
    """A convolution along a series of (1, channels, time), or (1, time, channels)."""
    rng = np.random.default_rng(2)
    weights = _dense(rng, 4, 3)
    weights["k"] = rng.standard_normal((4, channels, 5)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["t" if last else "x", "k"], ["h"], "conv", pads=[2, 2]),
        helper.make_node("Relu", ["h"], ["r"], "relu"),
        helper.make_node("ReduceMean", ["r"], ["m"], "mean", axes=[2], keepdims=0),
        helper.make_node("Gemm", ["m", "w0", "b0"], ["y"], "dense"),
    ]
    if last:
        nodes.insert(0, helper.make_node("Transpose", ["x"], ["t"], "turn", perm=[0, 2, 1]))
    shape = (1, time, channels) if last else (1, channels, time)
    path = _save(folder / "series.onnx", nodes, ("x", TensorProto.FLOAT, shape), (1, 3), **weights)
    at = np.arange(time) / 6
    x = np.stack([np.sin(at * (c + 1)) + 0.1 * rng.standard_normal(time) for c in range(channels)])
    x = (x.T if last else x)[None].astype(np.float32)
    source = folder / "series.npy"
    np.save(source, x)
    return Pair(path, str(source))


def tokens(folder: Path, *, vocabulary: bool = True) -> Pair:
    """Five tokens, embedded in three numbers each, a net of position-wise units on top."""
    rng = np.random.default_rng(3)
    weights = _dense(rng, 3, 6, 2)
    weights["table"] = rng.standard_normal((len(WORDS), 3)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["ids", "table"][::-1], ["e"], "embed"),
        helper.make_node("MatMul", ["e", "w0"], ["p"], "project"),
        helper.make_node("Add", ["p", "b0"], ["h"], "shift"),
        helper.make_node("Relu", ["h"], ["r"], "relu"),
        helper.make_node("ReduceMean", ["r"], ["m"], "mean", axes=[1], keepdims=0),
        helper.make_node("Gemm", ["m", "w1", "b1"], ["y"], "dense"),
    ]
    metadata = {"classes": ["negative", "positive"]}
    if vocabulary:
        metadata["vocabulary"] = WORDS
    ids = ("ids", TensorProto.INT64, (1, "T"))
    path = _save(folder / "tokens.onnx", nodes, ids, (1, 2), metadata, **weights)
    source = folder / "ids.npy"
    np.save(source, np.array([[1, 6, 2, 5, 4, 7]], np.int64))
    return Pair(path, str(source))


def photo(folder: Path, side: int = 224) -> Pair:
    """A colour picture of ImageNet's size, in a net with 1,000 outputs."""
    rng = np.random.default_rng(4)
    weights = _dense(rng, 8, 1000)
    weights["k"] = rng.standard_normal((8, 3, 7, 7)).astype(np.float32) / 12
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], "conv", strides=[4, 4], pads=[3, 3, 3, 3]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("MaxPool", ["r"], ["p"], "pool", kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["p"], ["g"], "mean"),
        helper.make_node("Flatten", ["g"], ["f"], "flat"),
        helper.make_node("Gemm", ["f", "w0", "b0"], ["y"], "dense"),
    ]
    x = ("x", TensorProto.FLOAT, (1, 3, side, side))
    path = _save(folder / "photo.onnx", nodes, x, (1, 1000), **weights)
    at = np.linspace(0, 1, side)
    waves = [np.outer(np.sin(9 * at * (c + 1)), np.cos(7 * at)) for c in range(3)]
    noise = 0.1 * rng.standard_normal((3, side, side))
    source = folder / "photo.npy"
    np.save(source, (np.stack(waves) + noise)[None].astype(np.float32))
    return Pair(path, str(source))


def transformer(folder: Path) -> Pair:
    """A small decoder that scores the next of eleven words."""
    path, source = folder / "transformer.onnx", folder / "ids.npy"
    onnx.save(decoder(), path)
    np.save(source, IDS)
    return Pair(str(path), str(source))
