"""Every input is looked at as what it is."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnxlin
from onnxlin import page
from onnxlin.errors import InputError
from onnxlin.inputs import Given, read_input
from onnxlin.program.rates import gamma
from onnxlin.readings.row.parts import seen
from tests.agree import assert_close
from tests.page import subjects


def look(shape, *, names=(), rank_free=False) -> page.Part:
    proto = helper.make_model(
        helper.make_graph(
            [helper.make_node("Relu", ["x"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    lin = onnxlin.Linearizer(proto)
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    (part,) = page.parts(lin(x, [0]), Given({"x": x}, names=names), lin.graph)
    return part


@pytest.mark.parametrize(
    ("shape", "kind", "last"),
    [
        ((1, 2, 40), "series", False),
        ((1, 40, 2), "series", True),
        ((1, 1, 8), "series", False),
        ((8,), "series", False),
        ((7,), "table", False),
        ((1, 40), "table", False),
        ((1, 13, 40), "table", False),
        ((1, 2, 7), "table", False),
        ((2, 2, 40), "table", False),
        ((1, 3, 8, 8), "picture", False),
        ((1, 8, 8, 1), "picture", False),
        ((1, 6, 8, 8), "table", False),
        ((), "table", False),
    ],
)
def test_the_shape_decides(shape, kind, last) -> None:
    part = look(shape)
    assert (part.kind, part.last) == (kind, last)
    if kind == "series":
        x = np.arange(np.prod(shape))
        line = part.series(x)
        assert line.shape == (min(part.shape[1:], default=1) if len(shape) > 1 else 1, max(shape))
        expected = x.reshape(shape[-2:] if len(shape) > 1 else (1, -1))
        np.testing.assert_array_equal(line, expected.T if last else expected)
    assert len(part.labels) == np.prod(shape, dtype=int)


def test_names_make_a_table_of_a_vector() -> None:
    names = tuple("abcdefgh")
    part = look((8,), names=names)
    assert (part.kind, part.labels) == ("table", names)
    assert look((1, 1, 8), names=names).kind == "series"
    assert look((1, 4), names=names).labels == ("x[0]", "x[1]", "x[2]", "x[3]")


def test_pictures_that_are_none_are_stretched() -> None:
    part = look((1, 1, 4, 4))
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    assert seen(part, x).tolist() == [[[17 * (4 * i + j)] for j in range(4)] for i in range(4)]
    assert not seen(part, np.ones_like(x)).any()


def tokens(folder, **more):
    pair = subjects.tokens(folder, **more)
    lin = onnxlin.Linearizer(pair.model)
    return lin, read_input(pair.source, lin.graph.inputs)


def test_embedded_integers_are_tokens(tmp_path) -> None:
    lin, given = tokens(tmp_path)
    m = lin(dict(given.feeds))
    told = {entry.key: entry.value for entry in lin.graph.model.metadata_props}
    (part,) = page.parts(m, given, lin.graph, page.read_vocabulary(None, told))
    assert part.kind == "tokens"
    assert part.names == ("a", "not", "good", "</script>", "film", "<b>")
    assert part.labels[2] == "2: good"
    sums = part.grouped(m.contributions)
    # In float32: a product for each feature, and their sum.
    sizes = np.abs(m.contributions.astype(np.float64))
    allowed = 2 * gamma(m.x.size + 2, np.finfo(np.float32).eps / 2)
    assert_close(sums.sum(axis=1), m.Wx, allowed * sizes.sum(axis=1))
    assert_close(sums[0, 1], m.contributions[0, 3:6].sum(), allowed * sizes[0, 3:6].sum())


def test_without_a_vocabulary_tokens_go_by_their_index(tmp_path) -> None:
    lin, given = tokens(tmp_path, vocabulary=False)
    (part,) = page.parts(lin(dict(given.feeds)), given, lin.graph, ("only", "these"))
    assert part.names == ("these", "6", "2", "5", "4", "7")


def test_types_of_tokens_carry_the_words_of_the_tokens() -> None:
    """Two tables are looked up: by the tokens, and by what kind of token stands there."""
    rng = np.random.default_rng(0)
    tables = [onnx.numpy_helper.from_array(rng.random((9, 4)).astype(np.float32), n) for n in "tw"]
    proto = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Gather", ["t", "token_type_ids"], ["a"]),
                helper.make_node("Gather", ["w", "input_ids"], ["b"]),
                helper.make_node("Add", ["a", "b"], ["s"]),
                helper.make_node("Relu", ["s"], ["y"]),
            ],
            "g",
            [
                helper.make_tensor_value_info(n, TensorProto.INT64, [1, 3])
                for n in ("token_type_ids", "input_ids")
            ],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            tables,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    lin = onnxlin.Linearizer(proto, inputs="tokens+types")
    feeds = {"token_type_ids": np.int64([[0, 0, 1]]), "input_ids": np.int64([[5, 6, 7]])}
    found = page.parts(lin(feeds), Given(feeds), lin.graph, [f"w{i}" for i in range(9)])
    assert {part.names for part in found} == {("w5", "w6", "w7")}
    assert {part.tensor for part in found} == {"a", "b"}


def test_vocabularies_are_read_from_a_file_or_the_metadata(tmp_path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("one\ntwo words\n\nthree\n", "utf-8")
    assert page.read_vocabulary(str(path), {}) == ("one", "two words", "", "three")
    assert page.read_vocabulary(None, {"vocabulary": json.dumps(["a", 1])}) == ("a", "1")
    for useless in ("no JSON", '{"a": 1}'):
        assert page.read_vocabulary(None, {"vocabulary": useless}) == ()
    with pytest.raises(InputError, match=r"--vocabulary 'none.txt' is not a readable vocabulary"):
        page.read_vocabulary("none.txt", {})
