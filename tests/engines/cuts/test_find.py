"""Where a program is cut."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin.engines.cuts import Cut, cost_of, narrowest
from onnxlin.engines.cuts.between import MOST, Between, live_tensors
from onnxlin.engines.seeds import make_seeds
from onnxlin.program import LinearProgram
from tests.engines.cuts import nets
from tests.small import model


def program_of(proto: onnx.ModelProto, **options: object) -> LinearProgram:
    m = onnxlin.linearize(proto, nets.at(proto), engine="reverse", **options)  # type: ignore[arg-type]
    return m.made_from("the test").program


def cut_of(proto: onnx.ModelProto, rows: object = None) -> Cut:
    program = program_of(proto)
    found = narrowest(program, make_seeds(rows, program.rows))
    assert found is not None
    return found


def pays(proto: onnx.ModelProto, rows: object = None) -> bool:
    program = program_of(proto)
    seeds = make_seeds(rows, program.rows)
    cut = narrowest(program, seeds)
    return cut is not None and cut.cost(len(seeds)) < cost_of(program, len(seeds))


def test_a_code_in_the_middle() -> None:
    proto = nets.stack([20, 15, 3, 15, 20])
    cut = cut_of(proto)
    assert set(cut.names) <= {"h2", "a2"}
    assert len(cut.live) == 3
    assert pays(proto)
    assert [step.output for step in (*cut.lower.steps, *cut.upper.steps)] == [
        step.output for step in program_of(proto).steps
    ]


def test_fewer_rows_than_the_middle_has_are_not_worth_it() -> None:
    proto = nets.stack([20, 15, 3, 15, 20])
    assert not pays(proto, [4, 7])
    assert pays(proto, range(4, 14))
    assert not pays(nets.stack([20, 15, 20, 15, 20]), range(10))


def test_dead_entries_are_not_counted() -> None:
    proto = nets.stack([20, 15, 8, 15, 20], "Relu")
    program = program_of(proto)
    alive = sum(
        1
        for step in program.steps
        if step.output == "a2"
        for slope in np.ravel(step.terms[0][1].to_sparse(program.dtype).diagonal())
        if slope
    )
    assert 0 < alive < 8
    cut = cut_of(proto)
    assert cut.names == ("a2",)
    assert len(cut.live) == alive == cut.upper.columns
    assert 0 < cut.share < 1 == cut_of(nets.stack([20, 15, 8, 15, 20], "Tanh")).share


def test_a_skip_around_is_seen() -> None:
    """The cut at the output alone is left, and that does not pay."""
    program = program_of(nets.around())
    between = Between(program, live_tensors(program, make_seeds(None, program.rows)))
    assert list(between.single()) == ["x", "wide", "y"]
    assert not pays(nets.around())


def test_a_skip_that_is_dead_is_none() -> None:
    proto = model(
        "g (float[2] x) => (y) <float[2,1] A = {1, 2}, float[1,4] B = {1, 2, 3, 4},"
        " float[2,4] C = {1, 1, 1, 1, 1, 1, 1, 1}, float zero = {0}>"
        "{ h = MatMul(x, A)  up = MatMul(h, B)  s = MatMul(x, C)  off = Mul(s, zero)"
        "  y = Add(up, off) }"
    )
    cut = cut_of(proto)
    assert cut.names == ("h",)
    m = onnxlin.linearize(proto, np.ones(2, np.float32), engine="cut").verify()
    assert m.W.tolist() == [[1, 2], [2, 4], [3, 6], [4, 8]]


def test_two_tensors_together() -> None:
    cut = cut_of(nets.pair())
    assert len(cut.live) == 3
    assert sorted(cut.names) in (["s", "t"], ["us", "ut"], ["s", "ut"], ["t", "us"])
    assert pays(nets.pair())


def test_an_input_may_be_one_of_them() -> None:
    cut = cut_of(nets.beside())
    assert sorted(cut.names) == ["t", "z"]
    assert pays(nets.beside())


def test_a_token_is_what_it_has_alive() -> None:
    proto = nets.token()
    cut = cut_of(proto)
    assert cut.names == ("z",) or len(cut.live) == 4
    assert len(cut.live) == 4
    assert pays(proto)


def test_many_combinations_of_few_outputs_are_combined_in_the_end() -> None:
    proto = nets.stack([20, 15, 4])
    assert pays(proto, np.ones((30, 4)))
    assert cut_of(proto, np.ones((30, 4))).names == ("y",)


def test_tensors_stand_in_order_and_cuts_separate() -> None:
    """Every tensor that is said to cut leaves nothing of the inputs in the upper half."""
    for proto in (nets.around(), nets.pair(), nets.token(), nets.stack([5, 3, 4, 6])):
        program = program_of(proto)
        marks = live_tensors(program, make_seeds(None, program.rows))
        between = Between(program, marks)
        for names in [(name,) for name in between.single()] + [between.together(9)]:
            made = onnxlin.engines.cuts.find.split(program, names, marks)
            read = {name for step in made.upper.steps for name, _ in step.terms}
            own = {step.output for step in made.upper.steps} | set(made.upper.inputs)
            assert read <= own


def test_there_is_no_cut_without_rows_or_paths() -> None:
    program = program_of(nets.around())
    assert narrowest(program, make_seeds([], program.rows)) is None
    flat = program_of(model("g (float[3] x) => (y) { y = Identity(x) }"))
    assert narrowest(flat, make_seeds(None, 3)) is None or flat.steps


@pytest.mark.parametrize("most", [1, 2**31])
def test_what_is_too_large_is_not_looked_through(most: int, monkeypatch) -> None:
    program = program_of(nets.pair())
    between = Between(program, live_tensors(program, make_seeds(None, program.rows)))
    assert len(between.size) < MOST
    if most == 1:
        monkeypatch.setattr("onnxlin.engines.cuts.between.MOST", 3)
    assert between.together(most) == ()
