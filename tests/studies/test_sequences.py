"""The study of sequences: maps of recurrent nets and transformers are what the page says."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

import onnxlin
from fixtures.gallery_data import make_beats, tokens
from fixtures.studies.sequences import maps, parts, rows
from fixtures.studies.sequences.data import STEP, beats, held_out
from fixtures.studies.sequences.specs import SPECS, Sequence
from fixtures.studies.sequences.subjects import Given, given, notes_of, readers
from fixtures.studies.shared import results
from onnxlin.readings import Question, sampled_gradients

# One net of every kind, and of every task.
MEASURED = [
    Sequence("conv", "beats"),
    Sequence("gru", "topics"),
    Sequence("lstm", "topics"),
    Sequence("transformer", "beats"),
]


def named(spec: Sequence) -> str:
    return spec.name


@pytest.mark.parametrize("spec", MEASURED, ids=named)
def test_maps_are_exact_and_those_of_the_results(spec: Sequence) -> None:
    """Both readings pass; what methods say of the first sequence is what the results hold."""
    found = results.read("sequences")["nets"][spec.name]["first"]
    item = given(spec, 1)[0]
    asked = maps.ask(spec, readers(spec), item)
    assert asked.q.y == pytest.approx(found["margin"], rel=1e-3)
    for mode, m in asked.maps.items():
        m.verify()
        each = asked.values[f"W x, {mode}"]
        assert each.sum() + m.b[0] == pytest.approx(m.y[0], rel=1e-4, abs=1e-4)
    for name, each in asked.values.items():
        size = float(np.abs(each).max())
        np.testing.assert_allclose(each, found["values"][name], rtol=1e-2, atol=2e-3 * size)


def test_the_ledger_adds_up_to_f() -> None:
    spec = Sequence("gru", "topics")
    item, lins = given(spec, 1)[0], readers(spec)
    asked = maps.ask(spec, lins, item)
    for m in asked.maps.values():
        found = parts.sources([m])
        assert sum(found.values()) == pytest.approx(1, abs=1e-4)
        assert "biases of gates" in found


@pytest.mark.parametrize("kind", ["conv", "gru"])
def test_a_net_behind_its_embedding_is_the_net(kind: str) -> None:
    """A map from ids starts at the word vectors, and is that of the cut model."""
    spec = Sequence(kind, "topics")
    item = given(spec, 1)[0]
    ids = tokens(item.words, json.loads(notes_of(spec)["vocabulary"]))[None]
    whole = onnxlin.Linearizer(onnx.load(spec.path))(ids)
    cut = readers(spec)["tangent"](item.x)
    np.testing.assert_allclose(whole.W, cut.W, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(whole.b, cut.b, rtol=1e-3, atol=1e-5)


def test_integrated_gradients_along_are_the_librarys() -> None:
    spec = Sequence("transformer", "topics")
    item, lin = given(spec, 1)[0], readers(spec)["tangent"]
    q = Question(lin, item.x, maps.row_of(spec.task, maps.scores(lin, item)))
    values, _ = maps.along(lin, q)
    wanted = sampled_gradients(q, samples=maps.SAMPLES).values
    np.testing.assert_allclose(values, wanted, rtol=1e-3, atol=1e-5)


def test_rollout_hands_all_attention_on() -> None:
    spec = Sequence("transformer", "topics")
    item, lin = given(spec, 1)[0], readers(spec)["tangent"]
    found = maps.rollout(lin, item)
    assert found.shape == (item.count,)
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert (found > 0).all()


def test_truth_is_all_where_a_map_lies_inside() -> None:
    inside = np.array([False, True, True, False, False])
    item = Given(np.zeros((1, 5)), 1, np.arange(5), inside)
    even, right = np.ones(5), np.array([0.0, -3, 2, 0, 0])
    wrong = np.array([5.0, 0, 0, 0, 0])
    asked: Any = SimpleNamespace(values={"even": even, "right": right, "wrong": wrong})
    found = rows.truth(asked, item)
    assert found["right"] == {"share": 1, "found": 1, "top": 1}
    assert found["wrong"] == {"share": 0, "found": 0.5, "top": 0}
    assert found["even"]["share"] == pytest.approx(0.4)


def test_steps_of_a_fault_are_those_of_the_generator() -> None:
    made = make_beats(8, 1000)
    items = given(Sequence("conv", "beats"), 8)
    np.testing.assert_array_equal(beats("test", 8).series, made.series)
    for item, (start, stop), label in zip(items, made.faults, made.labels, strict=True):
        assert item.label == label
        assert abs(int(item.inside.sum()) * STEP - (stop - start)) <= STEP
        assert item.groups.max() + 1 == item.count


def test_the_row_asks_a_fault_against_regular() -> None:
    y = np.array([0.0, 3.0, 2.0, 1.0])
    np.testing.assert_array_equal(maps.row_of("beats", y), [[-1, 1, 0, 0]])
    np.testing.assert_array_equal(maps.row_of("topics", y), [[0, 1, -1, 0]])
    np.testing.assert_array_equal(maps.row_of("beats", y[::-1]), [[-1, 0, 1, 0]])


def test_the_nets_of_the_first_seed_are_shipped_and_small() -> None:
    shipped = [spec for spec in SPECS.values() if spec.shipped]
    assert len(shipped) == 8
    sizes = [spec.path.stat().st_size for spec in shipped]
    assert max(sizes) < 1_000_000
    assert sum(sizes) < 3_000_000
    for spec in shipped:
        notes = notes_of(spec)
        assert (notes["kind"], notes["seed"]) == (spec.kind, "1")
        assert int(notes["parameters"]) < 250_000


def test_kept_sentences_are_of_known_topics() -> None:
    text = held_out()
    assert len(set(text.words)) == len(text.words) == len(text.labels)
    assert set(text.labels.tolist()) == {0, 1, 2, 3}


def test_w_x_alone_is_right_as_often_as_the_results_say() -> None:
    spec = Sequence("conv", "beats")
    wanted = results.read("sequences")["nets"][spec.name]
    found = parts.alone(readers(spec)["tangent"], given(spec, wanted["sequences"]))
    said = wanted["readings"]["tangent"]
    for part in parts.PARTS:
        mean = said["accuracy"][part]["mean"]
        assert found["accuracy"][part]["mean"] == pytest.approx(mean, abs=0.01)
        assert found["share"][part]["mean"] == pytest.approx(said["share"][part]["mean"], abs=0.01)
