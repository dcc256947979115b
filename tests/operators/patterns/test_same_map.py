"""A spelt operator has the map of the operator, in both readings, by every engine."""

from __future__ import annotations

import numpy as np
import pytest

from onnxlin import AffineMap, Linearizer
from tests.operators.patterns.spellings import SPELLINGS, SPELT, Spelling, X, graph

ENGINES = ("explicit", "reverse", "forward", "live")
ROUNDED = np.finfo(np.float32).eps


def assert_same(m: AffineMap, other: AffineMap) -> None:
    """W and b agree as far as the constants do, which files hold in float32."""
    for ours, theirs in ((m.W, other.W), (m.b, other.b)):
        size = np.abs(other.W).max() + np.abs(other.y).max()
        np.testing.assert_allclose(ours, theirs, atol=16 * ROUNDED * size, rtol=0)


def told(name: str) -> tuple[str, ...]:
    return (f"spelt out, and read as the operators are: 1 {name}",) if name else ()


@pytest.mark.parametrize("mode", ["tangent", "frozen"])
@pytest.mark.parametrize("case", SPELLINGS, ids=lambda case: f"{case.name}: {case.nodes[:40]}")
def test_same_map(case: Spelling, mode: str) -> None:
    m = Linearizer(graph(case.nodes), mode=mode)(X, engine="reverse", dtype=np.float64).verify()
    operator = Linearizer(graph(case.operator, case.opset), mode=mode)
    assert_same(m, operator(X, engine="reverse", dtype=np.float64))
    assert m.notes == (told(case.name) if mode == "frozen" else ())


@pytest.mark.parametrize("name", SPELT)
def test_every_engine(name: str) -> None:
    case = next(case for case in SPELLINGS if case.name == name)
    lin, operator = (
        Linearizer(graph(nodes, opset), mode="frozen")
        for nodes, opset in ((case.nodes, 18), (case.operator, case.opset))
    )
    for dtype in (np.float32, np.float64):
        own = operator(X, engine="reverse", dtype=dtype)
        for engine in ENGINES:
            assert_same(lin(X, engine=engine, dtype=dtype).verify(), own)
    m = lin(X, engine="compiled").verify()
    assert_same(m, own)
    assert m.notes == told(name)


@pytest.mark.parametrize("case", SPELLINGS[::6], ids=lambda case: case.name)
def test_the_run_is_what_it_is(case: Spelling) -> None:
    """Nothing is rewritten: a frozen linearizer traces what a tangent one does, to the last bit."""
    proto = graph(case.nodes)
    free, held = (Linearizer(proto, mode=mode).trace(X) for mode in ("tangent", "frozen"))
    assert free.keys() == held.keys()
    for name, value in free.items():
        np.testing.assert_array_equal(value, held[name])
