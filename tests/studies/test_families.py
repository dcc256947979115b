"""Figures of the study ``families``, computed again on nets that the project ships."""

from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from fixtures.studies.families import pairs, tables
from fixtures.studies.families.cuts import cuts
from fixtures.studies.families.judged import margin_row, on_pixels
from fixtures.studies.families.norms import split_of_norms
from fixtures.studies.families.one_net import measure_net
from fixtures.studies.families.subjects import BY_NAME, PUBLIC, Subject
from fixtures.studies.families.tallies import Tallies, rival_of
from fixtures.studies.families.times import measure_times
from fixtures.studies.families.words import ahead, twins
from fixtures.studies.families.zeros import Fit
from fixtures.studies.shared import results
from fixtures.studies.shared.claims import ClaimError
from fixtures.studies.shared.data import available, shipped
from onnxlin.readings import ledger

NETS = results.read("families")["nets"]
SHIPPED = [name for name in NETS if BY_NAME[name].source != PUBLIC]


def lin_of(subject: Subject) -> onnxlin.Linearizer:
    return onnxlin.Linearizer(subject.path, outputs="logits")


@pytest.mark.parametrize("name", SHIPPED)
def test_accuracies_come_out_again_on_the_first_images(name: str) -> None:
    """Accuracies of fifty images lie within what fifty of the study's thousand may give."""
    subject, count = BY_NAME[name], 50
    if not available(subject.dataset):
        pytest.skip(f"the images of {subject.dataset} aren't here: set ONNXLIN_DATA")
    xs, labels = subject.test(count)
    right = np.zeros(3)
    for m, label in zip(lin_of(subject).map(xs, engine="compiled"), labels, strict=True):
        right += [int(part.argmax()) == label for part in (m.y, m.Wx, m.b)]
    for found, part in zip(right / count, ("F", "W x", "b"), strict=True):
        known = NETS[name]["maps"][part]["accuracy"]["mean"]
        assert abs(found - known) <= 4 * np.sqrt(max(known * (1 - known), 0.02) / count), part


def test_the_metadata_say_what_the_study_measured() -> None:
    """Of nets trained here: the accuracy of the whole test split, beside that of its beginning."""
    for name in SHIPPED:
        notes = {p.key: p.value for p in lin_of(BY_NAME[name]).graph.model.metadata_props}
        if "test_accuracy" in notes:
            known = NETS[name]["maps"]["F"]["accuracy"]
            assert known["low"] - 0.03 <= float(notes["test_accuracy"]) <= known["high"] + 0.03


def test_parts_and_kinds_add_up_to_the_margin() -> None:
    for name, net in NETS.items():
        maps = net["maps"]
        kinds = [maps[key]["share"]["mean"] for key in maps if key.startswith("kind ")]
        assert maps["W x"]["share"]["mean"] + sum(kinds) == pytest.approx(1, abs=1e-3), name
        assert net["residual"] < 1e-5


@pytest.mark.parametrize("name", ["resnet_fashion", "lenet5_mnist", "densenet_fashion"])
def test_a_cut_needs_no_map_of_its_own(name: str) -> None:
    """W_h h is W x and the shares of the nodes before h: held against the map from h."""
    subject = BY_NAME[name]
    x = subject.prepared(shipped(subject.dataset))[3]
    m = lin_of(subject)(x, engine="live", dtype=np.float64)
    found = cuts(m.made_from("cuts").program)
    assert found
    for cut in found:
        ours = m.Wx + sum(s for n, s in m.bias_by_node.items() if n in cut.before)
        part = onnxlin.Linearizer(subject.path, inputs=cut.tensor, outputs="logits")
        theirs = part(x, dtype=np.float64)
        np.testing.assert_allclose(ours, theirs.Wx, atol=1e-4)
        assert theirs.W.shape[1] == cut.size


def test_the_terms_of_a_norm_add_up_to_its_share() -> None:
    subject = BY_NAME["resnet_fashion"]
    images = shipped("fashion")
    xs, labels = subject.prepared(images)[:4], images.labels[:4]
    lin = lin_of(subject)
    found = split_of_norms(lin, xs, labels)
    assert found is not None
    share = whole = 0.0
    for x, label in zip(xs, labels, strict=True):
        m = lin(x, margin_row(lin, x, int(label)), engine="live")
        share += float(ledger(m).by_kind["batch norm"][0])
        whole += float(m.y[0])
    assert found["beta"] + found["centring"] == pytest.approx(share / whole, rel=1e-4)


def test_nets_without_norms_have_no_terms() -> None:
    subject = BY_NAME["lenet5_mnist"]
    xs = subject.prepared(shipped("mnist"))[:1]
    assert split_of_norms(lin_of(subject), xs, np.array([0])) is None


