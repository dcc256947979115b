"""The trunk's variants on the shipped nets: what holds by structure, and figures made again."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import onnxlin
from fixtures.studies.interpretable.maps import METRICS, judged, summary
from fixtures.studies.interpretable.measure import how_of
from fixtures.studies.interpretable.parts import parts_of
from fixtures.studies.interpretable.rows import CALLED, rows, titled
from fixtures.studies.interpretable.subjects import Subject, zeros
from fixtures.studies.shared import data, results
from fixtures.studies.shared.places import NETS
from fixtures.studies.training.specs import SEEDS, SPECS, variants
from onnxlin.graph import Array
from onnxlin.readings import structural_zero

SHIPPED = [
    Subject(key, spec)
    for key, spec in variants("fashion", SEEDS[0]).items()
    if (NETS / f"{spec.name}.onnx").exists()
]


def shown(subject: Subject) -> tuple[Array, Array]:
    images = data.shipped("fashion")
    return subject.prepared(images, how_of(subject)), images.labels


def test_every_variant_has_a_name_of_its_own() -> None:
    made = [variants(name, seed) for name in ("fashion", "cifar10") for seed in SEEDS]
    names = [spec.name for each in made for spec in each.values()]
    assert len(set(names)) == len(names)
    assert set(names) <= set(SPECS)
    titles = [titled(key) for key in made[0]]
    assert len(set(titles)) == len(titles)
    assert set(CALLED) <= set(made[0])


@pytest.mark.parametrize("subject", SHIPPED, ids=lambda subject: subject.variant)
def test_without_biases_w_x_is_f(subject: Subject) -> None:
    """In the last of the readings: where statistics depend on x, the frozen one holds them."""
    lin = onnxlin.Linearizer(subject.path, outputs="logits", mode=subject.modes[-1])
    x = shown(subject)[0][3]
    m = lin(x, dtype=np.float64)
    m.verify()
    carried = np.abs(m.b).max() / np.abs(m.y).max()
    assert carried < 1e-5 if subject.free else carried > 1e-3
    if len(subject.modes) == 1:
        assert structural_zero(lin(x, engine="live")).is_integrated_gradients == subject.free


@pytest.mark.parametrize("subject", SHIPPED, ids=lambda subject: subject.variant)
def test_files_hold_what_their_variant_says(subject: Subject) -> None:
    ops = [node.op_type for node in onnx.load(subject.path).graph.node]
    assert ("BatchNormalization" in ops) == (subject.variant in ("batch", "batch_mean"))
    assert ("InstanceNormalization" in ops) == (len(subject.modes) == 2)
    assert subject.notes()["norm"] == subject.spec.norm


@pytest.mark.parametrize("name", ["freescalestandard", "batch"])
def test_another_zero_moves_b_into_w_x(name: str) -> None:
    """W (x - x0) + (b + W x0) is F; from x0 = 0 nothing moves."""
    subject = next(s for s in SHIPPED if s.variant == name)
    xs, labels = shown(subject)
    lin = onnxlin.Linearizer(subject.path, outputs="logits")
    found = parts_of(lin, xs, labels, zeros(subject, how_of(subject)))
    for what in ("accuracy", "share"):
        assert found[what]["from black"]["mean"] == pytest.approx(found[what]["W x"]["mean"])
    assert found["share"]["W x"]["mean"] + found["share"]["b"]["mean"] == pytest.approx(1)
    m = lin(xs[0], dtype=np.float64)
    x0 = zeros(subject, how_of(subject))["mean image"]
    np.testing.assert_allclose(m.W @ (m.x - x0) + (m.b + m.W @ x0), m.y, rtol=1e-4, atol=1e-4)


def test_a_net_is_no_better_than_itself() -> None:
    subject = SHIPPED[0]
    lin = onnxlin.Linearizer(subject.path, outputs="logits")
    found = judged(lin, shown(subject)[0][:3], {"own zero": np.zeros(784)})["own zero"]
    same = summary(found, found)
    for metric in METRICS:
        assert same[metric]["more than twin"] == {"mean": 0, "low": 0, "high": 0}
    assert same["gain"]["mean"] == pytest.approx(found["gain"].mean() / found["margin"].mean())


@pytest.mark.parametrize("variant", ["batch", "fixup", "freescalestandard"])
def test_figures_come_out_again(variant: str) -> None:
    if not data.available("fashion"):
        pytest.skip("Fashion-MNIST isn't here: set ONNXLIN_FASHION")
    known = results.read("interpretable")
    row = next(row for row in rows(known, "fashion") if row.variant == variant)
    net = row.nets[0]
    subject = next(s for s in SHIPPED if s.variant == variant)
    images = data.load("fashion", "test", net["images"])
    lin = onnxlin.Linearizer(subject.path, outputs="logits")
    xs = subject.prepared(images, how_of(subject))
    found = parts_of(lin, xs, images.labels, {})
    for part in ("F", "W x", "b"):
        for what in ("accuracy", "share"):
            expected = net["readings"]["tangent"][what][part]["mean"]
            # Another processor rounds otherwise: one image of 500 may fall the other way.
            assert found[what][part]["mean"] == pytest.approx(expected, abs=0.003)
    assert found["residual"] < 1e-5
