"""The operators of tokens make up the map, and the tables that decode them are the model's."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

import onnxlin
from onnxlin import OptionError
from onnxlin.readings import input_embedding, output_embedding, token_operators
from tests.readings.stream.nets import EARLY, FORMS, IDS, LATE, WIDTH, WORDS, T, transformer
from tests.small import X, mlp

AT = 3
HIDDEN = range(AT * WIDTH, (AT + 1) * WIDTH)
SMALL = 1e-9  # far above what roundings of float64 leave of such numbers


def held(name: str) -> np.ndarray:
    arrays = {one.name: one for one in transformer().graph.initializer}
    return numpy_helper.to_array(arrays[name])


@pytest.mark.parametrize(("form", "spelt"), FORMS)
@pytest.mark.parametrize("mode", ["tangent", "frozen"])
def test_operators_add_up_to_the_map(form: str, spelt: bool, mode: str) -> None:
    lin = onnxlin.Linearizer(transformer(form, spelt), mode=mode)
    head = output_embedding(lin(IDS, rows=[0]))
    assert head.tensor == ("h2" if form == LATE else "top")
    np.testing.assert_array_equal(head.table, held("head").T)
    m = onnxlin.linearize(
        transformer(form, spelt), IDS, mode=mode, outputs=head.tensor, rows=HIDDEN
    )
    found = token_operators(m)
    total = sum(one.contribution for one in found) + m.b
    np.testing.assert_allclose(total, m.y, rtol=SMALL, atol=SMALL)
    # Decoded, they are the scores of the model.
    scores = onnxlin.linearize(transformer(form, spelt), IDS).y.reshape(T, WORDS)[AT]
    np.testing.assert_allclose(head.table @ total, scores, rtol=SMALL, atol=SMALL)
    assert [one.values.any() for one in found] == [True] * (AT + 1) + [False] * (T - AT - 1)
    for one in found:
        block = m.W[:, one.token * WIDTH : (one.token + 1) * WIDTH]
        made = one.left * one.values @ one.right.T
        np.testing.assert_allclose(made, block, rtol=SMALL, atol=SMALL)
        np.testing.assert_allclose(one.x, held("table")[IDS[0, one.token]])
        assert (one.along >= 0).all()
        assert (np.diff(one.values) <= 0).all()


def test_low_rank_errors_are_those_of_the_matrices() -> None:
    m = onnxlin.linearize(transformer(), IDS, outputs="top", rows=HIDDEN, mode="frozen")
    (one,) = token_operators(m, -3)
    assert one.token == T - 3
    block = m.W[:, one.token * WIDTH : (one.token + 1) * WIDTH]
    for rank in range(WIDTH + 1):
        kept = one.left[:, :rank] * one.values[:rank] @ one.right[:, :rank].T
        left = block - kept
        assert one.low_rank_error(rank) == pytest.approx(
            np.linalg.norm(left) / np.linalg.norm(block), abs=SMALL
        )
        assert one.low_rank_miss(rank) == pytest.approx(
            np.linalg.norm(left @ one.x) / np.linalg.norm(block @ one.x), abs=SMALL
        )
    assert one.stable_rank == pytest.approx(
        (np.linalg.norm(block) / np.linalg.norm(block, 2)) ** 2, rel=SMALL
    )
    (none,) = token_operators(m, T - 1)
    assert (none.low_rank_error(1), none.low_rank_miss(0), none.stable_rank) == (0, 0, 0)


def test_tokens_are_nearest_to_themselves() -> None:
    lin = onnxlin.Linearizer(transformer())
    table = input_embedding(lin)
    assert table.tensor == "e"
    np.testing.assert_array_equal(table.table, held("table"))
    for word, vector in enumerate(table.table):
        tokens, scores = table.nearest(vector, WORDS)
        assert (np.diff(scores) <= 0).all()
        np.testing.assert_allclose(scores, table.table[tokens] @ vector)
        assert scores[tokens.tolist().index(word)] == pytest.approx(vector @ vector)


def test_what_has_no_tables_and_no_tokens() -> None:
    lin = onnxlin.Linearizer(mlp())
    with pytest.raises(OptionError, match="is not looked up in one table"):
        input_embedding(lin)
    with pytest.raises(OptionError, match="so there is no output embedding"):
        output_embedding(onnxlin.linearize(mlp(), X, outputs=["h", "y"]))
    m = onnxlin.linearize(transformer(EARLY), IDS, rows=[0])
    with pytest.raises(OptionError, match=r"tokens=\[5\]: input 'e' has 5 tokens"):
        token_operators(m, [5])
    with pytest.raises(OptionError, match="tensor='y'"):
        token_operators(m, tensor="y")
