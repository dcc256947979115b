"""No compiled graph rests on an operation over an empty axis, unless the model has one itself.

Some runtimes sum along such an axis to the wrong shape, or fail at tensors without entries.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onnxlin
from onnxlin import Linearizer
from onnxlin.engines.compiled.compile import NAMES
from onnxlin.graph import Array
from onnxlin.graph.subgraphs import reads
from onnxlin.runtime import session as door
from onnxlin.runtime.session import opened, without_optimisers
from onnxlin.testing import GrownModel, onnx_models
from onnxlin.testing.models import quantised_models
from tests.proofs import instance
from tests.small import model
from tests.test_fixtures import ODD, TRAINED, named

few = settings(max_examples=max(settings().max_examples // 2, 1))
DIRECTIONS = sorted(NAMES)
# Linear without a bias, by one row or several, one input or two.
BARE = [
    "g (float[2,3] x) => (float[3,2] y) { y = Transpose(x) }",
    "g (float[4] x) => (float[4] y) { y = Relu(x) }",
    "g (float[4] x) => (float[4] y) { y = Neg(x) }",
    "g (float[2] x, float[2] z) => (float[4] y) { y = Concat<axis=0>(x, z) }",
    "g (float[1,1,4,4] x) => (float[1,1,2,2] y)"
    " { y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) }",
]


def tensors(made: onnx.ModelProto, feeds: dict[str, Array]) -> dict[str, Any]:
    """Every tensor of a run."""
    whole = onnx.ModelProto()
    whole.CopyFrom(made)
    names = [name for node in whole.graph.node for name in node.output if name]
    del whole.graph.output[:]
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    found = opened(whole, without_optimisers(threads=1)).run(names, feeds)
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in whole.graph.initializer}
    return stored | feeds | dict(zip(names, found, strict=True))


def empty(made: onnx.ModelProto, feeds: dict[str, Array]) -> dict[str, str]:
    """Tensors of no entries that nodes read or write, each with such a node.

    The shape of a scalar is none: a list of no lengths.
    """
    found = tensors(made, feeds)
    found = {n: v for n, v in found.items() if np.shape(v) != (0,) or v.dtype != np.int64}
    return {
        name: node.op_type
        for node in made.graph.node
        for name in (*reads(node), *node.output)
        if isinstance(found.get(name), np.ndarray) and not found[name].size
    }


def feeds_of(made: onnx.ModelProto, x: dict[str, Array]) -> dict[str, Array]:
    """x, and two seeds, or the one that a graph of one row takes."""
    (given,) = (i for i in made.graph.input if i.name not in x)
    sides = [d.dim_value for d in given.type.tensor_type.shape.dim]
    kind = onnx.helper.tensor_dtype_to_np_dtype(given.type.tensor_type.elem_type)
    return x | {given.name: np.ones((sides[0] or 2, *sides[1:]), kind)}


def assert_nothing_is_empty(model: Any, x: dict[str, Array], **options: Any) -> None:
    """Hold the files of both directions, with shares where there are any, to it."""
    for direction in DIRECTIONS:
        try:
            made = onnxlin.compile_model(model, x=x, direction=direction, **options)
        except onnxlin.CompileError:
            return
        assert empty(made, feeds_of(made, x)) == {}


def is_whole(grown: GrownModel) -> bool:
    every = {**grown.tensors(floats=False), **grown.x}
    stored = [onnx.numpy_helper.to_array(t) for t in grown.model.graph.initializer]
    return all(np.size(value) for value in (*every.values(), *stored))


@given(onnx_models(min_nodes=2, max_nodes=6))
def test_no_random_graph(grown: GrownModel) -> None:
    if is_whole(grown):
        assert_nothing_is_empty(grown.model, grown.x)


@few
@given(quantised_models(), st.sampled_from(["staircase", "straight-through"]))
def test_no_quantised_graph(grown: GrownModel, rounding: str) -> None:
    if is_whole(grown):
        assert_nothing_is_empty(grown.model, grown.x, rounding=rounding)


@pytest.mark.parametrize("path", [*TRAINED, *ODD], ids=named)
def test_no_fixture(path: Path) -> None:
    lin = Linearizer(path)
    stored = path.with_suffix(".npz")
    x = lin.feeds(dict(np.load(stored)) if path in ODD else instance(onnx.load(path), seed=3))
    own = lin.trace(x)
    if not all(np.size(value) for value in own.values() if isinstance(value, np.ndarray)):
        pytest.skip("the model has empty tensors itself")
    assert_nothing_is_empty(path, x)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[onnx.ModelProto]:
    """The graphs that sessions of the engine are opened with, without their large weights."""

    found: list[onnx.ModelProto] = []
    true = door.opened

    def kept(made: onnx.ModelProto, *given: Any, **options: Any) -> Any:
        if "rounds" in options:
            found.append(made)
        return true(made, *given, **options)

    monkeypatch.setattr(door, "opened", kept)
    return found


@pytest.mark.parametrize("text", BARE)
@pytest.mark.parametrize("rows", [None, [0], []], ids=["all", "one", "none"])
def test_without_biases(text: str, rows: Any, seen: list[onnx.ModelProto]) -> None:
    """b is 0, of the right shape, and so are the files' ``seeds_b``; several at once as well."""
    proto = model(text)
    lin = Linearizer(proto)
    rng = np.random.default_rng(0)
    x = {n: rng.normal(size=k.shape).astype(np.float32) for n, k in lin.graph.inputs.items()}
    m = lin(x, rows, engine="compiled").verify()
    assert m.b.shape == (len(m.rows),)
    assert not m.b.any()
    assert dict(m.bias_by_node) == {}
    stacks = {name: np.stack([value] * 5) for name, value in x.items()}
    for one in lin.map(stacks, rows, engine="compiled"):
        np.testing.assert_array_equal(one.W, m.W)
        assert not one.b.any()
    assert seen
    for made in seen:
        given = {i.name: tuple(d.dim_value for d in i.type.tensor_type.shape.dim)
                 for i in made.graph.input}  # fmt: skip
        feeds = {name: np.ones([n or 2 for n in given[name]], np.float32) for name in given}
        assert empty(made, feeds) == {}
    made = onnxlin.compile_model(proto)
    (found,) = opened(made, without_optimisers()).run(["seeds_b"], feeds_of(made, x))
    np.testing.assert_array_equal(found, np.zeros(2))


def test_shares_of_nothing_are_empty_where_they_are_asked_for() -> None:
    """The one exception: an output of no columns, which no node reads."""
    made = onnxlin.compile_model(model(BARE[1]), shares=True)
    feeds = feeds_of(made, {"x": np.ones(4, np.float32)})
    found = dict(zip([o.name for o in made.graph.output],
                     opened(made, without_optimisers()).run(None, feeds), strict=True))  # fmt: skip
    assert found["shares"].shape == (2, 0)
    assert found["seeds_b"].shape == (2,)


def test_a_sum_over_nothing_is_seen() -> None:
    """Planted: what older versions wrote."""
    text = """g (float[K,4] seeds) => (float[K] b) <int64[1] axis = {1}, int64[1] none = {0}> {
        nothing = Slice(seeds, none, none, axis)  b = ReduceSum<keepdims=0>(nothing, axis) }"""
    found = empty(model(text), {"seeds": np.ones((2, 4), np.float32)})
    assert found == {"nothing": "ReduceSum"}
