"""What a person means by the input of a model of whole numbers, however the file is spelt."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import cli
from onnxlin.load import load
from onnxlin.readings import walk
from onnxlin.section.starts import find_starts
from onnxlin.section.starts.trail import Trail
from onnxlin.testing import assert_linearizes
from tests.small import model

IDS, MASK = np.array([3, 5, 1, 2, 7, 0]), np.array([1, 1, 1, 1, 1, 0])
TYPES, PLACES = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 3, 4, 5])


@dataclass(frozen=True)
class Case:
    """A small net: what its inputs are, what its nodes are, and what each kind should find."""

    nodes: str
    feeds: dict[str, Any] = field(default_factory=lambda: {"ids": IDS})
    tokens: str = "e"
    positions: str = ""
    types: str = ""
    caches: str = ""
    inputs: str = "int64[6] ids"


LAYER = "h = Relu({0})  z = MatMul(h, A)  m = Neg(z)  y = ReduceMax<keepdims = 0>(m, a)"
PICKED = "z = Tanh(h)  at = ArgMax<axis = 0, keepdims = 0>(ids)  y = Gather(z, at)"
WITH = {
    "mask": "int64[6] mask",
    "types": "int64[6] token_type_ids",
    "places": "int64[6] position_ids",
}


def and_(*more: str) -> str:
    return ", ".join(["int64[6] ids", *(WITH[name] for name in more)])


FED = {"ids": IDS, "mask": MASK, "token_type_ids": TYPES, "position_ids": PLACES}


def fed(*names: str) -> dict[str, Any]:
    return {name: FED[name] for name in names}


CASES = {
    "plain": Case("e = Gather(table, ids)  " + LAYER.format("e")),
    "pooled at a token": Case("e = Gather(table, ids)  h = MatMul(e, A)  " + PICKED),
    "pooled at the last one that counts": Case(
        "e = Gather(table, ids)  h = MatMul(e, A)  z = Tanh(h)  t = ReduceSum<keepdims = 0>(mask)  "
        "at = Sub(t, i)  y = Gather(z, at)",
        fed("ids", "mask"),
        inputs=and_("mask"),
    ),
    "scaled": Case("e = Gather(table, ids)  s = Mul(e, two)  " + LAYER.format("s")),
    "padded": Case(
        "p = Equal(ids, none)  o = Where(p, i, ids)  c = Clip(o, none, last)  "
        "e = Gather(table, c)  " + LAYER.format("e")
    ),
    "a transposed table": Case("t = Transpose(columns)  e = Gather(t, ids)  " + LAYER.format("e")),
    "codes": Case(
        "q = Gather(codes, ids)  e = DequantizeLinear(q, two, zero)  " + LAYER.format("e")
    ),
    "codes, dequantised before": Case(
        "t = DequantizeLinear(codes, two, zero)  e = Gather(t, ids)  " + LAYER.format("e")
    ),
    "codes, by hand": Case(
        "q = Gather(codes, ids)  f = Cast<to = 1>(q)  g = Sub(f, half)  e = Mul(g, two)  "
        + LAYER.format("e")
    ),
    "codes, scales of rows": Case(
        "q = Gather(codes, ids)  f = Cast<to = 1>(q)  s = Gather(scales, ids)  e = Mul(f, s)  "
        + LAYER.format("e")
    ),
    "one-hot rows": Case("o = OneHot(ids, n, off)  e = MatMul(o, table)  " + LAYER.format("e")),
    "packed codes": Case(
        "e = com.microsoft.GatherBlockQuantized<block_size = 16, quantize_axis = 1>"
        "(packed, ids, block_scales)  h0 = Slice(e, first, fourth, one)  " + LAYER.format("h0"),
    ),
    "categories that stand for others": Case(
        "c = Gather(groups, ids)  e = Gather(two_rows, c)  " + LAYER.format("e")
    ),
    "positions of shapes": Case(
        "e = Gather(table, ids)  s = Shape(ids)  n1 = Squeeze(s)  r = Range(none, n1, i)  "
        "p = Gather(rows, r)  s1 = Add(e, p)  " + LAYER.format("s1"),
        positions="p",
    ),
    "positions cut off": Case(
        "e = Gather(table, ids)  s = Shape(ids)  p = Slice(rows, a, s)  s1 = Add(e, p)  "
        + LAYER.format("s1"),
        positions="p",
    ),
    "positions given": Case(
        "e = Gather(table, ids)  p = Gather(rows, position_ids)  s1 = Add(p, e)  "
        + LAYER.format("s1"),
        fed("ids", "position_ids"),
        positions="p",
        inputs=and_("places"),
    ),
    "positions counted where ids are no padding": Case(
        "e = Gather(table, ids)  n1 = Equal(ids, none)  n2 = Not(n1)  n3 = Cast<to = 7>(n2)  "
        "c = CumSum(n3, none)  d = Mul(c, n3)  p = Gather(rows, d)  s1 = Add(e, p)  "
        + LAYER.format("s1"),
        positions="p",
    ),
    "positions counted by the mask": Case(
        "e = Gather(table, ids)  c = CumSum(mask, none)  d = Mul(c, mask)  p = Gather(rows, d)  "
        "s1 = Add(e, p)  " + LAYER.format("s1"),
        fed("ids", "mask"),
        positions="p",
        inputs=and_("mask"),
    ),
    "types": Case(
        "e = Gather(table, ids)  t = Gather(two_rows, token_type_ids)  s = Add(e, t)  "
        "p = Gather(rows, places)  s1 = Add(s, p)  " + LAYER.format("s1"),
        fed("ids", "token_type_ids"),
        positions="p",
        types="t",
        inputs=and_("types"),
    ),
    "types that were left out": Case(
        "s = Shape(ids)  z0 = ConstantOfShape<value = int64[1] {0}>(s)  e = Gather(table, ids)  "
        "t = Gather(two_rows, z0)  p = Gather(rows, places)  c = Add(p, t)  s1 = Add(c, e)  "
        + LAYER.format("s1"),
        positions="p",
        types="t",
    ),
    "rotary tables": Case(
        "e = Gather(table, ids)  q = MatMul(e, A)  c = Gather(rows, position_ids)  "
        "s = Sin(c)  h = Mul(q, s)  " + PICKED,
        fed("ids", "position_ids"),
        inputs=and_("places"),
    ),
    "relative positions": Case(
        "e = Gather(table, ids)  b = Gather(square, position_ids)  t0 = Transpose(e)  "
        "s = MatMul(e, t0)  w = Add(s, b)  q = Softmax(w)  v = MatMul(q, e)  " + LAYER.format("v"),
        fed("ids", "position_ids"),
        inputs=and_("places"),
    ),
    "a cache": Case(
        "e = Gather(table, ids)  k = MatMul(e, A)  all = Concat<axis = 0>(past_key_values, k)  "
        "t0 = Transpose(all)  s = MatMul(k, t0)  q = Softmax(s)  v = MatMul(q, all)  "
        + LAYER.format("v"),
        {"ids": IDS, "past_key_values": np.ones((2, 4), np.float32)},
        caches="past_key_values",
        inputs="int64[6] ids, float[2,4] past_key_values",
    ),
    "experts that were chosen": Case(
        "e = Gather(table, ids)  r = MatMul(e, A)  w = ArgMax<axis = 1, keepdims = 0>(r)  "
        "x1 = Gather(rows, w)  u = Mul(x1, e)  " + LAYER.format("u")
    ),
    "two languages": Case(
        "e = Gather(table, ids)  f = Gather(table, mask)  t0 = Transpose(f)  s = MatMul(e, t0)  "
        "q = Softmax(s)  v = MatMul(q, f)  " + LAYER.format("v"),
        fed("ids", "mask"),
        tokens="e f",
        inputs=and_("mask"),
    ),
    "columns of a table": Case(
        "e = Gather(table, ids)  p = Gather(rows, position_ids)  "
        "t = Gather(two_rows, token_type_ids)  all = Concat<axis = 1>(e, p, t)  "
        "f = MatMul(all, B)  " + LAYER.format("f"),
        fed("ids", "position_ids", "token_type_ids"),
        tokens="e p t",
        inputs=and_("places", "types"),
    ),
    "columns that are added": Case(
        "e = Gather(table, ids)  p = Gather(rows, city)  s1 = Add(e, p)  " + LAYER.format("s1"),
        {"ids": IDS, "city": PLACES},
        tokens="e p",
        inputs="int64[6] ids, int64[6] city",
    ),
}
R = np.random.default_rng(0)
CONSTANTS = {
    "table": R.normal(size=(8, 4)), "rows": R.normal(size=(8, 4)),
    "two_rows": R.normal(size=(2, 4)), "square": R.normal(size=(6, 6)),
    "columns": R.normal(size=(4, 8)), "A": R.normal(size=(4, 4)),
    "B": R.normal(size=(12, 4)), "scales": R.uniform(1, 2, (8, 1)), "two": np.array(2.0),
    "half": np.array(7.5), "block_scales": R.uniform(0.1, 0.2, (8, 1)), "off": np.array([0.0, 1.0]),
    "folded": R.normal(size=(6, 4)),
}  # fmt: skip
WHOLE = {
    "first": [0], "fourth": [4], "one": [1], "groups": [0, 1, 1, 0, 1, 0, 0, 1], "places": PLACES,
    "a": [0], "i": 1, "none": 0, "last": 7, "n": 8,
}  # fmt: skip


def net(case: Case) -> onnx.ModelProto:
    packed = "Quantized" in case.nodes
    proto = model(f"g ({case.inputs}) => (float y) {{ {case.nodes} }}", 21 if packed else 18)
    if packed:
        proto.ir_version = 10
        proto.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
        numbers = R.integers(0, 16, 128).tolist()
        kind = onnx.TensorProto.UINT4
        proto.graph.initializer.append(onnx.helper.make_tensor("packed", kind, [8, 16], numbers))
    arrays = {name: np.asarray(value, np.float32) for name, value in CONSTANTS.items()}
    arrays |= {name: np.asarray(value, np.int64) for name, value in WHOLE.items()}
    arrays |= {"codes": R.integers(0, 16, (8, 4)).astype(np.uint8), "zero": np.array(8, np.uint8)}
    read = {name for node in proto.graph.node for name in node.input}
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(value, name) for name, value in arrays.items() if name in read
    )
    return proto


@pytest.mark.parametrize("name", CASES)
def test_each_kind_is_found(name: str) -> None:
    case = CASES[name]
    found = find_starts(load(net(case)))
    assert {kind: " ".join(names) for kind, names in found.kinds.items()} == {
        "tokens": case.tokens,
        "positions": case.positions,
        "types": case.types,
        "caches": case.caches,
    }


@pytest.mark.parametrize("name", CASES)
def test_x_is_the_tokens_and_w_on_them_is_not_zero(name: str) -> None:
    case = CASES[name]
    proto = net(case)
    m = onnxlin.linearize(proto, case.feeds, dtype=np.float64, rounding="straight-through").verify()
    assert " ".join(m.inputs) == case.tokens
    for tensor in m.inputs:
        assert abs(m.W[:, m.columns_of[tensor]]).max() > 1e-3
    moved = {**case.feeds, "ids": (IDS + 1) % 8}
    other = onnxlin.linearize(proto, moved, rounding="straight-through")
    assert not np.array_equal(m.inputs["e"], other.inputs["e"])
    (note,) = m.notes
    for kind, names in (("positions", case.positions), ("types", case.types)):
        assert (f"{kind} ({names})" in note) == bool(names)


@pytest.mark.parametrize("name", CASES)
def test_nothing_chosen_depends_on_another(name: str) -> None:
    graph = load(net(CASES[name]))
    starts = find_starts(graph)
    names = [n for kind in starts.kinds.values() for n in kind]
    for each in names:
        moved = Trail(graph, (each,)).by
        assert not [other for other in names if other != each and other in moved]


def test_what_is_added_and_cannot_be_told_apart_is_said() -> None:
    case = CASES["columns that are added"]
    (note,) = onnxlin.linearize(net(case), case.feeds).notes
    assert "what 'ids', 'city' look up is added: if one of them holds positions or types" in note


def test_whole_numbers_beside_categories_are_said_to_be_held() -> None:
    nodes = "e = Gather(table, ids)  f = Cast<to = 1>(age)  s1 = Mul(e, f)  " + LAYER.format("s1")
    case = Case(nodes, {"ids": IDS, "age": np.array(3)}, inputs="int64[6] ids, int64 age")
    m = onnxlin.linearize(net(case), case.feeds).verify()
    assert list(m.inputs) == ["e"]
    assert m.notes[0].endswith("not in W: 'age' (int64[]). inputs=['e', 'f'] takes it in")


def test_words_take_what_they_name_and_say_what_that_is() -> None:
    case = CASES["types"]
    proto = net(case)
    m = onnxlin.linearize(proto, case.feeds, inputs="tokens+positions", dtype=np.float64).verify()
    assert list(m.inputs) == ["e", "p"]
    assert m.notes == ('inputs="tokens+positions" takes e, p',)
    np.testing.assert_allclose(m.W[:, :24], m.W[:, 24:])
    every = onnxlin.linearize(proto, case.feeds, inputs=["types", "tokens", "p"])
    assert list(every.inputs) == ["t", "e", "p"]
    assert (
        'inputs="tokens+positions+types" takes them in'
        in onnxlin.linearize(proto, case.feeds).notes[0]
    )


def test_a_tensor_of_that_name_comes_first() -> None:
    case = CASES["scaled"]
    proto = net(case)
    for node in proto.graph.node:
        for names in (node.input, node.output):
            names[:] = ["tokens" if name == "s" else name for name in names]
    m = onnxlin.linearize(proto, case.feeds, inputs="tokens")
    assert list(m.inputs) == ["tokens"]
    assert m.notes == ()
    assert list(onnxlin.linearize(proto, case.feeds).inputs) == ["e"]


def test_positions_that_an_exporter_folded_are_said() -> None:
    case = Case("e = Gather(table, ids)  s1 = Add(e, folded)  " + LAYER.format("s1"))
    (note,) = onnxlin.linearize(net(case), IDS).notes
    assert note.endswith("; rows of the constant folded are added to them, and part of b")
    with pytest.raises(onnxlin.TensorNameError, match="Rows of folded, a constant of the file"):
        onnxlin.linearize(net(case), IDS, inputs="positions")


def test_caches_come_when_they_are_asked_for() -> None:
    case = CASES["a cache"]
    proto = net(case)
    (note,) = onnxlin.linearize(proto, case.feeds).notes
    assert 'held at x: caches (past_key_values). inputs="tokens+caches" takes them in' in note
    both = onnxlin.linearize(proto, case.feeds, inputs="tokens+caches").verify()
    assert list(both.inputs) == ["e", "past_key_values"]
    only = onnxlin.linearize(proto, case.feeds, inputs="caches")
    assert list(only.inputs) == ["past_key_values"]


def test_a_table_that_only_positions_look_up_is_x() -> None:
    nodes = "p = Gather(rows, position_ids)  " + LAYER.format("p")
    case = Case(nodes, fed("position_ids"), inputs="int64[6] position_ids")
    assert list(onnxlin.linearize(net(case), case.feeds).verify().inputs) == ["p"]
    counted = "c = CumSum(mask, none)  p = Gather(rows, c)  " + LAYER.format("p")
    case = Case(counted, fed("mask"), inputs="int64[6] mask")
    assert list(onnxlin.linearize(net(case), case.feeds).verify().inputs) == ["p"]


def test_a_word_that_names_nothing_says_what_there_is() -> None:
    with pytest.raises(onnxlin.TensorNameError, match=r"counts as types.*tokens: e"):
        onnxlin.linearize(net(CASES["plain"]), IDS, inputs="tokens+types")
    floats = model("g (float[2] x) => (float[2] y) { y = Neg(x) }")
    with pytest.raises(onnxlin.TensorNameError, match="no look-ups in constant tables at all"):
        onnxlin.linearize(floats, np.ones(2), inputs="tokens")


def test_one_hot_rows_of_a_dense_layer_alone_are_x_themselves() -> None:
    scores = "o = OneHot(ids, n, off)  z = MatMul(o, table)  y = ReduceMax<keepdims = 0>(z, a)"
    m = onnxlin.linearize(net(Case(scores)), IDS).verify()
    assert list(m.inputs) == ["o"]


# Whoever takes the ends of a map takes words for them.


def test_words_reach_every_way_in(tmp_path: Path) -> None:
    case = CASES["types"]
    proto, other = net(case), {**case.feeds, "ids": (IDS + 1) % 8}
    ends: dict[str, Any] = {"inputs": "tokens+positions"}
    assert onnxlin.check_model(proto, **ends).inputs == ("e", "p")
    compiled = onnxlin.compile_model(proto, **ends)
    widths = [out.type.tensor_type.shape.dim[1].dim_value for out in compiled.graph.output
              if out.name.endswith("W")]  # fmt: skip
    assert widths == [48]
    assert_linearizes(proto, case.feeds, **ends)
    lin = onnxlin.Linearizer(proto, **ends)
    stack = {name: np.stack([case.feeds[name], other[name]]) for name in other}
    assert [list(m.inputs) for m in lin.map(stack)] == [["e", "p"]] * 2
    assert walk(lin, case.feeds, other).t[0] == 0
    onnx.save(proto, tmp_path / "m.onnx")
    words = ["check", str(tmp_path / "m.onnx"), "--json", "--inputs"]
    assert cli.main([*words, "tokens+positions"]) == 0
    assert cli.main([*words, "caches"]) != 0
