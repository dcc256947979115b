"""A compiled graph with an open batch axis answers for each instance what the graph of one does."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxlin
from onnxlin.engines.compiled.export.batch import INSIDE
from onnxlin.errors import OptionError
from onnxlin.graph import Array
from onnxlin.testing import GrownModel, onnx_models
from tests.engines.compiled.exported import (
    Reference,
    compiled,
    elsewhere,
    facts,
    integers,
    run,
    session,
)
from tests.installed import fewest_rows
from tests.small import X, mlp, model


def stacked(instances: list[dict[str, Array]], first: dict[str, tuple[int, ...]]) -> dict:
    """Side by side; a first axis of 1 becomes theirs."""
    return {
        name: np.stack([x[name][0] if shape[:1] == (1,) else x[name] for x in instances])
        for name, shape in first.items()
    }


@given(
    onnx_models(min_nodes=2),
    st.sampled_from(["adjoint", "tangent"]),
    st.integers(1, 3),
    st.integers(fewest_rows(), 2),
)
def test_each_instance_has_its_own_map_and_rows(
    grown: GrownModel, direction: str, n: int, k: int
) -> None:
    """To the bit, whether or not operators mix along axis 0, and for several inputs and outputs."""
    one = compiled(grown.model, x=grown.x, direction=direction)
    many = compiled(grown.model, x=grown.x, direction=direction, batch=True)
    kind = one.graph.input[-1].type.tensor_type
    width = kind.shape.dim[-1].dim_value
    xs = [grown.x, *(elsewhere(grown.x, seed) for seed in range(1, n))]
    rng = np.random.default_rng(n)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    given_ = [integers(rng, k, width).astype(dtype) for _ in xs]
    name = one.graph.input[-1].name
    alone = session(one)
    want = [run(alone, {**x, name: seeds}) for x, seeds in zip(xs, given_, strict=True)]
    shapes = {n: np.shape(v) for n, v in grown.x.items()}
    found = run(session(many), {**stacked(xs, shapes), name: np.stack(given_)})
    assert list(found) == list(want[0])
    for output, value in found.items():
        each = [w[output] for w in want]
        if output in {o.name for o in one.graph.output} and output not in (
            "seeds_W", "seeds_b", "W_tangents",
        ):  # fmt: skip
            each = [w[0] if w.shape[:1] == (1,) else w for w in each]
        np.testing.assert_array_equal(value, np.stack(each))


def test_rows_are_those_of_the_map(fixtures) -> None:
    """Against the map by another engine, through a default session, at each of three pictures."""
    path = fixtures / "lenet5_mnist.onnx"
    made = onnxlin.compile_model(path, batch=True, shares=True)
    opened = onnxruntime.InferenceSession(made.SerializeToString())
    rng = np.random.default_rng(0)
    xs, seeds = rng.random((3, 1, 28, 28), np.float32), integers(rng, 3, 2, 10)
    found = run(opened, {"image": xs, "seeds": seeds})
    assert {name: value.shape for name, value in found.items()} == {
        "logits": (3, 10), "seeds_W": (3, 2, 784), "seeds_b": (3, 2), "shares": (3, 2, 5),
    }  # fmt: skip
    for i, x in enumerate(xs):
        want = Reference.at(path, x[None])
        want.assert_rows(seeds[i], {name: value[i] for name, value in found.items()})
    gap = np.abs(found["shares"].sum(axis=-1) - found["seeds_b"])
    assert gap.max() < 1e-4


def test_it_says_what_it_is() -> None:
    made = onnxlin.compile_model(mlp(), batch=True)
    assert json.loads(facts(made)["onnxlin.names"])["given"] == "seeds"
    assert facts(made)["onnxlin.batch"] == "N"
    assert "onnxlin.batch" not in facts(onnxlin.compile_model(mlp()))
    texts = {info.name: info.doc_string for info in (*made.graph.input, *made.graph.output)}
    assert texts["seeds"].startswith("(N, K, n_out), ")
    assert texts["seeds_W"].startswith("(N, K, n_in) = seeds @ W")
    assert texts["seeds_b"] == "(N, K) = seeds @ b"
    dims = {i.name: [d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim]
            for i in made.graph.input}  # fmt: skip
    assert dims == {"x": ["N", 3], "seeds": ["N", "K", 2]}
    one = onnxlin.compile_model(mlp())
    assert len(made.SerializeToString()) < len(one.SerializeToString()) + 2**12
    with pytest.raises(OptionError, match="rows= are stored for one instance"):
        onnxlin.compile_model(mlp(), batch=True, rows=[0])


def test_names_that_the_model_has_taken_are_left_alone() -> None:
    proto = model("g (float[1,2] x) => (float[1,2] y) { y = Relu(x) }")
    proto.graph.node[0].input[0] = proto.graph.input[0].name = f"{INSIDE}x"
    proto.graph.node[0].output[0] = proto.graph.output[0].name = f"{INSIDE}y"
    made = compiled(proto, batch=True)
    x = np.array([[1.0, -1.0], [-2.0, 3.0]], np.float32)
    found = run(session(made), {f"{INSIDE}x": x, "seeds": np.stack([np.eye(2, dtype="f")] * 2)})
    np.testing.assert_array_equal(found["seeds_W"], [np.diag(row > 0) for row in x])
    np.testing.assert_array_equal(found[f"{INSIDE}y"], np.maximum(x, 0))


def test_weights_may_lie_beside_it(tmp_path) -> None:
    path = tmp_path / "many.onnx"
    onnxlin.compile_model(mlp(), path, batch=True, external_data=True)
    x = np.concatenate([X, -X])
    seeds = np.stack([np.eye(2, dtype=np.float32)] * 2)
    found = run(onnxruntime.InferenceSession(str(path)), {"x": x, "seeds": seeds})
    for i in range(2):
        want = onnxlin.linearize(mlp(), x[i : i + 1])
        np.testing.assert_allclose(found["seeds_W"][i], want.W, rtol=1e-5)
