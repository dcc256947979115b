"""What a map writes into a graph is the map: `lower` is matvec, and `lower_adjoint` is rmatvec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import find, given, settings
from hypothesis import strategies as st

from onnxlin.lowering import NotStaticError
from onnxlin.primitives import PRIMITIVES, Along, Conv, Crop, LinearMap, Select, along
from tests.installed import fewest_rows
from tests.primitives.lowered import Written, fits, holds, is_empty
from tests.primitives.test_planted import SEARCH
from tests.strategies import integers, linear_maps

every_primitive = pytest.mark.parametrize("kind", PRIMITIVES, ids=lambda kind: kind.__name__)
# Maps in one graph: opening a session costs more than running it.
SIDE_BY_SIDE = 6
few = settings(max_examples=max(settings().max_examples // 3, 1))


def written(maps: Sequence[LinearMap], *, single: bool, narrow: bool) -> Written:
    """A graph in which these maps may be; onnxruntime convolves in float32 only."""
    narrow = narrow or any(holds(op, Conv) for op in maps)
    return Written(np.float32 if narrow else np.float64, single=single)


@every_primitive
@pytest.mark.parametrize("single", [False, True])
@few
@given(data=st.data(), narrow=st.booleans(), traced=st.booleans())
def test_written_maps_are_maps(
    kind: type[LinearMap], single: bool, data: st.DataObject, narrow: bool, traced: bool
) -> None:
    """For stacks of any length, or of one array; coefficients stored, or known only to a run."""
    listed = st.lists(linear_maps(kind).filter(lambda op: not is_empty(op)), max_size=SIDE_BY_SIDE)
    maps = data.draw(listed, label="maps")
    graph = written(maps, single=single, narrow=narrow)
    k = 1 if single else data.draw(st.integers(fewest_rows(), 3), label="k")
    for op in maps:
        x, y = data.draw(integers(k, *op.in_shape)), data.draw(integers(k, *op.out_shape))
        if fits(op, x, y):
            graph.add(op, x, y, traced=traced)
    graph.run()


@pytest.mark.parametrize("packed", [False, True])
@few
@given(data=st.data(), single=st.booleans())
def test_a_convolution_reads_its_kernel_where_it_lies(
    packed: bool, single: bool, data: st.DataObject
) -> None:
    maps = st.lists(linear_maps(Conv).filter(lambda op: not is_empty(op)), max_size=SIDE_BY_SIDE)
    graph = written([], single=single, narrow=True)
    lean: dict[str, bool] = {}
    graph.graph.lean = lean
    for drawn in data.draw(maps, label="maps"):
        assert isinstance(drawn, Conv)
        op = replace(drawn, weight=drawn.weight.astype(np.float32))
        k = 1 if single else data.draw(st.integers(fewest_rows(), 3), label="k")
        x, y = data.draw(integers(k, *op.in_shape)), data.draw(integers(k, *op.out_shape))
        name = graph.graph.fresh("kernel")
        graph.graph.keep(name, op.weight)
        lean[name] = packed
        if fits(op, x, y):
            graph.add(op, x, y)
    turned = [node for node in graph.graph.nodes if node.op_type == "Slice"]
    assert not turned  # no kernel is laid out anew
    graph.run()


def breaks(drawn: tuple[LinearMap, int]) -> bool:
    """Whether a graph of one map gives something else than the map."""
    op, seed = drawn
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(1, 4, (2, *shape)).astype(float) for shape in (op.in_shape, op.out_shape))
    graph = written([op], single=False, narrow=False)
    graph.add(op, x, y)
    try:
        graph.run()
    except AssertionError:
        return True
    return False


@every_primitive
@pytest.mark.parametrize("direction", ["lower", "lower_adjoint"])
def test_a_wrong_factor_is_caught(
    kind: type[LinearMap], direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The law can fail, for every primitive and in both directions."""
    true = getattr(kind, direction)
    twice = lambda op, stack: true(op, stack).times(np.asarray(2.0))
    monkeypatch.setattr(kind, direction, twice)
    maps = linear_maps(kind).filter(lambda op: not is_empty(op))
    find(st.tuples(maps, st.integers(0, 9)), breaks, settings=SEARCH)


def test_a_scatter_that_overwrites_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where positions repeat, cotangents must add up."""
    monkeypatch.setattr(Select, "fan_out", 1)
    maps = linear_maps(Select).filter(lambda op: not is_empty(op))
    find(st.tuples(maps, st.integers(0, 9)), breaks, settings=SEARCH)


def test_a_matrix_too_large_to_store_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(along, "MOST_DENSE", 5)
    op = Along.of((2, 3), 1, sp.csr_array(np.ones((2, 3))))
    with pytest.raises(NotStaticError, match=r"a matrix of \(2, 3\) along one axis is too large"):
        written([op], single=False, narrow=False).add(op, np.ones((1, 2, 3)), np.ones((1, 2, 2)))


def test_arrays_without_entries_are_refused() -> None:
    op = Crop((2, 3), (0, 3), (0, 0), (1, 1))
    with pytest.raises(NotStaticError, match="without entries"):
        written([op], single=False, narrow=False).add(op, np.ones((1, 2, 3)), np.ones((1, 0, 3)))
