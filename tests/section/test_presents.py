"""Caches of a decoder: held where they come in, passed over where they go out, empty or filled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.load import load
from onnxlin.section.starts import presents
from onnxlin.testing import assert_linearizes
from tests.small import model

WIDTH, TOKENS = 4, 3


@dataclass(frozen=True)
class Decoder:
    """One step of attention: what stands for the names of its caches, and how it begins."""

    past: tuple[str, str] = ("past_key_values.0.key", "past_key_values.0.value")
    present: tuple[str, str] = ("present.0.key", "present.0.value")
    begins: str = "ids"

    def proto(self, *, with_past: bool = True) -> onnx.ModelProto:
        nodes = "e = Gather(table, ids)" if self.begins == "ids" else "e = Identity(ids)"
        kind = "int64[1,3]" if self.begins == "ids" else f"float[1,3,{WIDTH}]"
        given = f"{kind} ids"
        for name, new in (("k", "key"), ("v", "value")):
            nodes += f" {name}0 = MatMul(e, {new}) {name}1 = Unsqueeze({name}0, one)"
            joined = f"Concat<axis = 2>(past_{new}, {name}1)" if with_past else f"Neg({name}1)"
            nodes += f" present_{new} = {joined}"
            given += f", float[1,1,p,{WIDTH}] past_{new}" if with_past else ""
        nodes += """ q0 = MatMul(e, query) q1 = Unsqueeze(q0, one)
            t0 = Transpose<perm = [0,1,3,2]>(present_key) s = MatMul(q1, t0)
            w = Softmax(s) a = MatMul(w, present_value) z = Squeeze(a, one) logits = MatMul(z, head)
            """
        ends = f"float[1,1,t,{WIDTH}] present_key, float[1,1,t,{WIDTH}] present_value"
        proto = model(f"g ({given}) => (float logits, {ends}) {{ {nodes} }}")
        drawn = np.random.default_rng(0)
        arrays = {n: drawn.normal(size=(WIDTH, WIDTH)) for n in ("key", "value", "query")}
        arrays |= {"head": drawn.normal(size=(WIDTH, 7)), "table": drawn.normal(size=(7, WIDTH))}
        stored = {name: a.astype(np.float32) for name, a in arrays.items()}
        stored |= {"one": np.array([1])}
        read = {name for node in proto.graph.node for name in node.input}
        proto.graph.initializer.extend(
            onnx.numpy_helper.from_array(a, n) for n, a in stored.items() if n in read
        )
        names = {"past_key": self.past[0], "past_value": self.past[1]}
        return renamed(
            proto, names | {"present_key": self.present[0], "present_value": self.present[1]}
        )

    def feeds(self, length: int) -> dict[str, np.ndarray]:
        drawn = np.random.default_rng(length)
        ids = np.array([[3, 5, 1]]) if self.begins == "ids" else drawn.normal(size=(1, 3, WIDTH))
        caches = {name: drawn.normal(size=(1, 1, length, WIDTH)) for name in self.past}
        return {"ids": ids, **caches}


def renamed(proto: onnx.ModelProto, names: dict[str, str]) -> onnx.ModelProto:
    for node in proto.graph.node:
        for ends in (node.input, node.output):
            ends[:] = [names.get(name, name) for name in ends]
    for info in (*proto.graph.input, *proto.graph.output):
        info.name = names.get(info.name, info.name)
    return proto


DECODERS = {
    "named": Decoder(),
    "outputs without names": Decoder(present=("cat_3", "cat_7")),
    "vectors of tokens given": Decoder(begins="embeds"),
}


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("length", [0, 2])
@pytest.mark.parametrize("mode", ["tangent", "frozen"])
def test_a_step_of_a_decoder(name: str, length: int, mode: str) -> None:
    decoder = DECODERS[name]
    proto, x = decoder.proto(), decoder.feeds(length)
    m = onnxlin.linearize(proto, x, mode=mode).verify()
    assert list(m.outputs) == ["logits"]
    assert list(m.inputs) == ["e" if decoder.begins == "ids" else "ids"]
    first = decoder.present[0]
    assert f"{first}, {decoder.present[1]} are caches for the next step" in m.notes[1]
    assert f"outputs=['logits', '{first}'] takes one in" in m.notes[1]
    assert "caches (past_key_values.0.key, past_key_values.0.value)" in m.notes[0]
    assert_linearizes(proto, x, mode=mode)


@pytest.mark.parametrize("length", [0, 2])
def test_caches_on_both_sides_where_they_are_asked_for(length: int) -> None:
    decoder = DECODERS["named"]
    x = decoder.feeds(length)
    ends: dict[str, Any] = {"inputs": "tokens+caches", "outputs": ["logits", *decoder.present]}
    m = onnxlin.linearize(decoder.proto(), x, **ends).verify()
    assert m.W.shape == (3 * 7 + 2 * (length + 3) * WIDTH, 3 * WIDTH + 2 * length * WIDTH)
    kept = m.W[21 : 21 + length * WIDTH, m.columns_of["past_key_values.0.key"]]
    np.testing.assert_array_equal(kept, np.eye(length * WIDTH))
    assert_linearizes(decoder.proto(), x, **ends)


def test_the_first_step_has_no_caches_but_leaves_some() -> None:
    """By their names, and, without any, as the keys and the values of an attention."""
    named = load(DECODERS["named"].proto(with_past=False))
    assert presents(named, list(named.outputs)) == ("present.0.key", "present.0.value")
    bare = load(DECODERS["outputs without names"].proto(with_past=False))
    assert presents(bare, list(bare.outputs)) == ("cat_3", "cat_7")


def test_operators_of_attention_say_which_of_their_outputs_are_caches() -> None:
    proto = model(
        """g (float[1,2,4] q, float[1,2,4] k, float[1,2,4] v)
        => (float y, float[1,2,2,2] one, float[1,2,2,2] two) {
        y, one, two = com.microsoft.MultiHeadAttention<num_heads = 2>(q, k, v) }"""
    )
    proto.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    graph = load(proto)
    assert presents(graph, list(graph.outputs)) == ("one", "two")


@pytest.mark.parametrize(
    "name", ["representation", "represented", "hidden_states", "last_hidden_state", "attentions.0"]
)
def test_other_outputs_stay(name: str) -> None:
    proto = renamed(
        model("g (float[1,3] x) => (float[1,3] y, float[1,3] z) { z = Neg(x) y = Relu(z) }"),
        {"z": name},
    )
    m = onnxlin.linearize(proto, np.ones((1, 3)))
    assert list(m.outputs) == ["y", name]
    assert m.notes == ()


def test_caches_alone_are_what_there_is() -> None:
    text = "g (float[1,3] x) => (float[1,3] present_key, float[1,3] present_value)"
    m = onnxlin.linearize(
        model(text + " { present_key = Neg(x) present_value = Relu(x) }"), np.ones((1, 3))
    )
    assert list(m.outputs) == ["present_key", "present_value"]
    assert m.notes == ()


def test_logits_before_a_softmax_leave_caches_out_as_well() -> None:
    text = """g (float[1,3] x) => (float[1,3] y, float[1,3] present_key)
        { present_key = Neg(x) z = Relu(x) y = Softmax(z) }"""
    m = onnxlin.linearize(model(text), np.ones((1, 3)), outputs="logits")
    assert list(m.outputs) == ["z"]
    assert "present_key is a cache for the next step" in m.notes[0]
