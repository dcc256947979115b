"""Work grows as the nodes do, and no call goes deeper for a longer chain."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from onnxlin import readings
from onnxlin.load import load
from tests.limits import nets
from tests.limits.counted import depth, lines
from tests.limits.nets import X

FEW, MANY = 40, 160
# Four times as many nodes, with room for what is asked once, and none for a walk a node.
MOST = 4.5


def linearised(model: onnx.ModelProto) -> onnxlin.AffineMap:
    names = [info.name for info in model.graph.input]
    # One row: all of W has as many entries as it has, whatever the nodes.
    m = onnxlin.linearize(model, dict.fromkeys(names, X), rows=[0], engine="reverse")
    m.W  # noqa: B018  # computed on first access
    return m


NETS: dict[str, Callable[[int], onnx.ModelProto]] = {
    "a chain": nets.chain,
    "a chain without names": lambda n: nets.chain(n, named=False),
    "a chain backwards": lambda n: nets.backwards(nets.chain(n)),
    "smooth": lambda n: nets.chain(n, "Sigmoid", "Neg"),
    "a fan": nets.fan,
    "a fan put together": lambda n: nets.fan(n, "Concat"),
    "constants": nets.constants,
    "ends": nets.ends,
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("what", [load, linearised], ids=["load", "linearise"])
def test_work_grows_as_the_nodes_do(name: str, what: Callable[[Any], object]) -> None:
    few, many = NETS[name](FEW), NETS[name](MANY)
    what(few)  # what is done once in a process is not counted
    assert lines(lambda: what(many)) <= MOST * lines(lambda: what(few))


CHAINS = ("a chain", "smooth", "constants")


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("what", [onnxlin.check_model, onnxlin.compile_model])
def test_compiling_grows_as_the_nodes_do(name: str, what: Callable[[Any], object]) -> None:
    few, many = NETS[name](FEW), NETS[name](MANY)
    what(few)
    assert lines(lambda: what(many)) <= MOST * lines(lambda: what(few))


READ: dict[str, Callable[[onnxlin.AffineMap], object]] = {
    "verify": lambda m: m.verify(),
    "error_bound": lambda m: m.error_bound,
    "ledger": readings.ledger,
    "spread_bias": readings.spread_bias,
    "structural_zero": readings.structural_zero,
    "live_units": readings.live_units,
    "report": readings.report,
    "to_dot": readings.to_dot,
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("what", READ)
def test_readings_grow_as_the_nodes_do(name: str, what: str) -> None:
    few, many = linearised(NETS[name](FEW)), linearised(NETS[name](MANY))
    READ[what](linearised(NETS[name](FEW)))
    assert lines(lambda: READ[what](many)) <= MOST * lines(lambda: READ[what](few)) + 200


@pytest.mark.parametrize("name", CHAINS)
def test_comparing_grows_as_the_nodes_do(name: str) -> None:
    few, many = NETS[name](FEW), NETS[name](MANY)
    readings.compare(few, few, X)
    found = [lines(lambda m=model: readings.compare(m, m, X)) for model in (few, many)]
    assert found[1] <= MOST * found[0]


LONG = 600
DEEPEST = 180


@pytest.fixture
def shallow() -> Any:
    """Little room on the stack, once everything is imported."""
    for chain in (nets.chain(3), nets.chain(3, "Sigmoid", "Neg")):
        onnxlin.check_model(chain)
        for read in READ.values():
            read(linearised(chain))
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth() + DEEPEST)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("name", ["a chain", "smooth"])
def test_no_call_goes_deeper_for_a_longer_chain(name: str) -> None:
    model = NETS[name](LONG)
    assert onnxlin.check_model(model).compiles
    m = linearised(model)
    for read in READ.values():
        read(m)


def test_reversed_order_is_the_same_map() -> None:
    there, back = nets.chain(50, "Relu", "Neg"), nets.backwards(nets.chain(50, "Relu", "Neg"))
    np.testing.assert_array_equal(linearised(there).W, linearised(back).W)
    assert [n.name for n in load(back).nodes] == [n.name for n in load(there).nodes]


@pytest.mark.parametrize("named", [False, True], ids=["without names", "all of one name"])
def test_names_in_nested_bodies_do_not_double(named: bool) -> None:
    """Twice as many levels: four times as long names (the inliner adds to each), not the square."""

    def longest(levels: int) -> int:
        lin = onnxlin.Linearizer(nets.nested(levels, named))
        program = lin.decider(lin.trace(X), np.dtype(np.float32))
        return max(len(name) for step in program.steps for name in (step.output, step.node.name))

    assert longest(20) <= 4 * longest(10)


def test_bodies_of_like_names_are_kept_apart() -> None:
    """Nested nodes that all have one name: what is inside of each has another."""
    m = onnxlin.linearize(nets.nested(4, named=True), X)
    assert m.W.tolist() == [[1, 0], [0, 0]]
    m.verify()
