"""Sweeps forth and back over steps, and what they hold on to on the way."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxlin import linearize
from onnxlin.engines.forward import forward, push, tangents
from onnxlin.engines.job import Job
from onnxlin.engines.seeds import make_seeds
from onnxlin.primitives import Array, Diagonal
from onnxlin.program import LinearProgram
from onnxlin.program.sweep import add_to, applied, back, forth, reach, spent
from onnxlin.readings.region import Region
from tests.small import model

LENGTH, WIDTH = 40, 20_000


@dataclass(frozen=True)
class Link:
    """A step of a drawn program of numbers."""

    output: str
    terms: tuple[tuple[str, Diagonal], ...]


@st.composite
def programs(draw: st.DrawFn) -> list[Link]:
    """Steps that read any tensors before them, the same one twice or none at all."""
    links: list[Link] = []
    for i in range(draw(st.integers(1, 6))):
        before = st.sampled_from(["x", "z", *(link.output for link in links)])
        read = draw(st.lists(before, max_size=3))
        factor = st.integers(-3, 3).map(lambda n: Diagonal.of((1,), np.array([float(n)])))
        links.append(Link(f"h{i}", tuple((name, draw(factor)) for name in read)))
    return links


def inputs() -> dict[str, Array]:
    """Values of the inputs of drawn programs."""
    return {"x": np.array([[2.0]]), "z": np.array([[3.0]])}


def made(link: Link, values: Any) -> Array:
    """What a link makes, (1, 1) also where it reads nothing."""
    return np.broadcast_to(applied(link.terms, values), (1, 1))


@given(programs(), st.data())
def test_what_is_wanted_is_what_all_of_it_would_be(links: list[Link], data: st.DataObject) -> None:
    whole = forth(links, inputs(), made, None)
    wanted = data.draw(st.sets(st.sampled_from(sorted(whole))))
    found = forth(links, inputs(), made, wanted)
    assert found == {name: whole[name] for name in wanted}


@given(programs())
def test_nothing_is_held_after_its_last_reader(links: list[Link]) -> None:
    seen: list[set[str]] = []

    def watched(link: Link, values: Any) -> Array:
        seen.append(set(values))
        return made(link, values)

    forth(links, inputs(), watched, ())
    for i, names in enumerate(seen[1:], 1):
        later = {name for link in links[i:] for name, _ in link.terms}
        unread = {"x", "z"} - {name for link in links[:i] for name, _ in link.terms}
        assert names <= later | unread


@given(programs())
def test_back_is_the_derivative(links: list[Link]) -> None:
    """Whole numbers: the gradient of the last tensor is its change along each input, exactly."""
    last = links[-1].output
    waiting = {last: np.ones((1, 1))}
    for link, cotangent in back(links, waiting):
        assert cotangent.shape == (1, 1)
        assert link.output not in waiting
    assert set(waiting) <= {"x", "z"}
    for name in ("x", "z"):
        unit = {n: np.array([[float(n == name)]]) for n in ("x", "z")}
        moved = forth(links, unit, made, {last})[last]
        assert waiting.get(name, np.zeros((1, 1))) == moved


def test_other_things_travel_back_too() -> None:
    """Marks in the place of cotangents: which tensors reach an output."""
    one = Diagonal.of((1,), np.ones(1))
    links = [Link("a", (("x", one),)), Link("b", (("z", one),)), Link("y", (("a", one),))]

    def mark(waiting: dict[str, str], name: str, _op: object, arrived: str) -> None:
        add_to(waiting, name, arrived)

    waiting = {"y": "!"}
    assert [link.output for link, _ in back(links, waiting, mark)] == ["y", "a"]
    assert waiting == {"x": "!"}


def test_reach_is_of_absolute_maps_and_zero_without_any() -> None:
    op = Diagonal.of((2,), np.array([-2.0, 3.0]))
    found = reach([("x", op), ("x", op)], {"x": np.array([1.0, 10.0])}, (2,))
    np.testing.assert_array_equal(found, [4.0, 60.0])
    np.testing.assert_array_equal(reach([], {}, (2,)), [0.0, 0.0])


def test_the_last_of_several_readers_is_done_with_a_tensor() -> None:
    reads = [["x", "c"], ["x"], ["x", "y"], []]
    assert spent(reads, {"y"}) == [["c"], [], ["x"], []]


def chain() -> LinearProgram:
    """One number, made wide, through a long chain of nodes to one number."""
    middle = "".join(f"h{i + 1} = Relu(h{i}) " for i in range(LENGTH))
    text = (
        f"g (double[1,1] x) => (double[1,1] y) <double[1,{WIDTH}] w, double[{WIDTH},1] v> "
        f"{{ h0 = MatMul(x, w) {middle} y = MatMul(h{LENGTH}, v) }}"
    )
    proto = model(text)
    for name, array in {"w": np.ones((1, WIDTH)), "v": np.ones((WIDTH, 1)) / WIDTH}.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return Region(linearize(proto, np.ones((1, 1)))).program


def peak(make: Callable[[], object]) -> float:
    """Most memory that is held at once, in tensors of the middle of the chain."""
    tracemalloc.start()
    try:
        make()
        return tracemalloc.get_traced_memory()[1] / (8 * WIDTH)
    finally:
        tracemalloc.stop()


CALLS: dict[str, Callable[[LinearProgram, Array], object]] = {
    "forward": lambda program, x: program.forward(x, program.outputs),
    "push": lambda program, x: push(program, x[None]),
    "engine": lambda program, _: forward(Job(program, make_seeds(None, 1), 2**30)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_long_chain_holds_few_tensors(call: Callable[[LinearProgram, Array], object]) -> None:
    """The one read and the one made, and less than one more of what is small; not all forty."""
    program, x = chain(), np.ones(1)
    everything = peak(lambda: (program.forward(x), tangents(program, x[None])))
    assert everything > LENGTH
    assert 1 < peak(lambda: call(program, x)) < 3
