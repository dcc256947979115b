"""``python -m tests.files.killed FOLDER``: kill writers of every kind of file at every step."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import onnx

from onnxlin import AffineMap, archives, files
from onnxlin.affine_map import stored
from onnxlin.engines.compiled.export.files import save
from tests.files.steps import killed_at_every_step

SIZE = 130  # of a weight: above what is kept inside of a model


def plain(folder: Path) -> int:
    path = folder / "page.html"
    texts = (b"older" * 1000, b"newer" * 20_000)
    files.write(path, texts[0])

    def is_whole() -> None:
        assert path.read_bytes() in texts

    return killed_at_every_step(lambda: files.write(path, texts[1]), is_whole)


def a_map(folder: Path) -> int:
    path = folder / "map.npz"
    older, newer = (linear(slope) for slope in (1.0, 2.0))
    archives.write(path, older)

    def is_whole() -> None:
        assert AffineMap.load(path).W[0, 0] in (1.0, 2.0)

    return killed_at_every_step(lambda: archives.write(path, newer), is_whole)


def linear(slope: float) -> dict[str, np.ndarray]:
    """The file of a map with one row and many columns."""
    one, n = np.ones(1), 1000
    about = {"format": stored.FORMAT, "version": stored.VERSION, "inputs": {"x": [n]}, "plan": ""}
    about |= {"outputs": {"y": [1]}, "mode": "tangent", "engine": "reverse", "bias_nodes": []}
    arrays = {"about": np.array(json.dumps(about)), "W": np.full((1, n), slope), "b": 0 * one}
    arrays |= {"x": np.zeros(n), "y": 0 * one, "output": 0 * one, "residual": 0 * one}
    arrays |= {"bias_by_node": np.zeros((0, 1)), "row_index": np.zeros(1, np.int64)}
    return arrays | {"sha256": np.array(stored.checksum(arrays))}


def weighty(value: float) -> onnx.ModelProto:
    """A model with a large weight of one number."""
    weight = np.full((SIZE, SIZE), value, np.float32)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        f"g{value}",
        [onnx.helper.make_tensor_value_info("x", 1, [1, SIZE])],
        [onnx.helper.make_tensor_value_info("y", 1, [1, SIZE])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    return onnx.helper.make_model(graph)


def value_of(path: Path) -> float:
    """Load a pair; the model and its weights must be of one saving."""
    model = onnx.load(path)
    weight = onnx.numpy_helper.to_array(model.graph.initializer[0])
    assert model.graph.name == f"g{weight[0, 0]}"
    assert (weight == weight[0, 0]).all()
    return float(weight[0, 0])


def a_pair(folder: Path) -> int:
    path = folder / "net.onnx"
    save(weighty(1.0), path, True)

    def is_whole() -> None:
        assert value_of(path) in (1.0, 2.0)

    return killed_at_every_step(lambda: save(weighty(2.0), path, True), is_whole)


def a_first_pair(folder: Path) -> int:
    path = folder / "first.onnx"

    def is_whole() -> None:
        assert not path.exists() or value_of(path) == 3.0

    return killed_at_every_step(lambda: save(weighty(3.0), path, True), is_whole)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    for what in (plain, a_map, a_pair, a_first_pair):
        print(what.__name__, what(where))
    # A whole writing after all those killed leaves nothing of its own behind.
    save(weighty(4.0), where / "net.onnx", True)
    left = sorted(name for name in os.listdir(where) if not name.endswith(".part"))
    assert left == ["first.onnx", "first.onnx.data", "map.npz", "net.onnx", "net.onnx.data",
                    "page.html"], left  # fmt: skip
