"""The strategy of a model's inputs gives what it promises, and shrinks."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from onnxlin import RULES, InputError, Linearizer, OptionError
from onnxlin.testing import GrownModel, inputs_for, onnx_models
from onnxlin.testing.models import run
from tests.small import mlp, model
from tests.test_fixtures import TRAINED

few = settings(max_examples=15)
searching = settings(max_examples=300, derandomize=True, database=None, deadline=None)


@few
@given(st.data())
def test_the_model_runs_at_every_draw(data: st.DataObject) -> None:
    grown = data.draw(onnx_models(max_nodes=3))
    x = data.draw(inputs_for(grown.model))
    assert {n: (v.shape, v.dtype) for n, v in x.items()} == {
        n: (v.shape, v.dtype) for n, v in grown.x.items()
    }
    run(grown.model, x)


OPEN = "g (float[N,T] x, float[N,T] z, float[T] s) => (float[N,T] y) {h = Add(x,z) y = Mul(h,s)}"


@few
@given(inputs_for(model(OPEN)))
def test_axes_of_one_name_agree(x: dict[str, Any]) -> None:
    assert x["x"].shape == x["z"].shape
    assert x["s"].shape == x["x"].shape[1:]


def test_open_axes_have_several_lengths() -> None:
    for length in (1, 5):
        find(inputs_for(model(OPEN)), lambda x: x["s"].size == length, settings=searching)  # noqa: B023


KINDS = {
    "float16": np.float16,
    "float": np.float32,
    "double": np.float64,
    "bool": np.bool_,
}


@pytest.mark.parametrize("kind", KINDS)
def test_dtypes(kind: str) -> None:
    text = f"g ({kind}[4] x) => ({kind}[4] y) {{y = Identity(x)}}"

    @few
    @given(inputs_for(model(text)))
    def has_dtype(x: dict[str, Any]) -> None:
        assert x["x"].dtype == KINDS[kind]

    has_dtype()


EMBEDDED = """g (int64[2,3] ids) => (float[2,3,2] y) <float[5,2] t={0,1,2,3,4,5,6,7,8,9}> {
    y = Gather(t, ids)
}"""
CLIPPED = """g (float[40] x) => (float[40] y) <float low={2.0}, float high={6.0}> {
    c = Clip(x, low, high)
    y = Relu(c)
}"""


@few
@given(inputs_for(model(EMBEDDED)))
def test_whole_numbers_are_places_of_the_table(x: dict[str, Any]) -> None:
    assert ((x["ids"] >= 0) & (x["ids"] < 5)).all()


@few
@given(inputs_for(mlp(), ranges={"x": (-0.25, 0.5)}))
def test_a_range_given_holds_everything(x: dict[str, Any]) -> None:
    assert (x["x"] >= -0.25).all()
    assert (x["x"] <= 0.5).all()


def test_a_clip_at_the_input_is_the_range() -> None:
    strategy = inputs_for(model(CLIPPED), near_kinks=False)
    inside = lambda x: (x["x"] > 2).all() and (x["x"] < 6).all()
    find(strategy, inside, settings=settings(searching, phases=[Phase.generate]))


def test_kinks_are_met_on_purpose() -> None:
    """A quarter of the draws lies within 1e-3 of a kink where an ordinary draw seldom does."""
    proto, near = mlp(), {True: 0, False: 0}
    lin = Linearizer(proto)
    for walking in near:

        @settings(searching, max_examples=60, phases=[Phase.generate])
        @given(inputs_for(proto, near_kinks=walking))
        def count(x: dict[str, Any]) -> None:
            distance = sum(lin(x, dtype=np.float64).near_kinks(1e-3).values())
            # Zeros lie on kinks by themselves.
            near[walking] += bool(distance) and bool(x["x"].all())  # noqa: B023

        count()
    assert near[True] >= near[False] + 5


def test_large_inputs_fit_and_shrink() -> None:
    """150,528 features: the smallest x with a large entry has that entry and no other."""
    text = "g (float[1,3,224,224] x) => (float[1,3,224,224] y) {y = Relu(x)}"
    strategy = inputs_for(model(text), near_kinks=False)
    found = find(strategy, lambda x: (x["x"] == 1).any(), settings=searching)
    assert found["x"].shape == (1, 3, 224, 224)
    assert np.count_nonzero(found["x"]) <= 1


def test_small_inputs_shrink_to_the_number_that_matters() -> None:
    found = find(inputs_for(mlp()), lambda x: x["x"].max() > 2.5, settings=searching)
    assert np.count_nonzero(found["x"]) == 1


def test_a_trained_model_gets_inputs() -> None:
    x = find(inputs_for(TRAINED[0]), lambda x: True, settings=searching)
    assert not next(iter(x.values())).any()


def test_a_model_without_rules_gets_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RULES, ("", "Relu"))
    x = find(inputs_for(mlp()), lambda x: True, settings=searching)
    assert x["x"].shape == (1, 3)


REFUSED: list[tuple[dict[str, Any], type, str]] = [
    ({"shapes": {"nix": (1,)}}, InputError, r"shapes= names \['nix'\]; the model's inputs are"),
    ({"ranges": {"nix": (0, 1)}}, InputError, r"ranges= names \['nix'\]"),
    ({"shapes": {"x": (7, 7)}}, InputError, r"shapes= has \(7, 7\) for 'x'; the model says"),
    ({"ranges": {"x": (1, 0)}}, OptionError, r"ranges= has \(1, 0\) for 'x'; give \(lowest"),
]


@pytest.mark.parametrize(("options", "kind", "message"), REFUSED)
def test_what_does_not_fit_is_refused(options: dict[str, Any], kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        find(inputs_for(mlp(), **options), lambda x: True, settings=searching)


def test_shapes_given_are_taken() -> None:
    x = find(inputs_for(model(OPEN), shapes={"x": (1, 7), "z": (1, 7), "s": (7,)}), lambda x: True)
    assert x["x"].shape == (1, 7)


def test_unknown_use_of_whole_numbers_asks_for_a_range() -> None:
    text = "g (int64[3] n, float[3] x) => (float[3] y) {a = Abs(n) b = Cast<to=1>(a) y = Add(x,b)}"
    proto = model(text)
    with pytest.raises(OptionError, match=r"Give ranges=\{'n': \(lowest, highest\)\}"):
        find(inputs_for(proto), lambda x: True)
    x = find(inputs_for(proto, ranges={"n": (2, 4)}), lambda x: (x["n"] == 4).any())
    assert ((x["n"] >= 2) & (x["n"] <= 4)).all()
    assert isinstance(proto, onnx.ModelProto)
    assert GrownModel(proto, x).run()["y"].shape == (3,)
