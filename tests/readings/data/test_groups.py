"""Samples that share a pattern share a map, and the table of these maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

import onnxlin
from onnxlin import AffineMap, InputError, Linearizer, TraceError
from onnxlin.readings import Groups, group
from onnxlin.readings.data.scores import auc, score
from onnxlin.testing import GrownModel, onnx_models
from tests.graphs import EXACT
from tests.small import model

Array = np.ndarray

# Of the notebook examples/CoCircles.ipynb of Aletheia (SelfExplainML/Aletheia on GitHub).
SIZES = [62, 60, 52, 31, 29]
LABEL_MEAN = [0.532258, 0.600000, 0.480769, 0.516129, 0.655172]
LABEL_DEVIATION = [0.503032, 0.494032, 0.504505, 0.508001, 0.483725]
AUC = [0.736677, 0.915509, 0.828148, 0.800000, 0.810526]
AUC_EVERYWHERE = [0.497650, 0.496326, 0.502093, 0.496405, 0.504409]
ONE_CLASS = 0.2320754716981132
TEST_SIZES = [11, 10, 8, 7, 11, 6, 3]
TEST_SIZES_OF_A_TIE = [5, 9]

# The second unit is read by nobody: its sign is part of the pattern and not of the map.
UNREAD = """g (float[1,2] x) => (float[1,1] y) <float[2,1] B = {2, 0}> {
    [act] h = Relu(x)  [last] y = MatMul(h, B) }"""


@pytest.fixture(scope="module")
def points(fixtures: Path) -> dict[str, Array]:
    return dict(np.load(fixtures / "circles" / "points.npz"))


@pytest.fixture(scope="module")
def circles(fixtures: Path, points: dict[str, Array]) -> Groups:
    return group(fixtures / "circles" / "mlp.onnx", points["train_x"], points["train_y"])


def test_the_published_regions_come_out_to_the_digit(circles: Groups) -> None:
    assert len(circles) == circles.distinct == 530
    assert circles.sizes[:5] == SIZES
    table = circles.table(5)
    assert [round(row["label_mean"], 6) for row in table] == LABEL_MEAN
    assert [round(row["label_deviation"], 6) for row in table] == LABEL_DEVIATION
    assert [round(row["auc"], 6) for row in table] == AUC
    # Published of probabilities: far out they are 1 to the last bit, and such ties count half.
    shown = [expit(local(circles.x)[:, 0]) for local in circles.models[:5]]
    assert [round(auc(p, circles.labels), 6) for p in shown] == AUC_EVERYWHERE
    own = [circles.labels[local.members] for local in circles.models]
    # A sample alone is not counted there: its deviation is no number.
    one_class = [len(labels) > 1 and len(set(labels)) == 1 for labels in own]
    assert sum(one_class) / len(circles) == ONE_CLASS
    assert round(circles.scores.auc, 4) == 0.9215


def test_the_published_test_set_comes_out_to_the_digit(
    circles: Groups, points: dict[str, Array], fixtures: Path
) -> None:
    test = group(fixtures / "circles" / "mlp.onnx", points["test_x"], points["test_y"])
    assert round(test.scores.auc, 4) == 0.9320
    sizes = {local.keys: len(local) for local in test.models}
    found = [sizes.get(local.keys, 0) for local in circles.models]
    assert found[:7] == TEST_SIZES
    # Both have 22 samples to train on: their order is nobody's.
    assert sorted(found[7:9]) == TEST_SIZES_OF_A_TIE


def test_each_map_is_the_model_on_its_samples(circles: Groups) -> None:
    assert circles.exact
    assert sorted(np.concatenate([m.members for m in circles.models])) == list(range(1600))
    for i, local in enumerate(circles.models):
        assert (circles.member[local.members] == i).all()
        np.testing.assert_allclose(local.center, circles.x[local.members].mean(axis=0))
        np.testing.assert_allclose(local.response, circles.y[local.members].mean(axis=0))
    assert circles.error.max() < 1e-12  # the bounds themselves are checked on every call


@given(onnx_models(EXACT, min_nodes=2), st.integers(0, 99))
def test_grouping_is_by_pattern(grown: GrownModel, seed: int) -> None:
    """Groups are the classes of equal keys, and one map serves each to within the bound."""
    rng = np.random.default_rng(seed)
    shifts = [0, 0, *rng.choice([0.125, 1.0], size=3)]
    xs = {
        name: np.stack([value + np.float32(s) * rng.normal(size=value.shape) for s in shifts])
        for name, value in grown.x.items()
    }
    lin = Linearizer(grown.model)
    try:
        maps = list(lin.map(xs, dtype=np.float64))
        found = group(lin, xs, dtype=np.float64)
    except (TraceError, InputError):
        return  # sizes depend on x
    keys = [m.pattern_key for m in maps]
    assert len(found) == len(set(keys))
    assert found.member[0] == found.member[1]
    for i, m in enumerate(maps):
        assert found.models[found.member[i]].keys == (keys[i],)
        assert found.error[i] <= (m.bound * m.scale).max(initial=0)


def test_units_that_nobody_reads_part_patterns_and_not_maps() -> None:
    found = group(model(UNREAD), np.array([[1, 1], [1, -1], [-1, 1]], np.float32))
    assert (len(found), found.distinct) == (3, 2)
    merged = found.merge(tolerance=0.0)
    assert (merged.sizes, merged.error.max()) == ([2, 1], 0.0)
    assert len(merged.models[0].keys) == 2


def test_a_map_that_misses_a_sample_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted bug: keys that do not tell patterns apart."""
    monkeypatch.setattr(AffineMap, "pattern_key", "the same")
    with pytest.raises(
        onnxlin.ResidualError,
        match=r"Sample 1, row 0: the map of its group gives -2, F\(x\) = 0; they differ by 2",
    ):
        group(model(UNREAD), np.array([[1, 1], [-1, 1]], np.float32))


