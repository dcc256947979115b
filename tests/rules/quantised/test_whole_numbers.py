"""Where numbers go through integers, dependence does: W is that of the float operator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import onnxlin
from onnxlin.graph import Node
from onnxlin.operators import integers
from onnxlin.operators.integers import QUANTISED
from onnxlin.operators.schemas import allowed_types
from onnxlin.rules import RULES
from tests.installed import require_definitions, require_survival
from tests.proofs import unrefused
from tests.rules.quantised.texts import BY_HAND, ENDS, TEXTS, X, model
from tests.rules.quantised.twins import Twins, real, runs, twins

STRAIGHT = "straight-through"
# These have no graph on floats either.
NO_GRAPH = ("SequenceMap", "Loop that counts")


# How a type is called where no numbers stand for its tensors alone: in sequences, optionals.
MIXED = [("(float)", "(int32)"), ("(float)", "(int64)")]


def passes(key: tuple[str, str]) -> bool:
    """Whether an operator makes integers of integers where floats may stand for either."""
    domain, op_type = key
    if RULES[key].status in ("constant", "random"):
        return False
    return all(
        any(all(any(k in t for t in types) for k in pair) for types in side for pair in MIXED)
        for side in allowed_types(op_type, domain)
    )


NUMERIC = sorted(filter(passes, set(RULES) - QUANTISED))


def maps(pair: Twins, inputs: tuple[str, ...]) -> tuple[onnxlin.AffineMap, onnxlin.AffineMap]:
    """The map of the float model and that of the other, in float64."""
    how = {"rounding": STRAIGHT}
    whole = onnxlin.Linearizer(
        pair.whole, inputs=list(map(real, inputs)), outputs=list(map(real, pair.outputs)), **how
    )
    floats = onnxlin.Linearizer(pair.floats, inputs=inputs, outputs=pair.outputs, **how)
    return floats(pair.x, dtype=np.float64), whole(pair.whole_x, dtype=np.float64)


def free(pair: Twins) -> list[tuple[str, ...]]:
    """The inputs that may vary: together, else each alone, as far as the float rule knows."""
    for sets in ([pair.inputs], [(name,) for name in pair.inputs]):
        found = [
            names
            for names in sets
            if onnxlin.check_model(
                pair.floats, inputs=names, outputs=pair.outputs, compiles=False
            ).ok
        ]
        if found:
            return found
    return []


def assert_one_map(pair: Twins) -> None:
    for inputs in free(pair):
        floats, whole = maps(pair, inputs)
        text = f"{pair.name}, inputs {inputs}"
        np.testing.assert_array_equal(whole.W, floats.W, err_msg=text)
        if (np.abs(whole.y - floats.y.astype(np.float64)) < 1).all():
            whole.verify()
        else:  # the integers of the type were too few, and wrapped around
            with pytest.raises(onnxlin.ResidualError):
                whole.verify()


@pytest.mark.parametrize(("domain", "op_type"), NUMERIC)
def test_dependence_goes_through(domain: str, op_type: str) -> None:
    found = [pair for pair in twins(domain, op_type) if runs(pair.floats, pair.x)]
    kernels = [pair for pair in found if runs(pair.whole, pair.whole_x)]
    written = any(op_type in text for text in (*BY_HAND, *TEXTS, *TEXTS.values()))
    if not found and not written:
        require_definitions()
    assert found or written, (
        f"No case of the specification has {op_type} alone on floats: write one in texts.py."
    )
    for pair in kernels:
        assert_one_map(pair)


@pytest.mark.parametrize("kind", ["int32", "int64"])
@pytest.mark.parametrize("name", TEXTS)
def test_texts(name: str, kind: str) -> None:
    """The same where numbers go through sequences, branches and loops."""
    floats, whole = (model(TEXTS[name], k) for k in ("float", kind))
    if "ExpandDims" in name:
        require_survival(whole)
    if not runs(whole, {"x": X}):
        pytest.skip("onnxruntime has no kernel")
    want = unrefused(onnxlin.linearize(floats, X, rounding=STRAIGHT, dtype=np.float64))
    for engine in ("explicit", "reverse", "forward", "live", "cut"):
        m = onnxlin.linearize(whole, X, rounding=STRAIGHT, engine=engine, dtype=np.float64)
        np.testing.assert_array_equal(unrefused(m).W, want.W)
    if name not in NO_GRAPH:
        m = unrefused(onnxlin.linearize(whole, X, rounding=STRAIGHT, engine="compiled"))
        np.testing.assert_allclose(m.W, want.W, rtol=1e-6)
    assert want.W.any()
    assert not onnxlin.linearize(whole, X).W.any()


def test_a_lost_dependence_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: an operator whose integers nobody takes for numbers."""
    pair = next(p for p in twins("", "ReverseSequence") if runs(p.whole, p.whole_x))
    assert_one_map(pair)
    known = integers.taken
    lost: Callable[[Node], frozenset[str]] = lambda node: (
        frozenset() if node.op_type == "ReverseSequence" else known(node)
    )
    monkeypatch.setattr(integers, "taken", lost)
    with pytest.raises(AssertionError, match="test_reversesequence"):
        assert_one_map(pair)


@pytest.mark.parametrize("name", BY_HAND)
def test_what_floats_do_otherwise(name: str) -> None:
    nodes, slope = BY_HAND[name]
    m = onnxlin.linearize(model(nodes, "int64"), X, rounding=STRAIGHT).verify()
    np.testing.assert_array_equal(m.W, np.diag(slope))


@pytest.mark.parametrize("kind", ["float", "int32", "int64"])
@pytest.mark.parametrize("name", ENDS)
def test_where_no_numbers_are_handed_on(name: str, kind: str) -> None:
    whole = model(ENDS[name], kind)
    m = onnxlin.linearize(whole, X, rounding=STRAIGHT, dtype=np.float64).verify()
    assert not m.W.any()