def test_a_hidden_map_on_pixels_keeps_its_sum() -> None:
    subject = BY_NAME["resnet_fashion"]
    x, lin = subject.prepared(shipped("fashion"))[1], lin_of(subject)
    row = margin_row(lin, x, 1)
    cut = cuts(lin(x, engine="live").made_from("cuts").program)[2]
    m = onnxlin.Linearizer(subject.path, inputs=cut.tensor, outputs="logits")(x, row)
    plane = on_pixels(m, cut, x.shape)
    assert plane.shape == (x.size,)
    assert plane.sum() == pytest.approx(float(m.Wx[0]), rel=1e-5)


def test_the_fitted_zero_is_found_where_there_is_one() -> None:
    random = np.random.default_rng(0)
    x0, fit = random.standard_normal(6), Fit(6)
    for _ in range(40):
        W = random.standard_normal((3, 6))
        fit.add(W, -W @ x0 + 7)  # what all classes have in common doesn't count
    np.testing.assert_allclose(fit.solve(), x0, atol=0.01)


def test_tallies_count_the_right_class_and_share_out_the_margin() -> None:
    tallies = Tallies()
    for y in ([3.0, 1.0, 0.0], [0.0, 2.0, 1.0]):
        F = np.array(y)
        half = {"F": F, "half": F / 2, "against": -F}
        tallies.add(half, 0, rival_of(F, 0))
    assert tallies.accuracy("F")["mean"] == 0.5
    assert tallies.accuracy("against")["mean"] == 0.5
    tallies.of["F"].margins[:] = [2.0, 2.0]
    tallies.of["half"].margins[:] = [1.0, 1.0]
    assert tallies.share("half") == {"mean": 0.5, "low": 0.5, "high": 0.5}


def a_net(norm: str, lost: tuple[float, float], owned: float, data: str = "mnist") -> dict:
    low, high = lost
    return {
        "family": "vgg",
        "data": data,
        "norm": norm,
        "source": "here",
        "margin": 1.0,
        "lost": {"mean": (low + high) / 2, "low": low, "high": high},
        "maps": {"W x": {"share": {"mean": owned}}},
    }


def test_twins_differ_where_their_intervals_do() -> None:
    nets = {
        "plain": a_net("none", (0.1, 0.2), 0.9),
        "bn": a_net("batch", (0.3, 0.4), 0.1),
        "alone": a_net("batch", (0.3, 0.4), 0.1, "fashion"),
    }
    assert twins(nets) == [("plain", "bn")]
    assert pairs.dearer(nets) == [("plain", "bn")]
    assert "In 1 of 1 pairs" in " ".join(pairs.told(nets).split())
    nets["bn"]["lost"]["low"] = 0.19  # now by chance, perhaps
    assert pairs.dearer(nets) == []
    with pytest.raises(ClaimError, match="beyond chance"):
        pairs.told(nets)


def test_nets_that_are_mostly_wrong_own_no_share() -> None:
    """Below 0 a mean margin has no shares: neither the table nor the words count them."""
    nets = {}
    for data, owned, margin in (("mnist", 0.1, 1), ("fashion", 0.2, 2), ("cifar100", 9.0, -1)):
        nets[f"plain_{data}"] = a_net("none", (0.1, 0.2), 0.9, data)
        nets[f"bn_{data}"] = a_net("batch", (0.3, 0.4), owned, data) | {"margin": margin}
    assert "bn_cifar100" not in ahead(nets)
    words = " ".join(pairs.told(nets).split())
    assert "In 3 of 3 pairs" in words
    assert "In each of the 2 pairs whose mean margins are above 0 W x owns less" in words
    assert "10 to 20 per cent, without it 90." in words
    nets["bn_cifar100"]["margin"] = 1.0
    with pytest.raises(ClaimError, match="W x owns less"):
        pairs.told(nets)


def test_tables_show_no_share_of_a_margin_below_0() -> None:
    below = [name for name in NETS if name not in ahead(NETS)]
    rows = tables.main_table(NETS).splitlines()
    for name in NETS:
        (row,) = (row for row in rows if f"(`{name}`)" in row)
        assert row.endswith(" |  |  |  |") == (name in below)


def test_twins_in_the_results_are_of_one_plan() -> None:
    """As many convolutions and dense layers; and more nodes only where norms are."""
    for names in twins(NETS):
        ops = [[n.op_type for n in lin_of(BY_NAME[name]).graph.nodes] for name in names]
        for kind in ("Conv", "Gemm", "MaxPool", "Relu"):
            assert ops[0].count(kind) == ops[1].count(kind), (names, kind)
        assert "BatchNormalization" in ops[1]
        assert "BatchNormalization" not in ops[0]


def test_times_are_those_of_both_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXLIN_DATA", "/nowhere")
    found = measure_times(BY_NAME["lenet5_mnist"], 2)
    assert found["rows"] == 10
    assert all(found[key] > 0 for key in ("run_ms", "live_ms", "compiled_ms"))


def test_measuring_one_net_takes_the_pictures_that_are_shipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ONNXLIN_FASHION", "/nowhere")
    found = measure_net(BY_NAME["resnet_fashion"], 10)
    assert found["maps"]["F"]["accuracy"]["mean"] == 1.0  # they were chosen to be clear
    assert found["maps"]["W x"]["accuracy"]["mean"] < 0.8