def test_rows_and_several_classes() -> None:
    proto = model("g (float[1,3] x) => (float[1,3] y) { y = Relu(x) }")
    xs = np.array([[3, 1, -1], [1, 2, 3], [-1, 5, 1]], np.float32)
    found = group(proto, xs, [0, 2, 2])
    assert (found.scores.accuracy, found.scores.auc) == (2 / 3, None)
    two = group(proto, xs, [0, 1, 1], rows=[0, 1])
    assert two.y.shape == (3, 2)
    assert two.scores.auc == 1.0
    assert found.table(1)[0].keys() == two.table(1)[0].keys()
    bare = group(proto, xs)
    assert bare.scores is None
    assert "auc" not in bare.table()[0]


def test_progress_is_told() -> None:
    seen: list[tuple[int, int]] = []
    group(model(UNREAD), np.ones((3, 2)), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


SMOOTH = """g (float[1,2] x) => (float[1,2] y) {
    [act] h = Relu(x)  [end] y = Softmax(h) }"""


def test_smooth_models_have_no_regions() -> None:
    with pytest.raises(onnxlin.OptionError, match=r"no regions to group by: 1 node \('end'\)"):
        group(model(SMOOTH), np.ones((2, 2)))
    assert len(group(Linearizer(model(SMOOTH), outputs="logits"), np.ones((2, 2)))) == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], r"labels has shape \(2,\) and dtype int64; expected 3 whole numbers"),
        ([0.5, 1, 0], r"labels has shape \(3,\) and dtype float64"),
        ([0, 2, 0], r"labels holds 2; with 1 rows the classes are 0 to 1"),
    ],
)
def test_labels_are_checked(labels: list[float], message: str) -> None:
    with pytest.raises(onnxlin.InputError, match=message):
        group(model(UNREAD), np.ones((3, 2)), labels)


def test_outputs_whose_size_depends_on_x_are_an_error() -> None:
    proto = model("g (float[1,2] x) => (float[n] y) { y, i, j, k = Unique(x) }")
    with pytest.raises(onnxlin.InputError, match=r"Sample 1 has 1 rows, sample 0 has 2"):
        group(proto, np.array([[1, 2], [1, 1]]))


def test_no_samples_are_an_error() -> None:
    with pytest.raises(onnxlin.InputError, match="xs holds no samples"):
        group(model(UNREAD), np.ones((0, 2)))


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=12))
def test_auc_is_the_share_of_pairs_in_order(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = (np.array(part, float) for part in zip(*pairs, strict=True))
    up, down = scores[labels == 1], scores[labels == 0]
    if not up.size or not down.size:
        assert auc(scores, labels) is None
        return
    wins = np.sign(up[:, None] - down) / 2 + 0.5
    assert auc(scores, labels) == pytest.approx(wins.mean(), abs=1e-12)
    both = np.column_stack([-scores, scores])
    one, two = score(scores[:, None], labels), score(both, labels)
    assert one.auc == two.auc
